import { expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '../../../src/system/clock.ts';
import { createSwarmBackend } from '../../support/lone-backends.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { HOST, within } from '../docker/backend-fixture.ts';
import { RecordingSink } from '../recording-sink.ts';
import { NODE, ScriptedSwarm } from './scripted-swarm.ts';

const WEB = { kind: 'swarm', service: 'web' } as const;
const PREFIX = 'lazy-tcp-proxy';
const ELSEWHERE = 'prune';
/** What an engine would have to be broken, or somebody else, to tell. */
const HOSTILE = [
  `../../images/${ELSEWHERE}?x=`,
  `..%2f..%2fimages%2f${ELSEWHERE}`,
  `${ELSEWHERE}`,
  '',
  '..',
  `${NODE.slice(1)}A`,
  `${NODE}0`,
];

async function setUp() {
  const swarm = await ScriptedSwarm.start();
  const logger = createRecordingLogger();
  const backend = createSwarmBackend({
    ...{ socket: swarm.socketPath, env: {}, labels: true, labelPrefixes: [PREFIX], system: HOST },
    ...{ clock: systemClock, logger },
  });
  onTestFinished(async () => {
    await backend.close();
    await swarm.close();
  });
  return { swarm, backend, logger, sink: new RecordingSink() };
}

test.each(HOSTILE)('a service whose id the engine tells as %j is an error of the engine’s', async (id) => {
  const { swarm, backend, sink } = await setUp();
  swarm.create('web', {}, id);
  backend.watch(WEB);
  await backend.open(sink);
  const told = `the engine gave ${JSON.stringify(id)} as the id of a service, which is no such id`;
  expect(sink.reachability).toEqual([{ reachable: false, reason: told }]);
  await expect(backend.sleep(WEB)).rejects.toThrow('does not answer');
  expect(swarm.requests.filter((request) => request.includes(ELSEWHERE))).toEqual([]);
});

test.each(HOSTILE)('the event of a service with the id %j leads nowhere', async (id) => {
  const { swarm, backend, sink, logger } = await setUp();
  const web = swarm.create('web');
  await backend.open(sink);
  swarm.emit({ ...web, id }, 'update');
  const told = `cannot read swarm services: the engine gave ${JSON.stringify(id)} as the id of a service, which is no such id`;
  await vi.waitFor(() => expect(logger.lines.map(({ message }) => message)).toContain(told));
  expect(swarm.requests.filter((request) => request.includes(ELSEWHERE))).toEqual([]);
  // What was known of the service before still holds.
  backend.watch(WEB);
  await backend.wake(WEB, within(5_000));
});

test.each([
  ['task', (id: string) => ({ ID: id })],
  ['service', (id: string) => ({ ServiceID: id })],
  ['node', (id: string) => ({ NodeID: id })],
  ['container', (id: string) => ({ Status: { ContainerStatus: { ContainerID: id } } })],
] as const)('a task with a hostile id of a %s is an error of the engine’s', async (what, fields) => {
  const { swarm, backend, sink } = await setUp();
  const web = swarm.create('web');
  swarm.setTasks(web, ['running', 'running']);
  const id = `../../images/${ELSEWHERE}?x=`;
  web.tasks = web.tasks.map((task) => ({ ...task, ...fields(id) }));
  await backend.open(sink);
  const told = `the engine gave ${JSON.stringify(id)} as the id of a ${what}, which is no such id`;
  expect(sink.reachability).toEqual([{ reachable: false, reason: told }]);
});
