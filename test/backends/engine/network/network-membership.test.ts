import { expect, onTestFinished, test, vi } from 'vitest';
import type { DockerBackend } from '../../../../src/backends/docker/docker-backend.ts';
import { systemClock } from '../../../../src/system/clock.ts';
import type { ScriptedContainer } from '../../../support/engine-answers.ts';
import { createDockerBackend } from '../../../support/lone-backends.ts';
import { createRecordingLogger, type LoggedLine } from '../../../support/recording-logger.ts';
import { ScriptedEngine } from '../../../support/scripted-engine.ts';
import { DB, KEY, within } from '../../docker/backend-fixture.ts';
import { RecordingSink } from '../../recording-sink.ts';

const CHANGE = /^POST \/networks/;

interface Bench {
  readonly engine: ScriptedEngine;
  readonly backend: DockerBackend;
  readonly sink: RecordingSink;
  readonly proxy: ScriptedContainer;
  readonly lines: readonly LoggedLine[];
}

/** A proxy in a container on the default bridge, whose backend isn't opened yet. */
async function setUp(
  options: { readonly networkMode?: string; readonly joinNetworks?: boolean } = {},
): Promise<Bench> {
  const engine = await ScriptedEngine.start();
  const proxy = engine.create('proxy', { status: 'running', networkMode: options.networkMode ?? 'bridge' });
  const cgroup = `1:cpu:/docker/${proxy.id}\n`;
  const logger = createRecordingLogger();
  const backend = createDockerBackend({
    ...{ socket: engine.socketPath, env: {}, labels: true, labelPrefixes: ['p'], clock: systemClock, logger },
    joinNetworks: options.joinNetworks ?? true,
    system: {
      readFile: (path) =>
        path === '/proc/self/cgroup' ? Promise.resolve(cgroup) : Promise.reject(new Error('no')),
      hostname: () => 'proxy',
    },
  });
  onTestFinished(async () => {
    await backend.close();
    await engine.close();
  });
  return { engine, backend, sink: new RecordingSink(), proxy, lines: logger.lines };
}

function networksOf(proxy: ScriptedContainer): readonly string[] {
  return [...proxy.joined.keys()].sort();
}

function until(isTrue: () => boolean): Promise<unknown> {
  return vi.waitUntil(isTrue, { timeout: 3_000, interval: 5 });
}

/** `connect` and `disconnect`, in their order. */
function listChanges(engine: ScriptedEngine): readonly (string | undefined)[] {
  return engine.requests.filter((line) => CHANGE.test(line)).map((line) => line.split('/').at(-1));
}

test.each(['created', 'exited', 'running'] as const)(
  'the network of a container that is %s is joined',
  async (status) => {
    const { engine, backend, sink, proxy, lines } = await setUp();
    engine.create('db', { status });
    backend.watch(DB);
    await backend.open(sink);
    await until(() => networksOf(proxy).length === 1);
    expect(networksOf(proxy)).toEqual(['n1']);
    const find = () => lines.find(({ fields }) => fields.event === 'network-join');
    await until(() => find() !== undefined);
    expect(find()).toMatchObject({
      level: 'info',
      message: 'joined network n1 for db',
      fields: { network: 'n1' },
    });
  },
);

test('a network is joined for a container that is watched later, and for one that appears later', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  engine.create('db', { status: 'exited' });
  backend.watch({ kind: 'docker', container: 'web' });
  await backend.open(sink);
  backend.watch(DB);
  await until(() => networksOf(proxy).includes('n1'));
  engine.create('web', { networkMode: 'n2' });
  await until(() => networksOf(proxy).includes('n2'));
});

test('a running container is told of when its network was joined, not before', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  engine.create('db', { status: 'running' });
  const release = engine.hang(/\/connect$/);
  backend.watch(DB);
  const opening = backend.open(sink);
  await engine.requested(/\/connect$/);
  await engine.quiet();
  expect(sink.states(KEY)).toEqual([]);
  release();
  await opening;
  expect(networksOf(proxy)).toEqual(['n1']);
  expect(sink.states(KEY)).toEqual(['running']);
});

