/** Examples as they are written: the client comes, the service wakes, answers, and sleeps again. */
import { execFile } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { promisify } from 'node:util';
import { describe, expect, type TestContext, test } from 'vitest';
import { type ComposeProject, startExample } from './support/compose.ts';
import { createScope } from './support/engine.ts';
import { get } from './support/http.ts';
import { psqlProgram, whyNoStandIns } from './support/stand-ins.ts';
import { connectTcp } from './support/tcp.ts';
import { waitUntil } from './support/wait-until.ts';

const execute = promisify(execFile);
const WAKE_MS = 30_000;

const obstacle = whyNoStandIns();
if (obstacle !== undefined) {
  const ruler = '!'.repeat(80);
  console.warn(`${ruler}\nTHE EXAMPLES ARE NOT STARTED: ${obstacle}.\n${ruler}`);
}

async function start({ onTestFinished }: TestContext, name: string): Promise<ComposeProject> {
  const scope = createScope();
  onTestFinished(() => scope.cleanup());
  const project = await startExample(scope, name);
  onTestFinished(() => project.remove());
  return project;
}

/** Asks twice, and both times finds it asleep before and sees it fall asleep afterwards. */
async function wakeTwice(
  project: ComposeProject,
  { service, ask }: { readonly service: string; readonly ask: (round: number) => Promise<unknown> },
): Promise<readonly unknown[]> {
  const container = project.container(service);
  const answers: unknown[] = [];
  expect(await container.state()).toBe('created');
  for (const round of [1, 2]) {
    answers.push(await ask(round));
    const sleeps = async () => (await container.state()) === 'exited';
    await waitUntil(sleeps, { timeoutMs: WAKE_MS, what: `the sleep of ${service}` });
  }
  const lines = await project.proxy.logLines();
  expect(lines.filter(({ event }) => event === 'awake')).toHaveLength(2);
  return answers;
}

async function redis(host: string, commands: readonly string[]): Promise<string> {
  const client = await connectTcp(6379, host);
  await client.send([...commands, 'QUIT', ''].join('\r\n'));
  const answer = String(await client.readAll());
  client.destroy();
  return answer;
}

describe.skipIf(obstacle !== undefined).concurrent('the example', () => {
  test('nginx answers its first request, and sleeps as soon as nobody is connected', async (context) => {
    const project = await start(context, 'nginx');
    const ask = () => get(`http://${project.proxy.address}:8000/`, { timeoutMs: WAKE_MS });
    for (const answer of await wakeTwice(project, { service: 'web', ask }))
      expect(answer).toMatchObject({ status: 200, body: 'Welcome to nginx!\n' });
  });

  test('proxy-config-file reaches a network that the proxy is not on', async (context) => {
    const project = await start(context, 'proxy-config-file');
    const ask = () => get(`http://${project.proxy.address}:9000/`, { timeoutMs: WAKE_MS });
    for (const answer of await wakeTwice(project, { service: 'web', ask }))
      expect(answer).toMatchObject({ status: 200 });
    expect(await project.proxy.networks()).toHaveLength(2);
  });

  test('redis keeps its data while it sleeps, and asks for a password', async (context) => {
    const project = await start(context, 'redis');
    const { address } = project.proxy;
    const commands = { 1: 'SET greeting hello', 2: 'GET greeting' } as Readonly<Record<number, string>>;
    const ask = (round: number) => redis(address, ['AUTH change-me', commands[round] ?? '']);
    const answers = await wakeTwice(project, { service: 'redis', ask });
    expect(answers).toEqual(['+OK\r\n+OK\r\n+OK\r\n', '+OK\r\n$5\r\nhello\r\n+OK\r\n']);
    expect(await redis(address, ['GET greeting'])).toContain('-NOAUTH');
  });

  test('postgres holds its first client until the health check passes, and keeps its data', async (context) => {
    const project = await start(context, 'postgres');
    const url = `postgres://postgres:change-me@${project.proxy.address}:5432/postgres`;
    const statements = ['', 'create table t as select 42 as answer', 'select answer from t'];
    const ask = async (round: number) => {
      const args = [url, '--no-psqlrc', '-tAc', statements[round] ?? ''];
      return (await execute(psqlProgram(), args)).stdout.trim();
    };
    expect(await wakeTwice(project, { service: 'db', ask })).toEqual(['SELECT 1', '42']);
    await expect(execute(psqlProgram(), [url.replace('change-me', 'wrong'), '-c', ''])).rejects.toThrow(
      'password authentication failed',
    );
  });

  test('pihole answers the query that wakes it', async (context) => {
    const project = await start(context, 'pihole');
    const resolver = new Resolver({ timeout: WAKE_MS, tries: 1 });
    resolver.setServers([project.proxy.address]);
    const ask = () => resolver.resolve4('example.com');
    const answers = await wakeTwice(project, { service: 'pihole', ask });
    expect(answers).toEqual([['192.0.2.53'], ['192.0.2.53']]);
  });
});
