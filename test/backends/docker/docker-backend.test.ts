import { expect, test } from 'vitest';
import { pingEngine, readLabelledContainers } from '../../../src/backends/docker/container-labels.ts';
import { MISSING, UNKNOWN } from '../../../src/model/running/observation.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { DB, ENABLED, KEY, setUp, within } from './backend-fixture.ts';

test.each(['1.41', '1.56'] as const)(
  'a container is observed through its whole life, API %s',
  async (shape) => {
    const { engine, backend, sink } = await setUp({ shape });
    expect(backend.watch(DB)).toBe(UNKNOWN);
    await backend.open(sink);
    expect(sink.last(KEY)).toBe(MISSING);

    const db = engine.create('db', { healthcheck: ['CMD', 'true'] });
    await sink.until(() => sink.last(KEY)?.state === 'stopped');
    engine.change(db, 'start', { status: 'running', health: 'starting' });
    await sink.until(() => sink.last(KEY)?.state === 'running');
    expect(sink.last(KEY)).toEqual({
      state: 'running',
      id: db.id,
      run: '2026-11-23T05:25:52.114115654Z',
      hosts: ['198.18.64.2'],
      health: 'starting',
      checkTimes: { firstMs: 1_000, lastMs: 124_000 },
      ownGraceMs: 3_000,
    });
    engine.change(db, 'health_status: healthy', { health: 'healthy' });
    await sink.until(() => sink.last(KEY)?.health === 'healthy');
    engine.change(db, 'pause', { status: 'paused' });
    await sink.until(() => sink.last(KEY)?.state === 'paused');
    engine.change(db, 'die', { status: 'restarting', exitCode: 3 });
    await sink.until(() => sink.last(KEY)?.state === 'starting');
    engine.change(db, 'die', { status: 'exited', exitCode: 3 });
    await sink.until(() => sink.last(KEY)?.state === 'stopped');
    expect(sink.last(KEY)?.detail).toBe('exit code 3');
    engine.remove(db);
    await sink.until(() => sink.last(KEY)?.state === 'missing');
  },
);

test.each([
  ['by itself', [], false],
  ['since others kill it', ['kill'], true],
] as const)(
  'the end of a run that ends %s is told before the container is looked at',
  async (_, before, byOthers) => {
    const { engine, backend, sink } = await setUp();
    const db = engine.create('db', { status: 'running' });
    backend.watch(DB);
    await backend.open(sink);
    for (const action of before) engine.change(db, action, {});
    engine.change(db, 'die', { status: 'exited', exitCode: 137 });
    await sink.until(() => sink.last(KEY)?.state === 'stopped');
    expect(sink.ends).toEqual([{ key: KEY, byOthers, after: 1 }]);
  },
);

test('paths carry no API version, and the subscription comes before the list', async () => {
  const { engine, backend, sink } = await setUp();
  await backend.open(sink);
  expect(engine.requests).toEqual([expect.stringMatching(/^GET \/events\?/), 'GET /containers/json?all=1']);
  expect(engine.requests[0]).not.toContain('exec');
});

test('a container at rest is known from the list alone, a running one takes an inspect', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'exited', exitCode: 137 });
  engine.create('web', { status: 'running' });
  backend.watch(DB);
  backend.watch({ kind: 'docker', container: 'web' });
  await backend.open(sink);
  expect(sink.last(KEY)).toMatchObject({ state: 'stopped', detail: 'killed by SIGKILL (exit code 137)' });
  expect(sink.last('docker/web')).toMatchObject({ state: 'running', hosts: ['198.18.64.2'] });
  expect(engine.count(/^GET \/containers\/[^/]+\/json/)).toBe(1);
});

test('watch() tells at once what takes no inspect, and the rest soon', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'exited' });
  engine.create('web', { status: 'running' });
  await backend.open(sink);
  expect(backend.watch(DB).state).toBe('stopped');
  expect(backend.watch({ kind: 'docker', container: 'nobody' })).toBe(MISSING);
  expect(backend.watch({ kind: 'docker', container: 'web' })).toBe(UNKNOWN);
  await sink.until(() => sink.last('docker/web')?.state === 'running');
});

test('nothing is told, and nothing asked, of a container that is not watched any more', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db', { labels: ENABLED });
  backend.watch(DB);
  await backend.open(sink);
  backend.unwatch(DB);
  const told = sink.observations.length;
  engine.change(db, 'start', { status: 'running' });
  engine.create('mark', { labels: ENABLED });
  await sink.until(() => sink.snapshots.length === 2);
  expect(sink.observations.length).toBe(told);
  expect(engine.count(/^GET \/containers\/[^/]+\/json/)).toBe(0);
});

test('what happens while the list is made is applied after it', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db', { status: 'exited' });
  backend.watch(DB);
  const release = engine.hang(/^GET \/containers\/json/);
  const opening = backend.open(sink);
  await engine.requested(/^GET \/containers\/json/);
  engine.emit(db, 'start');
  // Nothing shows that the event was read, and it must be before the list.
  await engine.quiet();
  release();
  // The list was made before the start, though its event came first.
  db.status = 'running';
  await opening;
  await sink.until(() => sink.last(KEY)?.state === 'running');
});

test('a burst of events costs two inspects at most', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  engine.write(engine.eventLine(db, 'kill').repeat(20));
  engine.change(db, 'start', { status: 'running' });
  await sink.until(() => sink.last(KEY)?.state === 'running');
  await engine.quiet();
  expect(engine.count(/^GET \/containers\/[^/]+\/json/)).toBeLessThanOrEqual(2);
});