test('wake() starts a container while its network is being joined, and waits for both', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  engine.create('db', { status: 'exited' });
  const release = engine.hang(/\/connect$/);
  backend.watch(DB);
  await backend.open(sink);
  let isAwake = false;
  const waking = backend.wake(DB, within(3_000)).then(() => {
    isAwake = true;
  });
  await engine.requested(/\/start$/);
  await engine.quiet();
  expect(isAwake).toBe(false);
  release();
  await waking;
  expect(networksOf(proxy)).toEqual(['n1']);
  expect(sink.last(KEY)?.hosts).toEqual(['198.18.64.2']);
});

test('wake() ends with its signal while a network is being joined', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'exited' });
  const release = engine.hang(/\/connect$/);
  backend.watch(DB);
  await backend.open(sink);
  await expect(backend.wake(DB, within(200))).rejects.toMatchObject({ name: 'TimeoutError' });
  release();
});

test('wake() succeeds where the network refuses the proxy, and the next event tries again', async () => {
  const { engine, backend, sink, proxy, lines } = await setUp();
  const db = engine.create('db', { status: 'exited' });
  const allow = engine.refuse(/\/connect$/, { status: 403, message: 'not attachable' });
  backend.watch(DB);
  await backend.open(sink);
  await backend.wake(DB, within(3_000));
  expect(sink.last(KEY)?.state).toBe('running');
  const warnings = lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
  expect(new Set(warnings)).toEqual(new Set(['cannot join network n1 for db: not attachable']));
  allow();
  engine.emit(db, 'health_status: healthy');
  await until(() => networksOf(proxy).includes('n1'));
});

test('a network that is gone is no reason for a warning', async () => {
  const { engine, backend, sink, lines } = await setUp();
  engine.create('db', { status: 'exited' });
  engine.removeNetwork('n1');
  backend.watch(DB);
  await backend.open(sink);
  await until(() => lines.some(({ fields }) => fields.event === 'network-join'));
  expect(lines.map(({ level }) => level)).toEqual(['debug']);
});

test('a network where the proxy is already is neither joined nor left', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  proxy.joined.set('n1', {});
  engine.create('db', { status: 'exited' });
  backend.watch(DB);
  await backend.open(sink);
  backend.unwatch(DB);
  await engine.quiet();
  await backend.close();
  expect(engine.count(CHANGE)).toBe(0);
});

test('a network that somebody else joined meanwhile stays when it is no longer needed', async () => {
  const { engine, backend, sink, proxy, lines } = await setUp();
  engine.create('db', { status: 'exited' });
  const release = engine.hang(/\/connect$/);
  backend.watch(DB);
  await backend.open(sink);
  await engine.requested(/\/connect$/);
  engine.attach(proxy, 'n1');
  release();
  await engine.quiet();
  backend.unwatch(DB);
  await engine.quiet();
  expect(networksOf(proxy)).toEqual(['n1']);
  expect(lines).toEqual([]);
});

test.each([
  ['is removed', ({ engine }: Bench, db: ScriptedContainer) => engine.remove(db)],
  ['is no longer watched', ({ backend }: Bench) => backend.unwatch(DB)],
  [
    'has moved to another network',
    ({ engine }: Bench, db: ScriptedContainer) => engine.change(db, 'disconnect', { networkMode: 'n2' }),
  ],
])('a network is left when the last container that needs it %s', async (_, change) => {
  const bench = await setUp();
  const { engine, backend, sink, proxy, lines } = bench;
  engine.create('other', { status: 'exited', networkMode: 'n2' });
  const db = engine.create('db', { status: 'running' });
  backend.watch(DB);
  await backend.open(sink);
  expect(networksOf(proxy)).toEqual(['n1']);
  change(bench, db);
  await until(() => !networksOf(proxy).includes('n1'));
  await until(() => lines.some(({ message }) => message === 'left network n1'));
});

test('a network is kept while another watched container needs it', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  const web = { kind: 'docker', container: 'web' } as const;
  engine.create('db');
  engine.create('web');
  backend.watch(DB);
  backend.watch(web);
  await backend.open(sink);
  await until(() => networksOf(proxy).length === 1);
  backend.unwatch(DB);
  await engine.quiet();
  expect(networksOf(proxy)).toEqual(['n1']);
  backend.unwatch(web);
  await until(() => networksOf(proxy).length === 0);
});

