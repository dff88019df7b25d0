import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventSplitter, parseEvent } from '../../../src/backends/engine/event-stream.ts';

const EVENT = {
  Type: 'container',
  Action: 'start',
  Actor: { ID: 'c1', Attributes: { name: 'db', motto: 'é€😀' } },
};
const PARSED = { type: 'container', action: 'start', id: 'c1', attributes: { name: 'db', motto: 'é€😀' } };

test('EventSplitter finds the same events wherever the bytes are cut', () => {
  const bytes = new TextEncoder().encode(`${JSON.stringify(EVENT)}\n\n\r\n${JSON.stringify(EVENT)}\n`);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const splitter = new EventSplitter();
      const events = places.flatMap((at, index) => splitter.push(bytes.subarray(at, places[index + 1])));
      expect(events).toEqual([PARSED, PARSED]);
    }),
  );
});

test('EventSplitter skips a line longer than any event and goes on with the next', () => {
  const splitter = new EventSplitter();
  const long = new TextEncoder().encode('x'.repeat(700_000));
  expect([...splitter.push(long), ...splitter.push(long), ...splitter.push(long)]).toEqual([]);
  // What ends the long line is no event, whatever it looks like.
  expect(splitter.push(new TextEncoder().encode(`${JSON.stringify(EVENT)}\n`))).toEqual([]);
  expect(splitter.push(new TextEncoder().encode(`${JSON.stringify(EVENT)}\n`))).toEqual([PARSED]);
});

test.each([
  [
    'the fields of old engines too',
    JSON.stringify({ status: 'start', id: 'c1', from: 'bb', ...EVENT }),
    PARSED,
  ],
  ['a record separator', `\u001e${JSON.stringify(EVENT)}`, PARSED],
  ['no JSON', '{"Type":', undefined],
  ['null', 'null', undefined],
  ['no actor', JSON.stringify({ Type: 'container', Action: 'start' }), undefined],
  ['an actor without an id', JSON.stringify({ ...EVENT, Actor: {} }), undefined],
  [
    'no attributes',
    JSON.stringify({ ...EVENT, Actor: { ID: 'c1' } }),
    { type: 'container', action: 'start', id: 'c1', attributes: {} },
  ],
])('parseEvent reads a line with %s', (_, line, expected) => {
  expect(parseEvent(line)).toEqual(expected);
});
