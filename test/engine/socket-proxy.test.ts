/** A socket proxy in front of the engine that refuses what the proxy can do without: that part says so, and the rest works. */
import { expect, test } from 'vitest';
import type { AboutAnswer, ServiceDetailAnswer } from '../../src/status/api/answers.ts';
import { freePorts } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { startFilteringSocket } from './support/filtering-socket.ts';
import { get, getJson } from './support/http.ts';
import { runCli } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

const TOKEN = 'a-token-of-this-test';

/** What compose.strict.yaml of the example lets through, without what nothing else depends on. */
const isNeeded = (method: string, path: string) =>
  (method === 'GET' && /^\/(_ping|events|containers\/json|containers\/[a-zA-Z0-9_.-]+\/json)$/.test(path)) ||
  (method === 'POST' && /^\/containers\/[a-zA-Z0-9_.-]+\/(start|stop)$/.test(path));

async function open() {
  const bed = await openTestBed();
  const socket = await startFilteringSocket(isNeeded);
  bed.atEnd(() => socket.close());
  const [webPort = 0, brokenPort = 0, pausedPort = 0] = await freePorts(3);
  const create = async (name: string, cmd: readonly string[]) =>
    bed.scope.createContainer({ name: bed.scope.name(name), cmd });
  const web = await create('web', httpdCommand());
  const broken = await create('broken', ['sh', '-c', 'echo no database; exit 3']);
  const paused = await create('paused', httpdCommand());
  await paused.start();
  await paused.pause();
  bed.atEnd(() => paused.unpause().catch(() => {}));
  const proxy = await bed.startProxy({
    services: {
      web: { container: web.name, ports: [`${webPort}:80`], idle_timeout: '1s' },
      broken: { container: broken.name, ports: [`${brokenPort}:80`], start_timeout: '3s' },
      paused: { container: paused.name, ports: [`${pausedPort}:80`], start_timeout: '3s' },
    },
    env: { DOCKER_HOST: socket.host, LAZY_PROXY_TOKEN: TOKEN },
  });
  const read = async (name: string, query = '') => {
    const url = `${proxy.statusUrl}/api/services/${name}${query}`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
    return (await answer.json()) as ServiceDetailAnswer;
  };
  const turnAway = async (port: number) => {
    const client = await connectTcp(port);
    await client.closed;
    client.destroy();
  };
  return { socket, proxy, read, turnAway, ports: { web: webPort, broken: brokenPort, paused: pausedPort } };
}

test('memory is left out with the reason where stats are refused, and the service wakes, sleeps and is shown', async () => {
  const { socket, proxy, read, ports } = await open();
  await get(ports.web);
  const { memory, state } = await read('web', '?memory=true');
  expect(state).toBe('ready');
  expect(memory?.problem).toMatch(/403/);
  expect(memory?.problem).not.toMatch(/[<\n]/);
  expect(socket.refused()).toContainEqual(expect.stringMatching(/^GET \/containers\/[0-9a-f]+\/stats$/));
  await waitUntil(async () => (await read('web')).life === 'asleep');
  await get(ports.web);
  const shown = await runCli(['status', 'web', '--url', proxy.statusUrl]);
  expect(shown).toMatchObject({ status: 0, stderr: '', stdout: expect.stringMatching(/awake/) });
  const { engines } = await getJson<AboutAnswer>(`${proxy.statusUrl}/api`);
  expect(engines.filter(({ answers }) => !answers)).toEqual([]);
});

test('what a container printed is left out with the reason where logs are refused, and why it failed is told', async () => {
  const { socket, proxy, read, turnAway, ports } = await open();
  await turnAway(ports.broken);
  const failed = await proxy.waitForLog('wake-failed');
  expect(failed.msg).toMatch(/exit code 3/);
  await waitUntil(() => socket.refused().some((what) => what.endsWith('/logs')));
  await waitUntil(async () => (await read('broken')).wakes[0]?.output_problem !== undefined);
  const { wakes } = await read('broken');
  expect(wakes).toMatchObject([
    {
      result: 'failed',
      reason: expect.stringMatching(/exit code 3/),
      output_problem: expect.stringMatching(/403/),
    },
  ]);
  expect(wakes[0]?.output).toBeUndefined();
  const { stdout } = await runCli(['explain', 'broken', '--url', proxy.statusUrl]);
  expect(stdout).toMatch(/what it had printed can't be read: .*403/);
  const told = await proxy.waitForLog(({ msg }) => /403/.test(msg));
  expect(told.msg).not.toMatch(/[<\n]/);
});

test('a container that is paused is not woken where unpausing is refused, and its clients are told why', async () => {
  const { proxy, read, turnAway, ports } = await open();
  await turnAway(ports.paused);
  const failed = await proxy.waitForLog('wake-failed');
  expect(failed.msg).toMatch(/403/);
  expect(failed.msg).not.toMatch(/[<\n]/);
  expect((await read('paused')).wakes).toMatchObject([{ reason: expect.stringMatching(/403/) }]);
  await get(ports.web);
});
