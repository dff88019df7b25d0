import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Backend } from '../../../src/backends/backend.ts';
import { EngineCalls } from '../../../src/lifecycle/workload/engine-calls.ts';
import { aService } from '../../support/builders.ts';
import { RUNNING } from '../../support/fake-backend.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

/** The grace of the service below, and how long its stop may stay without an answer beyond that. */
const GRACE_MS = 7_000;
const DEADLINE_MS = GRACE_MS + 60_000;
const SERVICE = aService({ stopTimeoutMs: GRACE_MS });

describe('EngineCalls', () => {
  let clock: FakeClock;
  let calls: EngineCalls;
  let told: string[];
  /** The calls that the backend has not answered, oldest first. */
  let open: { answer(): void; refuse(message: string): void }[];
  beforeEach(() => {
    clock = new FakeClock();
    told = [];
    open = [];
    // Unlike a polite one, it answers even what was given up, as late as the test wants.
    const call = () =>
      new Promise<void>((resolve, reject) => {
        open.push({ answer: resolve, refuse: (message) => reject(new Error(message)) });
      });
    const backend = { wake: call, sleep: call } as Partial<Backend> as Backend;
    calls = new EngineCalls({ backend, clock, onOutcome: (outcome) => void told.push(outcome) });
  });
  afterEach(() => {
    calls.close('the test is over');
    expect(clock.pending).toBe(0);
  });
  const sleep = () => calls.sleep(SERVICE, { observation: RUNNING, evenInUse: false });

  test('tell nothing of a start that was given up, nor take its outcome for that of the next', async () => {
    calls.wake(SERVICE);
    calls.abortWake('the start took too long');
    calls.wake(SERVICE);
    open[0]?.refuse('it was aborted');
    await settle();
    expect(told).toEqual([]);
    open[1]?.answer();
    await settle();
    expect(told).toEqual(['woken']);
  });

  test('tell once of a stop that is answered after its deadline', async () => {
    sleep();
    await clock.advance(DEADLINE_MS - 1);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(['sleep-failed']);
    open[0]?.answer();
    await settle();
    expect(told).toEqual(['sleep-failed']);
  });

  test('do not take the late answer of one stop for that of the next', async () => {
    sleep();
    await clock.advance(DEADLINE_MS);
    sleep();
    open[0]?.answer();
    await settle();
    expect(told).toEqual(['sleep-failed']);
    open[1]?.answer();
    await settle();
    expect(told).toEqual(['sleep-failed', 'slept']);
  });

  test('tell nothing any more when they are closed', async () => {
    calls.wake(SERVICE);
    sleep();
    calls.close('the proxy is shutting down');
    for (const { answer } of open) answer();
    await clock.advance(DEADLINE_MS);
    expect(told).toEqual([]);
  });
});
