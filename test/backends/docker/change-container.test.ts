import { expect, test } from 'vitest';
import { CannotPause, WakeError } from '../../../src/backends/backend.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { DB, KEY, setUp, within } from './backend-fixture.ts';

test('wake() starts a stopped container and has told of it when it resolves', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  await backend.wake(DB, within(3_000));
  expect(sink.last(KEY)).toMatchObject({ state: 'running', hosts: ['198.18.64.2'] });
  expect(engine.count(/^POST/)).toBe(1);
  expect(engine.count(/^GET \/containers\/c/)).toBeLessThanOrEqual(2);
});

test('wake() succeeds where the container already runs', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'running' });
  backend.watch(DB);
  await backend.open(sink);
  await backend.wake(DB, within(3_000));
  expect(sink.last(KEY)?.state).toBe('running');
});

test('wake() unpauses a container that is known to be paused, with no other call first', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'paused' });
  backend.watch(DB);
  await backend.open(sink);
  await backend.wake(DB, within(3_000));
  expect(sink.last(KEY)?.state).toBe('running');
  expect(
    engine.requests.filter((line) => line.startsWith('POST')).map((line) => line.split('/').at(-1)),
  ).toEqual(['unpause']);
});

test.each([
  ['its inspect', /^GET \/containers\/[^/]+\/json/],
  ['its start', /\/start$/],
])('wake() succeeds where %s is answered with 101 once, and nothing comes after it', async (_, pattern) => {
  const { engine, backend, sink } = await setUp();
  engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  engine.switchProtocolsOnce(pattern);
  await backend.wake(DB, within(5_000));
  expect(sink.last(KEY)?.state).toBe('running');
});

test('sleep() succeeds where its stop is answered with 101 once, and the next wake, too', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db', { status: 'running' });
  backend.watch(DB);
  await backend.open(sink);
  engine.switchProtocolsOnce(/\/stop/);
  const slept = backend.sleep(DB, { graceMs: 1_000 });
  await engine.requested(/\/stop/);
  engine.change(db, 'die', { status: 'exited', exitCode: 0 });
  await slept.catch(() => {});
  await backend.wake(DB, within(5_000));
  expect(sink.last(KEY)?.state).toBe('running');
});

test.each([
  ['paused', 'stopped', 'paused'],
  ['stopped', 'paused', 'exited'],
  ['running', 'paused', 'running'],
] as const)('wake() finds a container %s that it took for %s', async (_, believed, status) => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db', { status: believed === 'paused' ? 'paused' : 'exited' });
  backend.watch(DB);
  await backend.open(sink);
  // No event tells of the change.
  db.status = status;
  await backend.wake(DB, within(3_000));
  expect(sink.last(KEY)?.state).toBe('running');
});

test('wake() takes a refusal for success where the container runs all the same', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db', { status: 'exited' });
  backend.watch(DB);
  await backend.open(sink);
  db.status = 'running';
  engine.refuse(/\/start$/, { status: 409, message: 'busy' });
  await backend.wake(DB, within(3_000));
  expect(sink.last(KEY)?.state).toBe('running');
});

test('wake() finds a container that no event has told of, and one that was recreated unseen', async () => {
  const { engine, backend, sink } = await setUp();
  backend.watch(DB);
  await backend.open(sink);
  const stranger = engine.create('stranger');
  stranger.name = 'db';
  await backend.wake(DB, within(3_000));
  expect(sink.last(KEY)).toMatchObject({ state: 'running', id: stranger.id });
  Object.assign(stranger, { id: 'd'.repeat(64), status: 'exited' });
  engine.endEvents();
  await sink.until(() => sink.reachability.length === 3);
  await backend.wake(DB, within(3_000));
  expect(sink.last(KEY)?.state).toBe('running');
});

test('wake() leaves a container without a network alone also where nobody has looked at it yet', async () => {
  const { engine, backend, sink } = await setUp();
  backend.watch(DB);
  await backend.open(sink);
  engine.create('stranger', { networkMode: 'none' }).name = 'db';
  const woken = backend.wake(DB, within(3_000));
  await expect(woken).rejects.toThrow('cannot start container "db": the container has no network');
  expect(engine.count(/\/start$/)).toBe(0);
});

