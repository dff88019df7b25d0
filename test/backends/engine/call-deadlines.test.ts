import { expect, onTestFinished, test } from 'vitest';
import {
  CALL_DEADLINES_MS,
  type EngineCall,
  ownGraceMs,
} from '../../../src/backends/engine/call-deadlines.ts';
import { createEngineClient, type EngineClient } from '../../../src/backends/engine/engine-client.ts';
import { SwarmClient } from '../../../src/backends/swarm/swarm-client.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { createDockerBackend } from '../../support/lone-backends.ts';
import { ScriptedEngine } from '../../support/scripted-engine.ts';
import { DB, HOST, KEY } from '../docker/backend-fixture.ts';
import { RecordingSink } from '../recording-sink.ts';

interface HungCall {
  readonly make: (engine: EngineClient, swarm: SwarmClient, signal: AbortSignal) => Promise<unknown>;
  /** Beside the deadline. */
  readonly extraMs?: number;
}

const ID = 'c'.repeat(64);
const SERVICE = 's'.repeat(25);

/** How each call is made: a new one needs a line here. */
const CALLS: Readonly<Record<EngineCall, HungCall>> = {
  ping: { make: (engine, _, signal) => engine.ping(signal) },
  info: { make: (_, swarm, signal) => swarm.view(signal) },
  events: {
    make: (engine, _, signal) => engine.events({ filter: { types: [], actions: [] }, sinceMs: 0, signal }),
  },
  'past events': {
    make: (engine, _, signal) =>
      engine.pastEvents({ filter: { types: [], actions: [] }, sinceNs: 0, untilMs: 0, signal }),
  },
  'list containers': { make: (engine, _, signal) => engine.list(signal) },
  'inspect container': { make: (engine, _, signal) => engine.inspect('db', signal) },
  'inspect image': { make: (engine, _, signal) => engine.inspectImage('i', signal) },
  'start container': { make: (engine, _, signal) => engine.start(ID, signal) },
  'pause container': { make: (engine, _, signal) => engine.pause(ID, signal) },
  'unpause container': { make: (engine, _, signal) => engine.unpause(ID, signal) },
  'stop container': {
    make: (engine, _, signal) => engine.stop(ID, { graceMs: undefined, ownGraceMs: 7_000, signal }),
    extraMs: 7_000,
  },
  'read log': {
    make: (engine, _, signal) =>
      engine.readLog(ID, { lines: 20, sinceMs: undefined, signal, read: async () => undefined }),
  },
  'read stats': { make: (engine, _, signal) => engine.stats(ID, signal) },
  'create exec': { make: (engine, _, signal) => engine.createExec(ID, ['a'], signal) },
  'start exec': { make: (engine, _, signal) => engine.startExec(ID, signal) },
  'inspect exec': { make: (engine, _, signal) => engine.inspectExec(ID, signal) },
  'join network': {
    make: (engine, _, signal) => engine.connectNetwork('n', { containerId: 'c', endpoint: {}, signal }),
  },
  'leave network': {
    make: (engine, _, signal) => engine.disconnectNetwork('n', { containerId: 'c', signal }),
  },
  'inspect network': { make: (_, swarm, signal) => swarm.network('n', signal) },
  'list services': { make: (_, swarm, signal) => swarm.view(signal) },
  'inspect service': { make: (_, swarm, signal) => swarm.serviceByName('s', signal) },
  'update service': { make: (_, swarm, signal) => swarm.update({ ID: SERVICE }, { spec: {}, signal }) },
  'list tasks': { make: (_, swarm, signal) => swarm.tasks(SERVICE, signal) },
  'list nodes': { make: (_, swarm, signal) => swarm.nodes(signal) },
};

test.each(Object.entries(CALLS))(
  'the call "%s" is given up at its deadline',
  async (name, { make, extraMs = 0 }) => {
    const { engine, clock } = await setUp();
    const client = createEngineClient({ kind: 'socket', path: engine.socketPath }, clock);
    onTestFinished(() => client.close());
    if (name === 'list services') engine.answer(/^GET \/info/, { Swarm: { ControlAvailable: true } });
    engine.hang(name === 'list services' ? /^GET \/services/ : /./);
    const { signal } = new AbortController();
    const asked = make(client, new SwarmClient(client), signal);
    const deadlineMs = CALL_DEADLINES_MS[name as EngineCall] + extraMs;
    const given = expect(asked).rejects.toMatchObject({
      code: 'ENGINE_UNREACHABLE',
      message: `no answer within ${deadlineMs / 1000} s`,
    });
    await engine.requested(name === 'list services' ? /^GET \/services/ : /./);
    await clock.advance(deadlineMs - 1);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    await given;
    expect(clock.pending).toBe(0);
    const { seconds, errors = 0 } = client.calls.byKind.get(name) ?? {};
    expect([errors, seconds?.sum]).toEqual([1, deadlineMs / 1_000]);
  },
);