test('a container that is let go and watched again in one go costs no network', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  engine.create('db', { status: 'exited' });
  backend.watch(DB);
  await backend.open(sink);
  await until(() => networksOf(proxy).length === 1);
  backend.unwatch(DB);
  backend.watch(DB);
  await engine.quiet();
  expect(listChanges(engine)).toEqual(['connect']);
});

test('close() leaves what was joined, and nothing else', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  proxy.joined.set('own', {});
  engine.create('db');
  engine.create('web', { networkMode: 'n2' });
  backend.watch(DB);
  backend.watch({ kind: 'docker', container: 'web' });
  await backend.open(sink);
  await until(() => networksOf(proxy).length === 3);
  await Promise.all([backend.close(), backend.close()]);
  expect(networksOf(proxy)).toEqual(['own']);
  expect(listChanges(engine)).toEqual(['connect', 'connect', 'disconnect', 'disconnect']);
});

test('close() waits no longer than 3 s for an engine that does not answer', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  engine.create('db');
  backend.watch(DB);
  await backend.open(sink);
  await until(() => networksOf(proxy).length === 1);
  engine.hang(/\/disconnect$/);
  const startMs = systemClock.monotonicMs();
  await backend.close();
  expect(systemClock.monotonicMs() - startMs).toBeLessThan(4_000);
});

test('what an earlier life of the proxy joined is left when nobody needs it', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  proxy.joined.set('n1', { DriverOpts: { 'lazy-proxy.joined': 'true' } });
  proxy.joined.set('own', {});
  engine.create('db', { networkMode: 'n1' });
  engine.create('web', { networkMode: 'own' });
  await backend.open(sink);
  await until(() => networksOf(proxy).length === 1);
  expect(networksOf(proxy)).toEqual(['own']);
});

test.each([
  ['host', ['127.0.0.1', '::1']],
  ['none', []],
])('nothing is joined when the proxy has the network %s', async (networkMode, hosts) => {
  const { engine, backend, sink } = await setUp({ networkMode });
  engine.create('db', { status: 'running' });
  engine.create('plain', { status: 'running', networkMode: 'host' });
  backend.watch(DB);
  backend.watch({ kind: 'docker', container: 'plain' });
  await backend.open(sink);
  await engine.quiet();
  expect(engine.count(CHANGE)).toBe(0);
  expect(sink.last(KEY)?.hosts).toEqual(['198.18.64.2']);
  expect(sink.last('docker/plain')?.hosts).toEqual(hosts);
});

test('a container on the network of the host is reached at the gateway of the proxy', async () => {
  const { engine, backend, sink } = await setUp();
  engine.create('db', { status: 'running', networkMode: 'host' });
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.last(KEY)?.hosts).toEqual(['198.18.64.1']);
  expect(engine.count(CHANGE)).toBe(0);
});

test.each(['running', 'exited'] as const)(
  'the network of the container whose network is shared is joined, and %s is told right',
  async (status) => {
    const { engine, backend, sink, proxy } = await setUp();
    const owner = engine.create('vpn', { status: 'running', networkMode: 'n2', ipv4: '198.18.65.2' });
    engine.create('db', { status, networkMode: `container:${owner.id}` });
    backend.watch(DB);
    await backend.open(sink);
    await until(() => networksOf(proxy).length === 1);
    expect(networksOf(proxy)).toEqual(['n2']);
    expect(sink.last(KEY)?.hosts).toEqual(status === 'running' ? ['198.18.65.2'] : []);
  },
);

test('networks that appear and go with the setting are joined and left', async () => {
  const { engine, backend, sink, proxy } = await setUp({ joinNetworks: false });
  engine.create('db', { status: 'running' });
  backend.watch(DB);
  await backend.open(sink);
  await engine.quiet();
  expect(engine.count(CHANGE)).toBe(0);
  backend.setJoinNetworks(true);
  await until(() => networksOf(proxy).includes('n1'));
  backend.setJoinNetworks(false);
  await until(() => networksOf(proxy).length === 0);
});

