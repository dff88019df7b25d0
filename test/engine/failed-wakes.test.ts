/** What the user is told of a container that was started for a client, and didn't become ready. */
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand, nodeApp } from './support/apps.ts';
import type { ContainerSpec, TestContainer } from './support/container.ts';
import { get, getJson } from './support/http.ts';
import type { LogLine } from './support/log-lines.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import {
  getStatus,
  openTestBed,
  type ServiceFields,
  type StatusRow,
  untilSeenAsleep,
} from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

interface FailedWake {
  readonly proxy: ProxyProcess;
  readonly container: TestContainer;
  /** The address at which the container answers, where it runs. */
  readonly address: string | undefined;
  readonly failure: LogLine;
  /** The line about the client that was turned away. */
  readonly unserved: LogLine;
  readonly row: StatusRow | undefined;
  /** The lines of output that the log tells. */
  output(): readonly string[];
  /** Everything that `GET /status` answers. */
  readonly status: string;
}

const open = ({ onTestFinished }: TestContext) => openTestBed({ onTestFinished });

/** Wakes a container for one client that can't be served. */
async function failToWake(
  context: TestContext,
  { spec, fields = {} }: { readonly spec: Partial<ContainerSpec>; readonly fields?: ServiceFields },
): Promise<FailedWake> {
  const bed = await open(context);
  const port = await freePort();
  const name = bed.scope.name('failing');
  const container = await bed.scope.createContainer({ name, ...spec });
  const proxy = await bed.startProxy({
    services: { failing: { container: name, ports: [`${port}:81`], start_timeout: '4s', ...fields } },
  });
  const client = await connectTcp(port);
  await client.closed;
  client.destroy();
  const failure = await proxy.waitForLog('wake-failed');
  const unserved = await proxy.waitForLog('unserved');
  const row = await waitUntil(
    async () => {
      const found = await getStatus(proxy, { service: 'failing', port });
      return found?.last_wake === undefined ? undefined : found;
    },
    { what: 'the last wake in the status', timeoutMs: 3_000 },
  ).catch(() => getStatus(proxy, { service: 'failing', port }));
  const isOutput = ({ event }: LogLine) => event === 'last-output';
  await proxy.waitForLog(isOutput, { timeoutMs: 3_000 }).catch(() => undefined);
  return {
    ...{ proxy, container, failure, unserved, row },
    address: (await container.addresses())[0],
    output: () =>
      proxy
        .logs()
        .filter((line) => isOutput(line) && line.level === 'warn')
        .map(({ msg }) => msg),
    status: JSON.stringify(await getJson(`${proxy.statusUrl}/status`)),
  };
}

/** The reason is told wherever somebody looks for it. */
function expectReason({ failure, unserved, row }: FailedWake, reason: string): void {
  const told = expect.stringContaining(reason);
  expect({ failure: failure.msg, unserved: unserved.msg, error: row?.error, last: row?.last_wake }).toEqual({
    failure: told,
    unserved: told,
    error: told,
    last: expect.objectContaining({ result: 'failed', reason: told }),
  });
}

describe.concurrent('a failed wake is told with its reason', () => {
  test('where the container exits with 3, and with what it printed', async (context) => {
    const lines = 'for i in $(seq 1 30); do echo "line $i"; done';
    const cmd = ['sh', '-c', `${lines}; sleep 1; echo "no \u001b[31mdatabase" >&2; exit 3`];
    const wake = await failToWake(context, { spec: { cmd } });
    expectReason(wake, 'exit code 3');
    await wake.proxy.waitForLog(({ msg }) => msg.endsWith('| no database'));
    expect(wake.output()).toHaveLength(20);
    expect(wake.output()).toEqual(expect.arrayContaining(['failing | line 13', 'failing | line 30']));
    expect(wake.output()).toContain('failing | no database');
  });

  test('where nothing listens on the target port', async (context) => {
    const wake = await failToWake(context, { spec: { cmd: httpdCommand({ port: 80 }) } });
    expectReason(wake, `not ready within 4000 ms: connection refused at ${wake.address}:81`);
    const { engine_ms = 0, health_ms, port_ms = 0, cause, at } = wake.row?.last_wake ?? {};
    expect(engine_ms + port_ms).toBeGreaterThan(3_900);
    expect(port_ms).toBeGreaterThan(engine_ms);
    expect(health_ms).toBe(0);
    expect(cause).toMatch(/^for 127\.0\.0\.1:\d+$/);
    expect(Date.now() - Date.parse(at ?? '')).toBeLessThan(60_000);
  });

  test('where there is no such program', async (context) => {
    const wake = await failToWake(context, { spec: { cmd: ['/no/such/program'] } });
    expectReason(wake, '/no/such/program');
  });

  test('where the health check over HTTP is answered with 404', async (context) => {
    const fields = { http_healthcheck: 'http://{{container}}/nothing' };
    const wake = await failToWake(context, { spec: { cmd: httpdCommand() }, fields });
    expectReason(wake, `not ready within 4000 ms: GET http://${wake.address}/nothing answered 404`);
  });

  test("where the container's own health check fails, and with what that printed", async (context) => {
    const test = ['CMD-SHELL', 'echo "the disk is full"; exit 1'];
    const spec = { cmd: httpdCommand({ port: 81 }), healthcheck: { test, intervalMs: 500, retries: 1 } };
    const wake = await failToWake(context, { spec });
    expectReason(wake, 'unhealthy');
    expect(wake.output()).toEqual(['failing | the disk is full']);
    expect(wake.status).not.toContain('the disk is full');
  });
});