test('an answer that there is no such container counts as a call, and as no error', async () => {
  const { engine, clock } = await setUp();
  const client = createEngineClient({ kind: 'socket', path: engine.socketPath }, clock);
  onTestFinished(() => client.close());
  expect(await client.inspect('gone', new AbortController().signal)).toBeUndefined();
  const { seconds, errors } = client.calls.byKind.get('inspect container') ?? {};
  expect([errors, [...(seconds?.counts ?? [])].reduce((sum, count) => sum + count)]).toEqual([0, 1]);
});

test.each([
  [undefined, 10_000],
  [null, 10_000],
  [0, 0],
  [90, 90_000],
  [-1, 600_000],
])('a container with the stop timeout %s is given %i ms of its own', (seconds, graceMs) => {
  expect(ownGraceMs(seconds)).toBe(graceMs);
});

test('a stop that is carried out and never answered counts once it is seen', async () => {
  const { engine, backend, sink, clock } = await setUpBackend({ status: 'running' });
  engine.swallow(/\/stop/);
  let isOver = false;
  const sleeping = backend.sleep(DB, { graceMs: undefined }).then(() => {
    isOver = true;
  });
  await sink.until(() => sink.last(KEY)?.state === 'stopped');
  await clock.advance(999);
  expect(isOver).toBe(false);
  await clock.advance(1);
  await sleeping;
});

test.each([
  ['the container’s own grace', undefined, 3_000],
  ['the service’s grace', 5_000, 5_000],
])('a stop that hangs with %s fails 10 s after it, and the next one works', async (_, graceMs, waitedMs) => {
  const { engine, backend, sink, clock } = await setUpBackend({ status: 'running' });
  const answer = engine.hang(/\/stop/);
  const failed = expect(backend.sleep(DB, { graceMs })).rejects.toThrow(
    `cannot stop container "db": no answer within ${waitedMs / 1000 + 10} s`,
  );
  await engine.requested(/\/stop/);
  await clock.advance(waitedMs + 10_000);
  await failed;
  expect(sink.last(KEY)?.state).toBe('running');
  engine.forget();
  answer();
  const stopped = backend.sleep(DB, { graceMs });
  await stopped;
  expect(sink.last(KEY)?.state).toBe('stopped');
});

test.each([
  ['start', 'exited'],
  ['unpause', 'paused'],
] as const)('a %s that is carried out and never answered counts once it is seen', async (action, status) => {
  const { engine, backend, sink, clock } = await setUpBackend({ status });
  await sink.until(() => sink.last(KEY)?.id !== '');
  engine.swallow(new RegExp(`/${action}$`));
  const waking = backend.wake(DB, new AbortController());
  await sink.until(() => sink.last(KEY)?.state === 'running');
  await clock.advance(1_000);
  await waking;
  expect(engine.count(new RegExp(`/${action}$`))).toBe(1);
});

test('a start that hangs is looked at at its deadline, and asked for again', async () => {
  const { engine, backend, sink, clock } = await setUpBackend({ status: 'exited' });
  const answer = engine.hang(/\/start$/);
  const waking = backend.wake(DB, new AbortController());
  await engine.requested(/\/start$/);
  await clock.advance(60_000);
  answer();
  await expect.poll(() => clock.delaysMs.length, { interval: 1 }).toBeGreaterThan(0);
  await clock.advance(100);
  await waking;
  expect(sink.last(KEY)?.state).toBe('running');
});

test('a list that hangs ends the connection to the engine, which is made anew', async () => {
  const { engine, backend, sink, clock } = await setUp();
  const answer = engine.hang(/^GET \/containers\/json/);
  const opened = backend.open(sink);
  await engine.requested(/^GET \/containers\/json/);
  await clock.advance(60_000);
  await opened;
  answer();
  await expect.poll(() => sink.reachability.at(-1), { interval: 1 }).toMatchObject({ reachable: false });
  await clock.advance(100);
  await sink.until(() => sink.reachability.at(-1)?.reachable === true);
});

async function setUp() {
  const clock = new FakeClock();
  const engine = await ScriptedEngine.start();
  const backend = createDockerBackend({
    ...{ socket: engine.socketPath, env: {}, labels: true, labelPrefixes: ['lazy-tcp-proxy'] },
    ...{ system: HOST, clock, logger: silentLogger },
  });
  onTestFinished(async () => {
    await backend.close();
    await engine.close();
    await settle();
    expect(clock.pending).toBe(0);
  });
  return { engine, backend, sink: new RecordingSink(), clock };
}

async function setUpBackend(fields: Parameters<ScriptedEngine['create']>[1]) {
  const bed = await setUp();
  bed.engine.create('db', fields);
  bed.backend.watch(DB);
  await bed.backend.open(bed.sink);
  return bed;
}
