import { afterEach, expect, test } from 'vitest';
import type { Observation } from '../../../../src/model/running/observation.ts';
import { PAUSED, RUNNING, STOPPED } from '../../../support/fake-backend.ts';
import { aBareService, Bench } from '../../bench.ts';

let bench: Bench;
afterEach(async () => {
  await bench.close();
});

const told = () => bench.lines.filter((line) => line.includes('the engine says'));

test('each event of the engine is told at debug, with what came of it', () => {
  bench = new Bench({ debug: true });
  bench.add(aBareService(), STOPPED);
  for (const seen of [RUNNING, RUNNING, PAUSED]) bench.backend.tell('docker/db', seen);
  bench.backend.tell('docker/db', { ...STOPPED, detail: 'exit code 1' });
  expect(told()).toEqual([
    'db: the engine says stopped: unknown → stopped',
    'db: the engine says running: stopped → starting (gate)',
    'db: the engine says running: stays starting (gate)',
    'db: the engine says paused: starting (gate) → paused',
    'db: the engine says stopped (exit code 1): paused → stopped',
  ]);
});

test('the engine says nothing of the health of what is down', () => {
  bench = new Bench({ debug: true });
  const down: Observation = { ...STOPPED, health: 'starting', detail: 'exit code 0' };
  bench.add(aBareService(), down);
  bench.backend.tell('docker/db', { ...RUNNING, health: 'starting' });
  expect(told()).toEqual([
    'db: the engine says stopped (exit code 0): unknown → stopped',
    'db: the engine says running, starting: stopped → starting (gate)',
  ]);
});

test('the engine says nothing where the log does not show debug', () => {
  bench = new Bench();
  bench.add(aBareService(), STOPPED);
  bench.backend.tell('docker/db', RUNNING);
  expect(told()).toEqual([]);
});

test.each([
  ['others', 'somebody else stopped db: exit code 137'],
  ['itself', 'db ended by itself: exit code 137'],
  [undefined, 'db has stopped, and the proxy did not stop it: exit code 137'],
] as const)("a stop that was not the proxy's own says whose it was (%s)", async (stoppedBy, expected) => {
  bench = new Bench();
  bench.add(aBareService(), RUNNING);
  await bench.until(() => bench.controller('db').state.kind === 'ready');
  const stopped = { ...STOPPED, detail: 'exit code 137' };
  bench.backend.tell('docker/db', stoppedBy === undefined ? stopped : { ...stopped, stoppedBy });
  expect(bench.lines.at(-1)).toBe(expected);
});