test('a failed wake is told until one works', async (context) => {
  const bed = await open(context);
  const port = await freePort();
  const name = bed.scope.name('mended');
  const broken = await bed.scope.createContainer({ name, cmd: ['sh', '-c', 'exit 3'] });
  const proxy = await bed.startProxy({
    services: { mended: { container: name, ports: [`${port}:80`], start_timeout: '10s' } },
  });
  const row = () => getStatus(proxy, { service: 'mended', port });
  const first = await connectTcp(port);
  await first.closed;
  first.destroy();
  // Its backoff is over: what sleeps now looks as if nothing had been.
  await waitUntil(async () => ((await row())?.state === 'stopped' ? true : undefined), { what: 'its rest' });
  expect(await row()).toMatchObject({ error: expect.stringContaining('exit code 3') });
  await broken.remove();
  await bed.scope.createContainer({ name, ...(await nodeApp({ mode: 'echo' })) });
  const second = await connectTcp(port);
  await second.send('hello');
  second.endSending();
  expect(String(await second.readAll())).toBe('hello');
  second.destroy();
  const mended = await row();
  expect(mended?.error).toBeUndefined();
  expect(mended?.last_wake).toMatchObject({ result: 'ready', engine_ms: expect.any(Number) });
});

test('what ran before the proxy is ready only when its port answers, and has failed where it does not', async (context) => {
  const bed = await open(context);
  const ports = { good: await freePort(), wrong: await freePort() };
  const [good, wrong] = [bed.scope.name('good'), bed.scope.name('wrong')];
  for (const name of [good, wrong]) {
    const container = await bed.scope.createContainer({ name, cmd: httpdCommand({ port: 80 }) });
    await container.start();
  }
  const proxy = await bed.startProxy({
    services: {
      good: { container: good, ports: [`${ports.good}:80`], start_timeout: '3s' },
      wrong: { container: wrong, ports: [`${ports.wrong}:81`], start_timeout: '3s' },
    },
  });
  const stateOf = (service: 'good' | 'wrong') => getStatus(proxy, { service, port: ports[service] });
  await waitUntil(async () => (await stateOf('good'))?.state === 'ready', { what: 'the answer' });
  expect(await stateOf('wrong')).toMatchObject({ state: 'starting', running: true });
  const failure = await proxy.waitForLog('wake-failed');
  expect(failure.service).toBe('wrong');
  const row = await stateOf('wrong');
  expect(row).toMatchObject({
    state: 'failed',
    error: expect.stringMatching(/^not ready within 3000 ms: connection refused at [0-9.]+:81$/),
    last_wake: { cause: 'before the proxy first looked', result: 'failed' },
  });
});

test('a container without a network is refused at once with the reason, and never started', async (context) => {
  const bed = await open(context);
  const port = await freePort();
  const name = bed.scope.name('alone');
  const container = await bed.scope.createContainer({ name, cmd: httpdCommand(), networkMode: 'none' });
  const proxy = await bed.startProxy({ services: { alone: { container: name, ports: [`${port}:80`] } } });
  await untilSeenAsleep(proxy, 'alone');
  const client = await connectTcp(port);
  await client.closed;
  client.destroy();
  const reason = expect.stringContaining('the container has no network (network_mode: none)');
  expect(await proxy.waitForLog('unserved')).toMatchObject({ msg: reason });
  expect(await getStatus(proxy, { service: 'alone', port })).toMatchObject({
    error: reason,
    state: 'stopped',
  });
  expect(await container.state()).toBe('created');
});

test('a container that has lost its network is told of with that reason', async (context) => {
  const bed = await open(context);
  const port = await freePort();
  const name = bed.scope.name('lost');
  const network = await bed.scope.createNetwork({ name: bed.scope.name('net') });
  const container = await bed.scope.createContainer({ name, cmd: httpdCommand(), networks: [network.name] });
  await network.disconnect(container);
  const proxy = await bed.startProxy({
    services: { lost: { container: name, ports: [`${port}:80`], start_timeout: '3s' } },
  });
  const client = await connectTcp(port);
  await client.closed;
  client.destroy();
  expect(await proxy.waitForLog('wake-failed')).toMatchObject({
    msg: expect.stringMatching(/not ready within 3000 ms: .*it is on no network/),
  });
});

test('an answer of the health check that http_healthcheck_status names is good enough', async (context) => {
  const bed = await open(context);
  const port = await freePort();
  const name = bed.scope.name('login');
  await bed.scope.createContainer({ name, cmd: httpdCommand() });
  const fields = {
    http_healthcheck: 'http://{{container}}/nothing',
    http_healthcheck_status: '200-399,404',
    start_timeout: '10s',
  };
  const proxy = await bed.startProxy({
    services: { login: { container: name, ports: [`${port}:80`], ...fields } },
  });
  expect((await get(port)).body).toBe('hello');
  expect(await getStatus(proxy, { service: 'login', port })).toMatchObject({
    state: 'ready',
    last_wake: { result: 'ready', health_ms: expect.any(Number) },
  });
});

test('a container that publishes the listen port itself is told of before its start', async (context) => {
  const bed = await open(context);
  const port = await freePort();
  const name = bed.scope.name('published');
  const proxy = await bed.startProxy();
  await bed.scope.createContainer({
    name,
    cmd: httpdCommand(),
    publish: { 80: port },
    labels: bed.labels({ ports: `${port}:80`, start_timeout: '3s' }),
  });
  await proxy.waitForLog('reload');
  const why = `the container publishes tcp ${port} itself, where the proxy listens for it; take it out of the container's own ports`;
  const problems = async () => JSON.stringify(await getJson(`${proxy.statusUrl}/problems`));
  await waitUntil(async () => (await problems()).includes(`service ${name}: ${why}`), {
    what: 'the problem',
  });
});