test('events are understood when they arrive in pieces, also within a character', async () => {
  const { engine, backend, sink } = await setUp();
  await backend.open(sink);
  const db = engine.create('other');
  const line = engine.eventLine(
    { ...db, id: 'e1', name: 'db', labels: { ...ENABLED, motto: 'é€😀' } },
    'create',
  );
  const bytes = new TextEncoder().encode(line);
  for (let at = 0; at < bytes.length; at += 1) {
    engine.write(bytes.subarray(at, at + 1));
    if (at % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await sink.until(() => sink.snapshots.length === 2);
  expect(sink.snapshots[1]).toMatchObject([
    { ref: { kind: 'docker', name: 'db' }, labels: { ...ENABLED, motto: 'é€😀' } },
  ]);
});

test('a container recreated under a temporary name is observed with its new id', async () => {
  const { engine, backend, sink } = await setUp();
  const old = engine.create('db', { status: 'running' });
  backend.watch(DB);
  await backend.open(sink);
  const fresh = engine.create('c1_db');
  engine.remove(old);
  engine.change(fresh, 'rename', { name: 'db' });
  await sink.until(() => sink.last(KEY)?.id === fresh.id);
  expect(sink.last(KEY)?.state).toBe('stopped');
});

test('a container that lost its name unseen is not observed under it', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  engine.emit(db, 'start');
  Object.assign(db, { name: 'other', status: 'running' });
  await sink.until(() => sink.last(KEY) === MISSING);
});

test('the beginning of an id is not taken for a name', async () => {
  const { engine, backend, sink } = await setUp();
  const prefix = engine.create('web').id.slice(0, 12);
  const workload = { kind: 'docker', container: prefix } as const;
  backend.watch(workload);
  await backend.open(sink);
  expect(sink.last(`docker/${prefix}`)).toBe(MISSING);
  await expect(backend.wake(workload, within(2_000))).rejects.toThrow(`container "${prefix}" does not exist`);
});

test('a container that shares the network of another has its addresses', async () => {
  const { engine, backend, sink } = await setUp();
  const owner = engine.create('vpn', { status: 'running', ipv4: '', ipv6: 'fd00::7' });
  engine.create('db', { status: 'running', networkMode: `container:${owner.id}`, ipv4: '' });
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.last(KEY)?.hosts).toEqual(['fd00::7']);
});

test('the labels are told whole, once for a burst, and not again when nothing changed', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('web', { labels: { other: 'x' } });
  await backend.open(sink);
  expect(sink.snapshots).toEqual([[]]);
  const db = engine.create('db', { labels: { 'lazy-tcp-proxy.enabled': 'nonsense' } });
  engine.create('app', { labels: ENABLED });
  await sink.until(() => sink.snapshots.length === 2);
  expect(sink.snapshots[1]?.map(({ ref }) => ref.name)).toEqual(['app', 'db']);
  engine.change(db, 'start', { status: 'running' });
  engine.endEvents();
  await sink.until(() => sink.reachability.at(-1)?.reachable === true && sink.reachability.length === 3);
  expect(sink.snapshots.length).toBe(2);
  engine.change(db, 'rename', { name: 'zz' });
  await sink.until(() => sink.snapshots.length === 3);
  expect(sink.snapshots[2]?.map(({ ref }) => ref.name)).toEqual(['app', 'zz']);
});

test('setLabelOptions() tells the labels of another prefix at once, and none when they are off', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { labels: ENABLED });
  engine.create('app', { labels: { 'lazy.enabled': 'true' } });
  await backend.open(sink);
  backend.setLabelOptions({ labels: true, labelPrefixes: ['lazy'] });
  backend.setLabelOptions({ labels: false, labelPrefixes: ['lazy'] });
  expect(sink.snapshots.map((snapshot) => snapshot.map(({ ref }) => ref.name))).toEqual([
    ['db'],
    ['app'],
    [],
  ]);
});

test('close() is idempotent, and afterwards nothing is asked', async () => {
  const clock = new FakeClock();
  const { engine, backend, sink } = await setUp({ clock });
  await backend.open(sink);
  await Promise.all([backend.close(), backend.close()]);
  backend.destroy();
  const asked = engine.requests.length;
  expect(clock.pending).toBe(0);
  await engine.quiet();
  expect(engine.requests.length).toBe(asked);
  await expect(backend.wake(DB, within(1_000))).rejects.toThrow('closed');
});

test('readLabelledContainers() lists once and subscribes to nothing', async () => {
  const { engine } = await setUp();
  engine.create('db', { labels: ENABLED });
  const query = { socket: engine.socketPath, env: {}, clock: systemClock, timeoutMs: 200 };
  const read = () => readLabelledContainers({ ...query, labels: true, labelPrefixes: ['lazy-tcp-proxy'] });
  await pingEngine(query);
  expect(await read()).toMatchObject([{ ref: { kind: 'docker', name: 'db' }, labels: ENABLED }]);
  expect(engine.requests).toEqual(['GET /_ping', 'GET /containers/json?all=1']);
  engine.hang(/json/);
  await expect(read()).rejects.toThrow('did not answer within 0.2 s');
  await engine.goAway();
  await expect(pingEngine(query)).rejects.toThrow('ENOENT');
});

test('a recheck sees what no event has told', async () => {
  const { engine, backend, sink } = await setUp();
  const db = engine.create('db', { status: 'running' });
  backend.watch(DB);
  await backend.open(sink);
  await sink.until(() => sink.last(KEY)?.state === 'running');
  Object.assign(db, { status: 'exited', exitCode: 1 });
  await backend.recheck();
  expect(sink.last(KEY)?.state).toBe('stopped');
});