test('wake() refuses a container that does not exist', async () => {
  const { backend, sink } = await setUp();
  await backend.open(sink);
  const error = await backend.wake(DB, within(3_000)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WakeError);
  expect(error).toMatchObject({ message: 'container "db" does not exist' });
});

test('wake() starts a container that gets its name the moment after nobody had it', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('away');
  backend.watch(DB);
  await backend.open(sink);
  const answer = engine.hang(/^GET \/containers\/db\/json/);
  const waking = backend.wake(DB, within(3_000));
  await engine.requested(/^GET \/containers\/db\/json/);
  engine.change(db, 'rename', { name: 'db' });
  await sink.until(() => sink.last(KEY)?.id === db.id);
  // What is answered is older than the event.
  db.name = 'away';
  answer();
  db.name = 'db';
  await waking;
  expect(sink.last(KEY)).toMatchObject({ state: 'running', id: db.id });
});

test('wake() starts what has taken the place of a container that can no longer be started', async () => {
  const { engine, backend, sink } = await setUp();
  const old = engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  engine.refuse(/\/start$/, { status: 409, message: 'marked for removal', times: 1 });
  const answer = engine.hang(new RegExp(`^GET /containers/${old.id}/json`));
  const waking = backend.wake(DB, within(3_000));
  await engine.requested(/^GET \/containers\/[0-9a-f]+\/json/);
  engine.emit(old, 'destroy');
  const db = engine.create('db');
  await sink.until(() => sink.last(KEY)?.id === db.id);
  answer();
  await waking;
  expect(sink.last(KEY)).toMatchObject({ state: 'running', id: db.id });
});

test.each([400, 404, 409, 500])('wake() hands on why the engine refused with status %i', async (status) => {
  const { engine, backend, sink } = await setUp();
  engine.create('db');
  await backend.open(sink);
  engine.refuse(/\/start$/, { status, message: 'network n1 not found' });
  const error = await backend.wake(DB, within(3_000)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WakeError);
  expect(error).toMatchObject({ message: 'cannot start container "db": network n1 not found' });
});

test('wake() waits for an engine that is away', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db');
  backend.watch(DB);
  await engine.goAway();
  await backend.open(sink);
  const waking = backend.wake(DB, within(5_000));
  await engine.comeBack();
  await waking;
  expect(sink.last(KEY)?.state).toBe('running');
});

test('wake() starts again after the connection broke during the call', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  const release = engine.hang(/\/start$/);
  const waking = backend.wake(DB, within(5_000));
  await engine.requested(/\/start$/);
  await engine.goAway();
  release();
  await engine.comeBack();
  await waking;
  expect(sink.last(KEY)?.state).toBe('running');
  expect(engine.count(/\/start$/)).toBe(2);
});

test.each([
  ['the engine is away', async (engine: Engine) => engine.goAway()],
  ['its start hangs', async (engine: Engine) => engine.hang(/\/start$/)],
  ['the inspect after it hangs', async (engine: Engine) => engine.hang(/^GET \/containers\/c/)],
])('wake() ends with its signal while %s', async (_, spoil) => {
  const { engine, backend, sink } = await setUp();
  engine.create('db');
  await backend.open(sink);
  await spoil(engine);
  const controller = new AbortController();
  const waking = backend.wake(DB, { signal: controller.signal });
  await engine.quiet();
  const abortedMs = systemClock.monotonicMs();
  controller.abort();
  await expect(waking).rejects.toMatchObject({ name: 'AbortError' });
  expect(systemClock.monotonicMs() - abortedMs).toBeLessThan(500);
});

test.each([
  [undefined, /\/stop$/],
  [0, /\/stop\?t=0$/],
  [1_200, /\/stop\?t=2$/],
])('sleep() with a grace of %s asks for %s and has told of it when it resolves', async (graceMs, pattern) => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'running' });
  backend.watch(DB);
  await backend.open(sink);
  await backend.sleep(DB, { graceMs });
  expect(sink.last(KEY)?.state).toBe('stopped');
  expect(engine.count(pattern)).toBe(1);
  await backend.sleep(DB, { graceMs });
});

test('sleep() succeeds where the container does not exist', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db', { status: 'running' });
  backend.watch(DB);
  await backend.open(sink);
  engine.refuse(/\/stop/, { status: 404, message: 'gone' });
  await backend.sleep(DB, { graceMs: undefined });
  engine.remove(db);
  await sink.until(() => sink.last(KEY)?.state === 'missing');
  await backend.sleep(DB, { graceMs: undefined });
});

