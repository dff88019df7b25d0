import { expect, test } from 'vitest';
import { systemClock } from '../../../src/system/clock.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { hasIpv6 } from '../../support/has-ipv6.ts';
import { createDockerBackend } from '../../support/lone-backends.ts';
import { DB, ENABLED, KEY, setUp, within } from '../docker/backend-fixture.ts';
import { RecordingSink } from '../recording-sink.ts';

test('open() resolves at once where the engine is away, and all works when it comes', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'running', labels: ENABLED });
  await engine.goAway();
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.reachability).toEqual([{ reachable: false, reason: expect.stringContaining('ENOENT') }]);
  expect(sink.observations).toEqual([]);
  await engine.comeBack();
  await sink.until(() => sink.last(KEY)?.state === 'running');
  expect(sink.reachability.at(-1)?.reachable).toBe(true);
  expect(sink.snapshots.length).toBe(1);
});

test('what happened while the engine was away is found when it returns, within 5 s', async () => {
  const clock = new FakeClock();
  const { engine, backend, sink } = await setUp({ clock });
  const db = engine.create('db', { status: 'running', labels: ENABLED });
  backend.watch(DB);
  await backend.open(sink);
  await engine.goAway();
  await sink.until(() => sink.reachability.at(-1)?.reachable === false);
  expect(sink.last(KEY)?.state).toBe('running');
  engine.remove(db);
  const fresh = engine.create('db', { status: 'exited', labels: ENABLED });
  const pass = async (ms: number) => {
    await clock.advance(ms);
    await engine.quiet();
  };
  // Until the engine is looked for as seldom as it ever is.
  for (let seconds = 0; seconds < 60; seconds++) await pass(1_000);
  const returnedMs = clock.monotonicMs();
  await engine.comeBack();
  while (sink.last(KEY)?.id !== fresh.id) await pass(50);
  expect(clock.monotonicMs() - returnedMs).toBeLessThan(5_000);
  expect(sink.last(KEY)?.state).toBe('stopped');
  expect(sink.snapshots.at(-1)).toMatchObject([{ ref: { kind: 'docker', name: 'db' }, labels: ENABLED }]);
  // Why it is away is told again where that has changed.
  expect(sink.reachability).toEqual([
    { reachable: true, reason: undefined },
    { reachable: false, reason: 'the engine ended the event stream' },
    { reachable: false, reason: expect.stringContaining('ENOENT') },
    { reachable: true, reason: undefined },
  ]);
});

test.each(['/events', '/containers/json'])(
  'a %s that is refused or breaks off is tried again',
  async (path) => {
    const { engine, backend, sink } = await setUp();
    const pattern = new RegExp(path);
    const relent = engine.refuse(pattern, { status: 500, message: 'not today' });
    await backend.open(sink);
    expect(sink.reachability).toEqual([{ reachable: false, reason: 'not today' }]);
    const mend = engine.breakOff(pattern);
    relent();
    const asked = engine.count(pattern);
    await engine.requestedTimes(pattern, asked + 2);
    mend();
    await sink.until(() => sink.reachability.at(-1)?.reachable === true);
  },
);

test('an engine that takes long over one container counts as reached', async () => {
  const clock = new FakeClock();
  const { engine, backend, sink } = await setUp({ clock });
  engine.create('db', { status: 'running' });
  const release = engine.hang(/^GET \/containers\/c/);
  backend.watch(DB);
  const opening = backend.open(sink);
  await engine.requested(/^GET \/containers\/c/);
  await clock.advance(5_000);
  await opening;
  expect(sink.reachability).toEqual([{ reachable: true, reason: undefined }]);
  release();
});

test('an engine that was reached for a while is looked for soon again, however long it was away before', async () => {
  const clock = new FakeClock();
  const { engine, backend, sink } = await setUp({ clock });
  await engine.goAway();
  await backend.open(sink);
  for (let seconds = 0; seconds < 30; seconds++) await clock.advance(1_000);
  await engine.comeBack();
  while (sink.reachability.at(-1)?.reachable !== true) await clock.advance(50);
  await clock.advance(2_000);
  engine.endEvents();
  await sink.until(() => sink.reachability.at(-1)?.reachable === false);
  await clock.advance(100);
  await sink.until(() => sink.reachability.at(-1)?.reachable === true);
});

test('something else that answers at the address is not taken for an engine', async () => {
  const { engine, backend, sink } = await setUp();
  engine.refuse(/json/, { status: 200, message: 'hello' });
  await backend.open(sink);
  expect(sink.reachability[0]?.reason).toBe('what answers there is not a container engine');
});

test('nothing is said of a container whose inspect broke off with the engine', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  const release = engine.hang(/^GET \/containers\/c/);
  engine.change(db, 'start', { status: 'running' });
  await engine.requested(/^GET \/containers\/c/);
  await engine.goAway();
  await sink.until(() => sink.reachability.at(-1)?.reachable === false);
  release();
  expect(sink.states(KEY)).toEqual(['stopped']);
  await engine.comeBack();
  await sink.until(() => sink.last(KEY)?.state === 'running');
});

test('an inspect that breaks off alone is made again', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  const mend = engine.breakOff(/^GET \/containers\/c/);
  engine.change(db, 'start', { status: 'running' });
  await engine.requested(/^GET \/containers\/c/);
  mend();
  await sink.until(() => sink.last(KEY)?.state === 'running');
});

test.each(['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])])(
  'the engine is reached over TCP too, at %s',
  async (host) => {
    const { engine } = await setUp();
    const { createServer, connect } = await import('node:net');
    const sockets: import('node:net').Socket[] = [];
    const bridge = createServer((socket) => {
      const other = connect(engine.socketPath);
      sockets.push(socket, other);
      socket.pipe(other).pipe(socket);
      for (const end of [socket, other]) end.on('error', () => {});
    });
    await new Promise<void>((resolve) => bridge.listen(0, host, resolve));
    const { port } = bridge.address() as { port: number };
    const options = {
      env: {},
      labels: true,
      labelPrefixes: ['p'],
      clock: systemClock,
      logger: silentLogger,
    } as const;
    const backend = createDockerBackend({
      ...options,
      socket: `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`,
    });
    const sink = new RecordingSink();
    engine.create('db');
    await backend.open(sink);
    await backend.wake(DB, within(3_000));
    expect(sink.reachability).toEqual([{ reachable: true, reason: undefined }]);
    expect(engine.requests[1]).toBe('GET /containers/json?all=1');
    await backend.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => bridge.close(resolve));
  },
);
