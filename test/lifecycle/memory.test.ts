import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KeptWorkload } from '../../src/model/running/kept.ts';
import { usualWakeMs, type Wake } from '../../src/model/running/wake.ts';
import { RUNNING, STOPPED, UNKNOWN } from '../support/fake-backend.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { aBareService, Bench } from './bench.ts';

const NOW_MS = new FakeClock().nowMs();
const HOUR_MS = 3_600_000;
const wake = (atMs: number, engine: number): Wake => {
  return {
    cause: 'for 10.0.0.5:4242',
    by: 'client',
    atMs,
    phases: { room: 0, queue: 0, dependencies: 0, engine, health: 0, port: 0 },
    result: 'ready',
  };
};
const BEFORE: KeptWorkload = {
  services: ['db'],
  seenMs: NOW_MS - HOUR_MS,
  lastActiveMs: NOW_MS - 2 * HOUR_MS,
  lastUsedMs: NOW_MS - 3 * HOUR_MS,
  wakes: [wake(NOW_MS - 4 * HOUR_MS, 2_000)],
  timeline: [
    { atMs: NOW_MS - 4 * HOUR_MS, life: 'awake' },
    { atMs: NOW_MS - 2 * HOUR_MS, life: 'asleep' },
  ],
  lastSleep: { kind: 'idle', words: 'idle for 60 s', atMs: NOW_MS - 2 * HOUR_MS },
};

let known: Map<string, KeptWorkload>;
let touched: number;
let bench: Bench;
beforeEach(() => {
  known = new Map([['docker/db', BEFORE]]);
  touched = 0;
  const memory = {
    recall: (key: string) => known.get(key),
    leave: (key: string, kept: KeptWorkload) => void known.set(key, kept),
    touch: () => void touched++,
  };
  bench = new Bench({ memory });
});
afterEach(async () => {
  expect(await bench.close()).toBe(0);
});
const keptRun = (key = 'docker/db') => new Map(bench.lifecycle.listKept()).get(key)?.wokenRun;
const controller = () => bench.controller('db');

test('a workload that is known from before is told as it was, with a gap where nobody looked', async () => {
  bench.add(aBareService(), STOPPED);
  await settle();
  expect(controller().account.report).toMatchObject({
    ...{ lastActiveMs: BEFORE.lastActiveMs, lastUsedMs: BEFORE.lastUsedMs, lastSleep: BEFORE.lastSleep },
    ...{ life: 'asleep', wakes: BEFORE.wakes, wakeCounts: {}, sleeps: {} },
  });
  expect(usualWakeMs(controller().account.report.wakes)).toBe(2_000);
  expect(controller().account.timeline).toEqual([
    ...BEFORE.timeline,
    { atMs: BEFORE.seenMs, life: 'unknown' },
    { atMs: NOW_MS, life: 'asleep' },
  ]);
});

test('a workload that runs at the start has its full idle timeout, whenever it was used before', async () => {
  bench.add(aBareService({ idleTimeoutMs: 60_000 }), RUNNING);
  await settle();
  expect(controller().account.sleepsAtMs).toBe(NOW_MS + 60_000);
  expect(controller().account.report.lastActiveMs).toBe(BEFORE.lastActiveMs);
});

test('what would be in the future, since the clock was set back, is left out', async () => {
  known.set('docker/db', {
    ...{ services: ['db'], seenMs: NOW_MS + 1, lastActiveMs: NOW_MS + 1, lastUsedMs: NOW_MS + 1 },
    wakes: [...BEFORE.wakes, wake(NOW_MS + 1, 1)],
    timeline: [...BEFORE.timeline, { atMs: NOW_MS + 1, life: 'awake' }],
    lastSleep: { kind: 'idle', words: 'idle for 60 s', atMs: NOW_MS + 1 },
  });
  bench.add(aBareService(), STOPPED);
  const { report, timeline } = controller().account;
  expect(report).toMatchObject({ lastActiveMs: NOW_MS, lastUsedMs: NOW_MS, wakes: BEFORE.wakes });
  expect(report.lastSleep).toBeUndefined();
  expect(timeline.every(({ atMs }) => atMs <= NOW_MS)).toBe(true);
});

test('what a wake adds is kept after what was known, and told when it changes', async () => {
  bench.add(aBareService({ idleTimeoutMs: 0 }), STOPPED);
  const before = touched;
  const lease = controller().hold('by hand', { keeper: { kind: 'hand', untilMs: 0 } });
  await bench.backend.called(1);
  bench.backend.last.succeed(RUNNING);
  await bench.clock.advance(1);
  lease.release();
  expect(touched).toBeGreaterThan(before);
  const [[key, kept] = []] = [...bench.lifecycle.listKept()];
  expect(key).toBe('docker/db');
  expect(kept?.wakes.map(({ cause }) => cause)).toEqual(['for 10.0.0.5:4242', 'by hand']);
  expect(kept).toMatchObject({ services: ['db'], seenMs: NOW_MS + 1, lastActiveMs: NOW_MS + 1 });
});

test('that it was running already is no wake that is kept: each start would add one', async () => {
  known.clear();
  bench.add(aBareService(), RUNNING);
  await settle();
  expect(controller().account.report.wakes).toHaveLength(1);
  expect([...bench.lifecycle.listKept()]).toEqual([]);
});

test('a workload that nobody has any more is handed back, and known again when it returns', async () => {
  const service = aBareService();
  bench.add(service, STOPPED);
  bench.lifecycle.remove(service);
  expect(known.get('docker/db')).toMatchObject({ wakes: BEFORE.wakes, seenMs: NOW_MS });
  await bench.clock.advance(1_000);
  bench.add(service, STOPPED);
  expect(controller().account.report.lastActiveMs).toBe(BEFORE.lastActiveMs);
});

test.each([
  ['sleeps with them where the same run goes on', 'r1', ['docker/db sleep']],
  ['is left where it was started anew meanwhile', 'r2', []],
  ['is left where the engine does not name runs', undefined, []],
])('what a user had woken before the restart %s', async (_what, run, calls) => {
  known.set('docker/db', { ...BEFORE, wokenRun: 'a1 r1' });
  bench.add(aBareService({ idleTimeoutMs: HOUR_MS }), run === undefined ? RUNNING : { ...RUNNING, run });
  const web = aBareService({ name: 'web', dependsOn: [{ name: 'db', condition: 'healthy' }] });
  bench.add(web, RUNNING);
  bench.lifecycle.linkServices();
  await settle();
  expect(keptRun()).toBe(calls.length > 0 ? 'a1 r1' : undefined);
  bench.backend.tell('docker/web', { ...STOPPED, stoppedBy: 'others' });
  await settle();
  expect(bench.backend.calls.map(({ key, kind }) => `${key} ${kind}`)).toEqual(calls);
});

test('which run a user has woken is kept, also while the engine has not told of it after a restart', async () => {
  bench.add(aBareService({ idleTimeoutMs: HOUR_MS }), STOPPED);
  bench.add(aBareService({ name: 'web', dependsOn: [{ name: 'db', condition: 'started' }] }), STOPPED);
  bench.lifecycle.linkServices();
  bench.controller('web').demand('a client');
  await bench.backend.called(1);
  bench.backend.last.succeed({ ...RUNNING, run: 'r7' });
  await settle();
  expect(keptRun()).toBe('a1 r7');
  known.set('docker/other', { ...BEFORE, services: ['other'], wokenRun: 'a1 r1' });
  bench.add(aBareService({ name: 'other', workload: { kind: 'docker', container: 'other' } }), UNKNOWN);
  expect(keptRun('docker/other')).toBe('a1 r1');
});
