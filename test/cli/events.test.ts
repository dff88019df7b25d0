import { describe, expect, test } from 'vitest';
import { createTeller, describeEvent, isRepetition, listPast, parseBlock } from '../../src/cli/events.ts';
import type { ServiceDetailAnswer } from '../../src/status/api/answers.ts';
import { TIMES as ANSWER_TIMES } from './answers.ts';

const TIMES = { ...ANSWER_TIMES, nowMs: 0 };
const at = '2026-11-26T09:12:40Z';
const phases = { engine_ms: 331, health_ms: 0, port_ms: 12 };

test.each([
  ['state', { service: 'db', state: 'ready', life: 'awake' }, 'db is awake'],
  [
    'state',
    { service: 'db', state: 'stopping', life: 'stopping', reason: 'idle' },
    'db is going to sleep: idle',
  ],
  ['state', { service: 'db', state: 'missing', life: 'unknown' }, 'db is missing'],
  // As `--past` has it: a day's states are told without those of the workload.
  ['state', { service: 'db', life: 'unknown' }, 'what db does is not known'],
  ['wake', { service: 'db', cause: 'needed by web', phase: 'port' }, 'db is waking, as web needs it'],
  ['wake', { service: 'db', cause: 'cron_start', phase: 'port' }, 'db is waking, by its cron_start'],
  ['wake', { service: 'db', cause: 'for 10.0.0.5:1', phase: 'port' }, 'db is waking, for 10.0.0.5:1'],
  ['state', { service: 'db', life: 'failed', reason: 'exit code 3' }, 'db has failed: exit code 3'],
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
  ['use', { service: 'db', shares_with: ['db-tls', 'x'], in_use: true }, 'db (with db-tls, x) is in use'],
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
  [
    'reload',
    { result: 'refused', generation: 3, problems: 1 },
    'what is in the file is refused: 1 problem; lazy-proxy status has the lines',
  ],
  ['other', { a: 1 }, 'other {"a":1}'],
])('the event %s is told: %j', (event, data, text) => {
  expect(describeEvent({ event, data }, TIMES)).toBe(text);
  if (event !== 'other')
    expect(describeEvent({ event, data: { at, ...data } }, TIMES)).toBe(`2026-11-26 09:12:40 ${text}`);
});

test('what services share is told on one line for all of them', () => {
  const told = ['a', 'b', 'c'].filter((service, _, names) => {
    const shares_with = names.filter((name) => name !== service);
    return !isRepetition({ event: 'state', data: { service, shares_with } });
  });
  expect(told).toEqual(['a']);
  expect(isRepetition({ event: 'state', data: { service: 'b' } })).toBe(false);
});

test('a wake is told at its end, so that times never run backwards', () => {
  const data = { at, service: 'db', cause: 'with web', result: 'ready', ...phases, engine_ms: 2_500 };
  expect(describeEvent({ event: 'woken', data }, TIMES)).toMatch(/^2026-11-26 09:12:42 db was woken/);
});

test('of a wake two lines tell: that it begins, and how it ended', () => {
  const teller = createTeller();
  const told = [
    ['state', { service: 'db', life: 'waking' }],
    ['wake', { service: 'db', phase: 'engine' }],
    ['wake', { service: 'db', phase: 'port' }],
    ['state', { service: 'web', life: 'awake' }],
    ['state', { service: 'db', life: 'awake' }],
    ['woken', { service: 'db' }],
    ['state', { service: 'db', life: 'failed' }],
  ] as const;
  const shown = told.filter(([event, data]) => teller.isNews({ event, data }));
  expect(shown).toEqual([told[1], told[3], told[5], told[6]]);
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

describe('what has happened', () => {
  const at = (time: string) => `2026-11-26T${time}Z`;
  const wake = { engine_ms: 900, health_ms: 0, port_ms: 100 };
  const service = {
    name: 'db',
    wakes: [
      { at: at('02:00:00'), cause: 'for 10.0.0.1:5', result: 'ready', ...wake },
      { at: '2026-11-24T02:00:00Z', cause: 'by hand', result: 'ready', ...wake },
    ],
    timeline: [
      { at: at('01:00:00'), life: 'unknown' },
      { at: at('02:00:00'), life: 'waking' },
      { at: at('02:00:01'), life: 'awake' },
      { at: at('02:30:00'), life: 'asleep', sleep: 'schedule' },
      { at: at('03:00:00'), life: 'awake' },
      { at: at('04:00:00'), life: 'asleep' },
    ],
    last_sleep: { at: at('04:00:00'), kind: 'idle', reason: 'idle for 2 min' },
  } as unknown as ServiceDetailAnswer;

  test('is each wake once, and each change that no wake has made, within a day', () => {
    const past = listPast(service, Date.parse(at('12:00:00')));
    const shared = listPast({ ...service, shares_with: ['x'] }, Date.parse(at('12:00:00')));
    expect(shared.every(({ data }) => data['shares_with'] !== undefined)).toBe(true);
    expect(past.map(({ event, data }) => [event, data['at'], data['life'] ?? data['reason']])).toEqual([
      ['state', at('01:00:00'), 'unknown'],
      ['woken', at('02:00:00'), undefined],
      // Of what came before the last one the kind alone is known.
      ['sleep', at('02:30:00'), 'by its schedule'],
      // Somebody else has started it.
      ['state', at('03:00:00'), 'awake'],
      ['sleep', at('04:00:00'), 'idle for 2 min'],
    ]);
  });

  test('within one second is told in the order in which it was', () => {
    const restarted = {
      ...service,
      wakes: [
        { at: at('02:00:00'), cause: 'by hand', result: 'ready', engine_ms: 300, health_ms: 0, port_ms: 0 },
      ],
      timeline: [
        { at: at('01:00:00'), life: 'awake' },
        { at: at('02:00:00'), life: 'asleep', sleep: 'hand' },
        { at: at('02:00:00'), life: 'waking' },
        { at: at('02:00:00'), life: 'awake' },
      ],
      last_sleep: undefined,
    } as unknown as ServiceDetailAnswer;
    const past = listPast(restarted, Date.parse(at('12:00:00')));
    expect(past.map(({ event, data }) => [event, data['life'] ?? data['reason']])).toEqual([
      ['state', 'awake'],
      ['sleep', 'by hand'],
      ['woken', undefined],
    ]);
  });
});