test('sleep() fails at once while the engine is away, and with its reason when it refuses', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'running' });
  await backend.open(sink);
  engine.refuse(/\/stop/, { status: 500, message: 'permission denied' });
  await expect(backend.sleep(DB, { graceMs: 0 })).rejects.toThrow(
    'cannot stop container "db": permission denied',
  );
  await engine.goAway();
  await sink.until(() => sink.reachability.at(-1)?.reachable === false);
  const stopping = backend.sleep(DB, { graceMs: 0 });
  await expect(stopping).rejects.toThrow('cannot stop container "db": the engine does not answer');
});

test('a run that ends after a stop that nothing has answered counts as stopped, not as ended by itself', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db', { status: 'running' });
  backend.watch(DB);
  await backend.open(sink);
  const release = engine.hang(/\/stop/);
  const stopping = backend.sleep(DB, { graceMs: undefined }).catch((error: Error) => error.message);
  await engine.requested(/\/stop/);
  await engine.goAway();
  release();
  expect(await stopping).toContain('cannot stop container "db"');
  await engine.comeBack();
  // As an engine does that finds at its start that the program has ended.
  engine.change(db, 'die', { status: 'exited', exitCode: 0 });
  await sink.until(() => sink.last(KEY)?.state === 'stopped');
  expect(sink.last(KEY)?.stoppedBy).toBe('others');
});

test('sleep() succeeds where its stop is refused since the run has ended, and another one has begun', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  await backend.wake(DB, within(3_000));
  engine.refuse(/\/stop/, { status: 500, message: 'is running or paused, refusing to clean up' });
  await expect(backend.sleep(DB, { graceMs: 0 })).rejects.toThrow('refusing to clean up');
  // As somebody else starts it before the engine has done with the stop.
  db.startedAt = '2026-11-26T08:30:00.123456789Z';
  await backend.sleep(DB, { graceMs: 0 });
  expect(sink.last(KEY)?.state).toBe('running');
});

test('pause() succeeds where it is refused since the run has ended, and another one has begun', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  await backend.wake(DB, within(3_000));
  engine.refuse(/\/pause/, { status: 409, message: 'Container db is not running' });
  await expect(backend.pause(DB)).rejects.toThrow(CannotPause);
  db.startedAt = '2026-11-26T08:30:00.123456789Z';
  await backend.pause(DB);
  expect(sink.last(KEY)?.state).toBe('running');
});

type Engine = Awaited<ReturnType<typeof setUp>>['engine'];

test('wake() starts the container whose network another one uses before it, also where only the refusal tells', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('vpn', { status: 'exited' });
  engine.create('db', { status: 'exited', networkMode: 'container:vpn' });
  await backend.open(sink);
  // Not watched: its network is not known beforehand.
  engine.refuse(/\/start$/, {
    status: 409,
    message: 'cannot join network of a non running container',
    times: 1,
  });
  await backend.wake(DB, within(3_000));
  expect(engine.count(/^POST .*\/start$/)).toBe(3);
});

test('wake() says so where the container whose network another one uses does not exist', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'exited', networkMode: 'container:vpn' });
  backend.watch(DB);
  await backend.open(sink);
  await expect(backend.wake(DB, within(3_000))).rejects.toThrow(
    'cannot start container "db": the container whose network it uses, "vpn", does not exist',
  );
});

test('wake() waits for the stop under way of the container whose network another one uses', async () => {
  const { engine, backend, sink } = await setUp();
  const vpn = { kind: 'docker', container: 'vpn' } as const;
  engine.create('vpn', { status: 'running' });
  engine.create('db', { status: 'exited', networkMode: 'container:vpn' });
  for (const workload of [DB, vpn]) backend.watch(workload);
  await backend.open(sink);
  const answer = engine.hang(/\/stop/);
  const sleeping = backend.sleep(vpn, { graceMs: undefined });
  await engine.requested(/\/stop/);
  const waking = backend.wake(DB, within(3_000));
  await engine.quiet();
  expect(engine.count(/\/start$/)).toBe(0);
  answer();
  await Promise.all([sleeping, waking]);
  const starts = engine.requests.filter((line) => line.endsWith('/start'));
  expect(starts).toHaveLength(2);
  expect(sink.last(KEY)?.state).toBe('running');
});
