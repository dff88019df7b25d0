import { expect, test } from 'vitest';
import { readContainerOutput } from '../../../src/backends/docker/container-output.ts';
import type { InspectedContainer } from '../../../src/backends/engine/engine-shapes.ts';
import { EngineRefusal } from '../../../src/backends/engine/errors.ts';

type Client = Parameters<typeof readContainerOutput>[0];

const STARTED = '2026-04-01T12:00:00.123456789Z';
const EXITED: InspectedContainer = { Id: 'c1', State: { StartedAt: STARTED, ExitCode: 3 } };

function frame(stream: number, text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(8);
  head.writeUInt8(stream, 0);
  head.writeUInt32BE(body.length, 4);
  return Buffer.concat([head, body]);
}

/** An engine with one container, whose log comes in these chunks. */
function anEngine(container: InspectedContainer, chunks: readonly Uint8Array[] = []) {
  const asked: { lines: number; sinceMs: number | undefined }[] = [];
  let sent = 0;
  async function* log() {
    for (const chunk of chunks) {
      sent++;
      yield chunk;
    }
  }
  const client: Client = {
    inspect: async () => container,
    readLog: async (_id, { lines, sinceMs, read }) => {
      asked.push({ lines, sinceMs });
      return read(log());
    },
  };
  const read = (of: 'workload' | 'check' = 'workload', lines = 20) =>
    readContainerOutput(client, { of, lines, id: 'c1', signal: new AbortController().signal });
  return { asked, read, sent: () => sent };
}

const bytewise = (bytes: Buffer) => [...bytes].map((byte) => Uint8Array.of(byte));
const LOG = Buffer.concat([frame(1, 'one\ntw'), frame(2, 'bad\n'), frame(1, ''), frame(1, 'o\nthree')]);

test.each([
  ['whole', [LOG]],
  ['byte by byte', bytewise(LOG)],
])('a log of frames that comes %s is put together by stream', async (_, chunks) => {
  expect(await anEngine(EXITED, chunks).read()).toEqual(['one', 'bad', 'two', 'three']);
});

test("a terminal's log is the bytes themselves", async () => {
  const container = { ...EXITED, Config: { Tty: true } };
  expect(await anEngine(container, [Buffer.from('one\r\ntwo\r\n')]).read()).toEqual(['one', 'two']);
});

test.each([
  ['of the last run, with some slack', EXITED, Date.parse('2026-04-01T11:59:59.123Z')],
  ['of all runs, where the engine started it again', { ...EXITED, RestartCount: 2 }, undefined],
  [
    'of whatever there is, where it never ran',
    { Id: 'c1', State: { StartedAt: '0001-01-01T00:00:00Z' } },
    undefined,
  ],
])('the log %s is read', async (_, container, sinceMs) => {
  const { asked, read } = anEngine(container);
  await read();
  expect(asked).toEqual([{ lines: 20, sinceMs }]);
});

test('a log without an end is read to a bound, and no line is kept whole that is longer than 1,000', async () => {
  const chunks = Array.from({ length: 1_000 }, () => frame(1, 'x'.repeat(64 * 1024)));
  const { read, sent } = anEngine(EXITED, chunks);
  const lines = await read();
  expect(sent()).toBeLessThan(20);
  expect(lines).toHaveLength(20);
  expect(lines[0]).toBe(`${'x'.repeat(1_000)}…`);
});

test('the last result of the own health check is what the check printed', async () => {
  const Health = { Log: [{ Output: 'old' }, { Output: 'the disk\n\nis full\n' }] };
  const { asked, read } = anEngine({ ...EXITED, State: { Health } });
  expect(await read('check')).toEqual(['the disk', 'is full']);
  expect(asked).toEqual([]);
});

test('a log that is kept elsewhere is refused', async () => {
  const refusal = new EngineRefusal('configured logging driver does not support reading', { status: 501 });
  const client: Client = { inspect: async () => EXITED, readLog: async () => Promise.reject(refusal) };
  const request = { of: 'workload', lines: 20, id: 'c1', signal: new AbortController().signal } as const;
  await expect(readContainerOutput(client, request)).rejects.toBe(refusal);
});
