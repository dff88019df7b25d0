import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KubeUnreachable } from '../../../../src/backends/kubernetes/api/kube-errors.ts';
import { readWatch, type WatchEvent } from '../../../../src/backends/kubernetes/api/kube-watch.ts';

const EVENT: WatchEvent = { type: 'MODIFIED', object: { metadata: { name: 'db' }, motto: 'é€😀' } };
const LINE = `${JSON.stringify(EVENT)}\n`;

test('readWatch finds the same events wherever the bytes are cut', async () => {
  const bytes = new TextEncoder().encode(`${LINE}\n\r\n${LINE}`);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 12 }), async (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const chunks = places.map((at, index) => bytes.subarray(at, places[index + 1]));
      expect(await read(chunks)).toEqual({ events: [EVENT, EVENT], error: undefined });
    }),
  );
});

test('readWatch never tells an event whose line is cut, wherever that is', async () => {
  const bytes = new TextEncoder().encode(LINE);
  for (let length = 1; length < bytes.length; length++) {
    const { events, error } = await read([new TextEncoder().encode(LINE), bytes.subarray(0, length)]);
    expect(events).toEqual([EVENT]);
    expect(error).toBeInstanceOf(KubeUnreachable);
  }
});

test.each([
  ['no JSON', '{"type":'],
  ['no object', '{"type":"ADDED"}'],
  ['null for an object', '{"type":"ADDED","object":null}'],
])('readWatch fails, and not as unreachable, where a line is %s', async (_, line) => {
  const { events, error } = await read([new TextEncoder().encode(`${LINE}${line}\n${LINE}`)]);
  expect(events).toEqual([EVENT]);
  expect(error).toEqual(new Error('a watch event cannot be read'));
});

test('readWatch passes over events of a type that it does not know', async () => {
  const chunk = new TextEncoder().encode(`{"type":"FUTURE","object":{}}\n7\nnull\n${LINE}`);
  expect(await read([chunk])).toEqual({ events: [EVENT], error: undefined });
});

test('readWatch gives up on a line longer than any object', async () => {
  const chunk = new TextEncoder().encode('x'.repeat(1024 * 1024));
  const { error } = await read(Array.from({ length: 17 }, () => chunk));
  expect(error).toEqual(new Error('a watch event is too long to be one'));
});

async function read(chunks: readonly Uint8Array[]) {
  const events: WatchEvent[] = [];
  let error: unknown;
  try {
    for await (const event of readWatch(streamOf(chunks))) events.push(event);
  } catch (thrown) {
    error = thrown;
  }
  return { events, error };
}

async function* streamOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
