import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KeptHold, KeptWorkload } from '../../../src/model/running/kept.ts';
import type { Wake } from '../../../src/model/running/wake.ts';
import { type Kept, MAX_KEPT_CHARACTERS, readKept, writeKept } from '../../../src/proxy/keeping/kept-file.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 3, 1, 12);

const time = fc.integer({ min: NOW_MS - DAY_MS + 1, max: NOW_MS });
const text = fc.string({ unit: 'binary', maxLength: 20 });
const ms = fc.integer({ min: 0, max: 60_000 });
const wake: fc.Arbitrary<Wake> = fc.record(
  {
    cause: text,
    by: fc.constantFrom('client' as const, 'window' as const),
    atMs: time,
    phases: fc.record({ room: ms, queue: ms, dependencies: ms, engine: ms, health: ms, port: ms }),
    result: fc.constantFrom('ready' as const, 'failed' as const, 'ended' as const),
    reason: text,
  },
  { requiredKeys: ['cause', 'atMs', 'phases', 'result'] },
);
const sleep = fc.record({ kind: fc.constantFrom('idle' as const, 'hand' as const), words: text, atMs: time });
const change = fc.record(
  {
    atMs: time,
    life: fc.constantFrom('asleep' as const, 'awake' as const, 'failed' as const),
    sleep: fc.constantFrom('idle' as const, 'room' as const, 'itself' as const),
  },
  { requiredKeys: ['atMs', 'life'] },
);
const workload: fc.Arbitrary<KeptWorkload> = fc.record(
  {
    services: fc.array(text, { minLength: 1, maxLength: 2 }),
    seenMs: time,
    lastActiveMs: time,
    lastUsedMs: time,
    wakes: fc.array(wake, { maxLength: 3 }),
    timeline: fc.array(change, { maxLength: 4 }),
    lastSleep: sleep,
    wokenRun: fc.string(),
  },
  { requiredKeys: ['services', 'seenMs', 'lastActiveMs', 'wakes', 'timeline'] },
);
const hold: fc.Arbitrary<KeptHold> = fc.record({
  ...{ service: text, workload: text, by: text },
  untilMs: fc.integer({ min: NOW_MS + 1, max: NOW_MS + DAY_MS }),
});
const kept: fc.Arbitrary<Kept> = fc.record({
  savedMs: fc.constant(NOW_MS),
  workloads: fc.array(fc.tuple(text, workload), { maxLength: 4 }).map((entries) => new Map(entries)),
  holds: fc.array(hold, { maxLength: 3 }),
});

const aWorkload = (overrides: Partial<KeptWorkload> = {}): KeptWorkload => ({
  ...{ services: ['db'], seenMs: NOW_MS, lastActiveMs: NOW_MS, lastUsedMs: NOW_MS, wakes: [], timeline: [] },
  ...overrides,
});
const read = (file: string): Kept => {
  const found = readKept(file);
  if ('why' in found) throw new Error(found.why);
  return found;
};

test('what is kept is read as it was written', () => {
  fc.assert(
    fc.property(kept, (given) => {
      const { savedMs, workloads, holds } = read(writeKept(given));
      expect(savedMs).toBe(given.savedMs);
      expect(holds).toEqual(given.holds);
      expect(Object.fromEntries(workloads)).toEqual(Object.fromEntries(given.workloads));
    }),
  );
});

test('a file that is cut at any byte is told, and never read as another one', () => {
  fc.assert(
    fc.property(kept, fc.nat(), (given, at) => {
      const whole = Buffer.from(writeKept(given));
      const cut = whole.subarray(0, at % (whole.length - 1)).toString();
      const found = readKept(cut);
      // All but the line's end is no cut.
      if (cut.length > 0 && 'savedMs' in found) expect(cut).toBe(whole.toString().trimEnd());
    }),
  );
});

