import { expect, test } from 'vitest';
import { describeEvent, parseBlock } from '../../src/cli/events.ts';

const TIMES = {
  nowMs: 0,
  parse: (timestamp: string) => Date.parse(timestamp),
  local: (timestamp: string) => `${timestamp.slice(0, 10)} ${timestamp.slice(11, 19)}.000 +00:00`,
};
const at = '2026-11-26T09:12:40Z';
const phases = { engine_ms: 331, health_ms: 0, port_ms: 12 };

test.each([
  ['state', { service: 'db', state: 'ready', life: 'awake' }, 'db is awake'],
  ['state', { service: 'db', state: 'missing', life: 'unknown' }, 'db is missing'],
  ['wake', { service: 'db', cause: 'for 10.0.0.5:1', phase: 'port' }, 'db is waking, for 10.0.0.5:1: port'],
  [
    'woken',
    { service: 'db', cause: 'with web', result: 'ready', ...phases },
    'db was woken with web, after 343 ms (engine 331 ms, port 12 ms)',
  ],
  [
    'woken',
    { service: 'db', cause: 'with web', result: 'failed', ...phases, reason: 'exit code 3' },
    'db did not wake with web, after 343 ms (engine 331 ms, port 12 ms): exit code 3',
  ],
  ['use', { service: 'db', in_use: true }, 'db is in use'],
  ['use', { service: 'db', in_use: false }, 'nobody uses db any more'],
  ['sleep', { service: 'db', why: 'idle', reason: 'idle for 120 s' }, 'db has gone to sleep: idle for 120 s'],
  [
    'refusal',
    { service: 'db', client: '10.0.0.5:1', reason: 'blocked', more: 3 },
    'db refused 10.0.0.5:1: blocked (and 3 more)',
  ],
  [
    'reload',
    { result: 'applied', generation: 3, problems: 0 },
    'another configuration is in force (generation 3)',
  ],
  ['reload', { result: 'refused', generation: 3, problems: 1 }, 'what is in the file is refused: 1 problem'],
  ['other', { a: 1 }, 'other {"a":1}'],
])('the event %s is told: %j', (event, data, text) => {
  expect(describeEvent({ event, data }, TIMES)).toBe(text);
  if (event !== 'other')
    expect(describeEvent({ event, data: { at, ...data } }, TIMES)).toBe(`2026-11-26 09:12:40 ${text}`);
});

test.each([
  ['retry: 2000\nid: a-1', { id: 'a-1' }],
  [':', {}],
  [
    'id: a-2\nevent: state\ndata: {"service":"db"}',
    { id: 'a-2', event: { event: 'state', data: { service: 'db' } } },
  ],
])('the block %j is %j', (block, parsed) => {
  expect(parseBlock(block)).toEqual(parsed);
});
