import { expect, onTestFinished, test } from 'vitest';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createDockerBackend } from '../../support/lone-backends.ts';
import { ScriptedEngine } from '../../support/scripted-engine.ts';
import { DB, HOST, KEY } from '../docker/backend-fixture.ts';
import { RecordingSink } from '../recording-sink.ts';

const PAST = /^GET \/events.*until=/;

/** Engines tell the time of an event to the second. */
function secondOf(ms: number): number {
  return Math.floor(ms / 1_000);
}

async function setUp(status: 'running' | 'paused' | 'exited') {
  const clock = new FakeClock();
  // The engine's clock is the machine's, and goes on in the second after the subscription.
  const engine = await ScriptedEngine.start();
  const backend = createDockerBackend({
    ...{ socket: engine.socketPath, env: {}, labels: true, labelPrefixes: ['lazy-tcp-proxy'] },
    ...{ system: HOST, clock, logger: silentLogger },
  });
  onTestFinished(async () => {
    await backend.close();
    await engine.close();
    expect(clock.pending).toBe(0);
  });
  const sink = new RecordingSink();
  const db = engine.create('db', { status });
  backend.watch(DB);
  await backend.open(sink);
  await sink.until(() => sink.last(KEY)?.state === (status === 'exited' ? 'stopped' : status));
  return { engine, backend, sink, clock, db };
}

test('a stream that is silent is not asked about while nothing is awake, and no timer runs', async () => {
  const { engine, clock } = await setUp('exited');
  await expect.poll(() => clock.pending, { interval: 1 }).toBe(0);
  await clock.advance(300_000);
  expect(engine.count(PAST)).toBe(0);
});

test('a stream that is silent because nothing happens is asked about once a minute, and stays', async () => {
  const { engine, sink, clock } = await setUp('running');
  for (let minute = 1; minute <= 3; minute++) {
    await clock.advance(59_000);
    expect(engine.count(PAST)).toBe(minute - 1);
    await clock.advance(1_000);
    await engine.requested(PAST);
    await expect.poll(() => engine.count(PAST)).toBe(minute);
    await expect.poll(() => clock.delaysMs.some((delayMs) => delayMs > 50_000)).toBe(true);
  }
  expect(sink.reachability.map(({ reachable }) => reachable)).toEqual([true]);
});

test('a stream that is silent is asked about while a container is paused', async () => {
  const { engine, clock } = await setUp('paused');
  await clock.advance(60_000);
  await engine.requested(PAST);
});

test('a stream that is silent is asked about no longer when nobody watches what is awake', async () => {
  const { engine, backend, clock } = await setUp('running');
  backend.unwatch(DB);
  await clock.advance(300_000);
  expect(engine.count(PAST)).toBe(0);
});

test('a stream that carries events is not asked about', async () => {
  const { engine, sink, clock, db } = await setUp('running');
  for (let round = 1; round <= 4; round++) {
    await clock.advance(40_000);
    const seen = sink.states(KEY).length;
    engine.emit(db, 'update');
    await sink.until(() => sink.states(KEY).length > seen);
  }
  expect(engine.count(PAST)).toBe(0);
});

test('a stream that has missed events is ended, and everything is looked at again', async () => {
  const { engine, sink, clock, db } = await setUp('running');
  engine.freezeEvents();
  // Beyond the second in which the stream began.
  const began = secondOf(Date.now());
  await expect.poll(() => secondOf(Date.now()) - began).toBeGreaterThanOrEqual(2);
  engine.change(db, 'die', { status: 'exited' });
  await clock.advance(60_000);
  await engine.requested(PAST);
  await expect.poll(() => clock.delaysMs.includes(1_000), { interval: 1 }).toBe(true);
  await clock.advance(1_000);
  await expect
    .poll(() => sink.reachability.at(-1), { interval: 1 })
    .toMatchObject({
      reachable: false,
      reason: 'its event stream is dead: the stream has missed events',
    });
  await clock.advance(100);
  await sink.until(() => sink.last(KEY)?.state === 'stopped');
});

test('look() asks about one workload, and tells what it is now', async () => {
  const { engine, backend, sink, db } = await setUp('running');
  engine.freezeEvents();
  engine.change(db, 'die', { status: 'exited' });
  backend.look(DB);
  await sink.until(() => sink.last(KEY)?.state === 'stopped');
});