test('whatever stands in the file, reading it never throws', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.jsonValue(),
      fc.dictionary(
        fc.constantFrom('services', 'wakes', 'timeline', 'phases', 'lastSleep', 'atMs', '__proto__', 'by'),
        tie('any'),
      ),
    ),
  })).any;
  const file = fc.record({
    version: fc.constantFrom(1, 1, 1, 2, '1', null),
    savedMs: fc.oneof(fc.nat(), fc.jsonValue()),
    workloads: fc.oneof(fc.dictionary(fc.string(), value), fc.jsonValue()),
    holds: fc.oneof(fc.array(value), fc.jsonValue()),
  });
  fc.assert(
    fc.property(
      fc.oneof(
        file.map((one) => JSON.stringify(one)),
        fc.string(),
      ),
      (given) => {
        const found = readKept(given);
        expect('why' in found ? typeof found.why : typeof found.savedMs).toMatch(/string|number/);
      },
    ),
  );
});

test.each([
  ['', 'Unexpected end of JSON input'],
  ['null', 'the file is not a mapping'],
  ['{}', 'it has no known version'],
  ['{"version":2}', 'a newer lazy-proxy wrote it (version 2)'],
  ['{"version":1}', 'workloads is not a mapping'],
  ['{"version":1,"savedMs":1,"workloads":{"docker/db":{}},"holds":[]}', 'services is not a list'],
  ['{"version":1,"savedMs":"x","workloads":{},"holds":[]}', 'savedMs is not a time'],
  ['{"version":1,"savedMs":1,"workloads":{},"holds":[{"service":1}]}', 'service is not a text'],
])('%s is refused: %s', (file, why) => {
  expect(readKept(file)).toEqual({ why });
});

test('what nobody has had for 30 days is left out, and so are holds that are over', () => {
  const file = writeKept({
    savedMs: NOW_MS,
    workloads: new Map([
      ['docker/new', aWorkload({ seenMs: NOW_MS - 29 * DAY_MS })],
      ['docker/old', aWorkload({ seenMs: NOW_MS - 30 * DAY_MS })],
    ]),
    holds: [{ service: 'db', workload: 'docker/db', untilMs: NOW_MS, by: 'by hand' }],
  });
  expect([...read(file).workloads.keys()]).toEqual(['docker/new']);
  expect(read(file).holds).toEqual([]);
});

test('what workloads have printed is not written', () => {
  const printed: Wake = {
    ...{
      cause: 'c',
      atMs: 1,
      phases: { room: 0, queue: 0, dependencies: 0, engine: 0, health: 0, port: 0 },
      result: 'failed',
    },
    output: ['the password is hunter2'],
  };
  const file = writeKept({
    ...{ savedMs: NOW_MS, holds: [], workloads: new Map([['docker/db', aWorkload({ wakes: [printed] })]]) },
  });
  expect(file).not.toContain('hunter2');
});

test('of the timeline the last day is kept, with how it began', () => {
  const at = (hours: number) => NOW_MS - hours * 3_600_000;
  const timeline = [
    { atMs: at(50), life: 'awake' },
    { atMs: at(30), life: 'asleep' },
    { atMs: at(20), life: 'awake' },
  ] as const;
  const file = writeKept({
    ...{ savedMs: NOW_MS, holds: [], workloads: new Map([['docker/db', aWorkload({ timeline })]]) },
  });
  expect(read(file).workloads.get('docker/db')?.timeline).toEqual(timeline.slice(1));
});

test('the file of very many workloads is bounded, and holds those that were used last', () => {
  const wakes = Array.from({ length: 50 }, (_, index): Wake => {
    return {
      cause: `for 192.168.100.100:${index}`,
      atMs: NOW_MS,
      phases: { room: 0, queue: 0, dependencies: 0, engine: 1, health: 2, port: 3 },
      result: 'ready',
    };
  });
  const workloads = new Map(
    Array.from({ length: 20_000 }, (_, index) => [
      `docker/workload-${index}`,
      aWorkload({ lastUsedMs: NOW_MS - index, wakes }),
    ]),
  );
  const file = writeKept({ savedMs: NOW_MS, workloads, holds: [] });
  expect(file.length).toBeLessThanOrEqual(MAX_KEPT_CHARACTERS);
  const found = read(file).workloads;
  expect(found.size).toBeGreaterThan(1_000);
  expect(found.get('docker/workload-0')?.wakes).toHaveLength(5);
});
