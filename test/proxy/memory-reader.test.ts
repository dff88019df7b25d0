import { beforeEach, describe, expect, test } from 'vitest';
import { type EngineState, UNKNOWN } from '../../src/model/running/observation.ts';
import { type Workload, workloadKey } from '../../src/model/workload.ts';
import { type MemoryHolder, MemoryReader } from '../../src/proxy/memory-reader.ts';
import type { MemoryView } from '../../src/status/api/content.ts';
import { FakeBackend } from '../support/fake-backend.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

const container = (name: string, state: EngineState = 'running'): MemoryHolder => ({
  workload: { kind: 'docker', container: name },
  observation: { ...UNKNOWN, state },
});
const LATE = { problem: 'it was not told within 2 s' };
const figures = (read: ReadonlyMap<MemoryHolder, MemoryView>) =>
  Object.fromEntries([...read].map(([{ workload }, view]) => [workloadKey(workload), view]));

describe('MemoryReader', () => {
  let clock: FakeClock;
  let asked: string[];
  let answers: ((bytes: number) => void)[];
  let failures: ((error: Error) => void)[];
  let reader: MemoryReader;
  beforeEach(() => {
    clock = new FakeClock();
    asked = [];
    answers = [];
    failures = [];
    const backend = Object.assign(new FakeBackend(), {
      measureMemory(workload: Workload) {
        asked.push('container' in workload ? workload.container : '');
        if (asked.at(-1) === 'forbidden') return Promise.reject(new Error('403: not allowed'));
        return new Promise<number>((resolve, reject) => {
          answers.push(resolve);
          failures.push(reject);
        });
      },
    });
    reader = new MemoryReader({ backends: [backend, new FakeBackend({ kind: 'process' })], clock });
  });

  test('asks once for all who want to know within five seconds', async () => {
    const both = [reader.read([container('db')]), reader.read([container('db')])];
    answers[0]?.(42);
    for (const read of both) expect(figures(await read)).toEqual({ 'docker/db': { bytes: 42 } });
    await clock.advance(4_999);
    await reader.read([container('db')]);
    expect(asked).toEqual(['db']);
    await clock.advance(1);
    void reader.read([container('db')]);
    expect(asked).toEqual(['db', 'db']);
  });

  test('says what the engine says where it refuses, and leaves out what nobody measures', async () => {
    const workload: Workload = { kind: 'process', name: 'app', command: ['x'], cwd: undefined, env: {} };
    const { observation } = container('app');
    const read = await reader.read([container('forbidden'), { workload, observation }]);
    expect(figures(read)).toEqual({ 'docker/forbidden': { problem: '403: not allowed' } });
  });

  test('remembers what one took that has gone to sleep, and asks nobody for that', async () => {
    const db = { ...container('db') };
    const read = reader.read([db]);
    answers[0]?.(42);
    await read;
    await clock.advance(60_000);
    db.observation = { ...UNKNOWN, state: 'stopped' };
    expect(figures(await reader.read([db, container('never', 'stopped')]))).toEqual({
      'docker/db': { lastBytes: 42 },
    });
    expect(asked).toEqual(['db']);
  });

  test('counts no memory as given back by one that is paused', async () => {
    const db = { ...container('db') };
    const read = reader.read([db]);
    answers[0]?.(42);
    await read;
    db.observation = { ...UNKNOWN, state: 'paused' };
    expect(figures(await reader.read([db]))).toEqual({});
  });

  test('has eight questions under way at once', async () => {
    const read = reader.read(Array.from({ length: 20 }, (_, index) => container(`c${index}`)));
    expect(asked).toHaveLength(8);
    for (let index = 0; index < 20; index++) {
      answers[index]?.(1);
      await settle();
    }
    expect((await read).size).toBe(20);
  });

  test('keeps nobody waiting for more than two seconds where the engine hangs, and asks it for each one once', async () => {
    const all = Array.from({ length: 20 }, (_, index) => container(`c${index}`));
    const [first, second] = [reader.read(all), reader.read(all)];
    await clock.advance(2_000);
    for (const read of [await first, await second]) expect([...read.values()]).toEqual(all.map(() => LATE));
    const third = reader.read(all);
    expect(asked).toHaveLength(8);
    answers[0]?.(42);
    await settle();
    expect(asked).toHaveLength(9);
    await clock.advance(2_000);
    expect(figures(await third)).toMatchObject({ 'docker/c0': { bytes: 42 }, 'docker/c1': LATE });
    expect(clock.pending).toBe(0);
  });

  test('asks for nothing more that has waited five seconds for its turn, but for that first when somebody asks again', async () => {
    const all = Array.from({ length: 20 }, (_, index) => container(`c${index}`));
    void reader.read(all);
    await clock.advance(5_000);
    for (const fail of failures) fail(new Error('no answer within 5 s'));
    await settle();
    expect(asked).toHaveLength(8);
    expect(figures(await reader.read(all))).toMatchObject({
      'docker/c0': { problem: 'no answer within 5 s' },
      'docker/c19': { problem: 'its turn did not come within 5 s: the engine is slow to tell' },
    });
    await clock.advance(5_000);
    void reader.read(all);
    expect(asked.slice(8)).toEqual(all.slice(8, 16).map((_, index) => `c${8 + index}`));
  });
});