test('a network from which the proxy was taken off is joined again at the next event', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  const db = engine.create('db', { status: 'running' });
  engine.create('web', { status: 'running', networkMode: 'n2' });
  backend.watch(DB);
  await backend.open(sink);
  engine.detach(proxy, 'n1');
  engine.emit(db, 'restart');
  await until(() => networksOf(proxy).includes('n1'));
  expect(listChanges(engine)).toEqual(['connect', 'connect']);
});

test('after a reconnect the proxy finds out where it is, and joins what is missing', async () => {
  const { engine, backend, sink, proxy, lines } = await setUp();
  engine.create('db', { status: 'exited' });
  backend.watch(DB);
  await backend.open(sink);
  await until(() => lines.length === 1);
  await engine.quiet();
  await engine.goAway();
  proxy.joined.clear();
  await engine.comeBack();
  await until(() => networksOf(proxy).includes('n1'));
});

test('networks are joined one at a time, and what somebody waits for comes first', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  const names = ['a1', 'b1', 'c1', 'd1'];
  for (const name of names) {
    engine.create(name, { status: 'exited', networkMode: name });
    backend.watch({ kind: 'docker', container: name });
  }
  const release = engine.hang(/\/connect$/);
  await backend.open(sink);
  await engine.requested(/\/connect$/);
  const waking = backend.wake({ kind: 'docker', container: 'd1' }, within(3_000));
  await engine.requested(/\/start$/);
  await engine.quiet();
  expect(engine.count(/\/connect$/)).toBe(1);
  release();
  await waking;
  expect(networksOf(proxy)).toContain('d1');
  await until(() => networksOf(proxy).length === 4);
  expect([...proxy.joined.keys()].indexOf('d1')).toBe(1);
});

test('an address that the engine refuses is followed by another one', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  engine.create('db', { status: 'exited', fixed: '198.18.64.254' });
  engine.refuse(CHANGE, { status: 403, message: 'Address already in use', times: 2 });
  backend.watch(DB);
  await backend.open(sink);
  await until(() => networksOf(proxy).length === 1);
  expect(proxy.joined.get('n1')?.IPAddress).toBe('198.18.64.251');
});

test('where nobody has an address configured, the engine chooses the proxy’s', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  engine.create('db', { status: 'exited' });
  backend.watch(DB);
  await backend.open(sink);
  await until(() => networksOf(proxy).length === 1);
  expect(proxy.joined.get('n1')?.IPAMConfig).toBeUndefined();
  expect(engine.count(/^GET \/networks/)).toBe(0);
});

test('a start that is refused because the proxy has the address is made again once it has another', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  const db = engine.create('db', { status: 'exited' });
  backend.watch(DB);
  await backend.open(sink);
  await until(() => networksOf(proxy).length === 1);
  // Made anew by its user, with an address of its own.
  Object.assign(db, { fixed: proxy.joined.get('n1')?.IPAddress });
  const release = engine.refuse(/\/start$/, { status: 500, message: 'Address already in use' });
  const waking = backend.wake(DB, within(3_000));
  await engine.requested(/disconnect$/);
  release();
  await waking;
  expect(sink.last(KEY)?.state).toBe('running');
  expect(proxy.joined.get('n1')?.IPAddress).toBe('198.18.64.254');
  expect(listChanges(engine)).toEqual(['connect', 'disconnect', 'connect']);
});

test('a start that is refused says that the proxy has the address where it was put there by others', async () => {
  const { engine, backend, sink, proxy } = await setUp();
  engine.attach(proxy, 'n1');
  proxy.joined.set('n1', { IPAddress: '198.18.64.2' });
  engine.create('db', { status: 'exited', fixed: '198.18.64.2' });
  backend.watch(DB);
  await backend.open(sink);
  engine.refuse(/\/start$/, { status: 500, message: 'Address already in use' });
  await expect(backend.wake(DB, within(3_000))).rejects.toThrow(
    'cannot start container "db": Address already in use; the proxy itself has 198.18.64.2 on n1',
  );
  expect(listChanges(engine)).toEqual([]);
});
