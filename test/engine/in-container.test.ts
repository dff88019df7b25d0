/** The proxy's own image, run as a container beside those that it serves. */
import { execFile } from 'node:child_process';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { createConfigFolder } from './support/config-folder.ts';
import type { ContainerSpec } from './support/container.ts';
import { createScope } from './support/engine.ts';
import { engineHost } from './support/engine-address.ts';
import { get, getJson } from './support/http.ts';
import { nodeImage } from './support/image.ts';
import { engineSocket, type ProxyContainer, runProxyContainer } from './support/proxy-container.ts';
import { proxyImage } from './support/proxy-image.ts';
import { waitUntil } from './support/wait-until.ts';

const PORT = 9000;
/** The engine counts in nanoseconds. */
const SECOND = 1e9;
const HELLO_SERVER = 'require("http").createServer((_, response) => response.end("hello")).listen(3000)';
/** `npm ci` inside of the build. */
const BUILD_TIMEOUT_MS = 400_000;

const scope = createScope();
beforeAll(() => proxyImage(), BUILD_TIMEOUT_MS);
afterAll(() => scope.cleanup());

/** A name of its own for each thing that a test makes. */
const names = new Map<string, number>();
function unique(name: string): string {
  const count = (names.get(name) ?? 0) + 1;
  names.set(name, count);
  return scope.name(`${name}${count}`);
}

/** A number for the subnet of a test that chooses its addresses; another one at each try. */
let subnets = 69;
function nextSubnet(): number {
  return ++subnets;
}

/** The text of a file with one service on PORT; without a container, one without services. */
function config(container?: string, targetPort = 80): string {
  const service = { container, ports: [`${PORT}:${targetPort}`], idle_timeout: '10m' };
  return JSON.stringify({
    docker: { labels: false },
    services: container === undefined ? {} : { app: service },
  });
}

/** A proxy whose folder of configuration is mounted, as the documentation advises. */
async function startProxy(text: string, spec: Partial<ContainerSpec> = {}) {
  const files = await createConfigFolder(text);
  onTestFinished(() => files.remove());
  // Temporary folders are their owner's alone, and the proxy may be somebody else.
  await chmod(files.folder, 0o755);
  const binds = [`${files.folder}:/etc/lazy-proxy:ro`];
  const proxy = await runProxyContainer(scope, { name: unique('proxy'), binds, ...spec });
  onTestFinished(() => proxy.remove());
  return { proxy, edit: files.edit };
}

function ask(proxy: ProxyContainer) {
  return get(`http://${proxy.address}:${PORT}/`, { timeoutMs: 30_000 });
}

/** Creates a sleeping web server on a network of its own. */
async function createTarget() {
  const network = await scope.createNetwork({ name: unique('net') });
  const name = unique('web');
  const web = await scope.createContainer({ name, cmd: httpdCommand(), networks: [network.name] });
  return { network, web };
}

describe('a proxy in a container', () => {
  test('reaches a container on a network of its own, and leaves that with its last service', async () => {
    const { network, web } = await createTarget();
    const { proxy, edit } = await startProxy(config(web.name));
    await proxy.waitForMessage(`joined network ${network.name} for ${web.name}`);
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
    expect(await proxy.networks()).toEqual(['bridge', network.name]);
    // The mounted folder shows a file that took the place of another one by renaming.
    await edit(config(), 'rename');
    await proxy.waitForMessage(`left network ${network.name}`);
    expect(await proxy.networks()).toEqual(['bridge']);
    await web.remove();
    await network.remove();
  });

  test('relays in the kernel, by the package that the image holds', async () => {
    const { web } = await createTarget();
    const { proxy } = await startProxy(config(web.name));
    const rows = await getJson<{ relay: string }[]>(`http://${proxy.address}:8080/status`);
    expect(rows.map(({ relay }) => relay)).toEqual(['splice']);
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
  });

  test('takes the file of lazy-tcp-proxy at its place, and says so', async () => {
    const { web } = await createTarget();
    const files = await createConfigFolder();
    onTestFinished(() => files.remove());
    await chmod(files.folder, 0o755);
    await writeFile(path.join(files.folder, 'config.yaml'), config(web.name));
    const binds = [`${files.folder}:/etc/lazy-tcp-proxy:ro`];
    const proxy = await runProxyContainer(scope, { name: unique('proxy'), binds });
    onTestFinished(() => proxy.remove());
    await proxy.waitForMessage(
      'the configuration is /etc/lazy-tcp-proxy/config.yaml, where lazy-tcp-proxy has its own; ./lazy-proxy.yaml and /etc/lazy-proxy/lazy-proxy.yaml come before it',
    );
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
  });

  test('joins for a container that appears later, and leaves when it is removed', async () => {
    const name = unique('late');
    const { proxy } = await startProxy(config(name));
    const network = await scope.createNetwork({ name: unique('net') });
    const web = await scope.createContainer({ name, cmd: httpdCommand(), networks: [network.name] });
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
    await web.remove();
    await waitUntil(async () => (await proxy.networks()).length === 1, { what: 'the leaving' });
    await network.remove();
  });

  test('is reached while the container sleeps by those on its network', async () => {
    const { network, web } = await createTarget();
    const { proxy } = await startProxy(config(web.name));
    await proxy.waitForMessage(`joined network ${network.name} for ${web.name}`);
    const cmd = ['wget', '-qO-', `http://${proxy.name}:${PORT}/`];
    const client = await scope.runContainer({ name: unique('client'), cmd, networks: [network.name] });
    await waitUntil(async () => (await client.state()) === 'exited', { timeoutMs: 30_000 });
    expect(await client.logs()).toBe('hello');
  });

  test('leaves its networks at SIGTERM, so that they can be removed', async () => {
    const { network, web } = await createTarget();
    const { proxy } = await startProxy(config(web.name));
    await ask(proxy);
    await proxy.stop();
    expect((await proxy.inspect()).State.ExitCode).toBe(0);
    expect(await proxy.networks()).toEqual(['bridge']);
    await web.remove();
    await network.remove();
  });

  test('leaves after its next start what it could not leave when it was killed', async () => {
    const { network, web } = await createTarget();
    const { proxy, edit } = await startProxy(config(web.name));
    await proxy.waitForMessage(`joined network ${network.name} for ${web.name}`);
    await proxy.kill();
    await edit(config(unique('nobody')));
    await proxy.start();
    await proxy.waitForMessage(`left network ${network.name}`);
    expect(await proxy.networks()).toEqual(['bridge']);
  });

  test('reaches a container on the network of the host', async () => {
    const port = await freePort();
    const name = unique('host');
    await scope.createContainer({ name, cmd: httpdCommand({ port }), networkMode: 'host' });
    const { proxy } = await startProxy(config(name, port));
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
    expect(await proxy.networks()).toEqual(['bridge']);
  });

  test('reaches a container that uses the network of another one', async () => {
    const network = await scope.createNetwork({ name: unique('net') });
    const owner = unique('owner');
    await scope.runContainer({ name: owner, cmd: ['sleep', '1000'], networks: [network.name] });
    const name = unique('guest');
    await scope.createContainer({ name, cmd: httpdCommand(), networkMode: `container:${owner}` });
    const { proxy } = await startProxy(config(name));
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
    expect(await proxy.networks()).toEqual(['bridge', network.name]);
  });

  test('reaches a container by IPv6 alone', async () => {
    // Engines before 28 give it IPv4 addresses all the same; there nobody answers at them.
    const ipv6Subnet = 'fd00:6c70:7401::/64';
    const network = await scope.createNetwork({ name: unique('net'), ipv6Subnet, ipv4: false });
    const listen = '{ host: "::", port: 80, ipv6Only: true }';
    const script = `require("http").createServer((_, response) => response.end("six")).listen(${listen})`;
    const name = unique('six');
    const spec = { name, image: await nodeImage(), cmd: ['node', '-e', script], networks: [network.name] };
    await scope.createContainer(spec);
    const { proxy } = await startProxy(config(name));
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'six' });
  });

  test.each([
    ['IPv4', () => ({ subnet: `198.18.${nextSubnet()}.0/24` })],
    ['IPv6', () => ({ ipv6Subnet: `fd00:6c70:74${nextSubnet()}::/64` })],
  ])('leaves a sleeping container the %s address that it has configured', async (_, createSpec) => {
    const spec: { readonly subnet?: string; readonly ipv6Subnet?: string } = createSpec();
    const network = await scope.createNetwork({ name: unique('net'), ...spec });
    const address = (spec.subnet ?? spec.ipv6Subnet ?? '').replace(/(?<=\.)0\/24|(?<=::)\/64/, '2');
    const name = unique('fixed');
    await scope.createContainer({ name, cmd: httpdCommand(), networks: [network.name], address });
    const { proxy } = await startProxy(config(name));
    await proxy.waitForMessage(`joined network ${network.name} for ${name}`);
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
  });

  test('gives up its address on a network for a container that has it configured', async () => {
    const network = await scope.createNetwork({ name: unique('net'), subnet: `198.18.${nextSubnet()}.0/24` });
    const [neighbour, late] = [unique('web'), unique('late')];
    await scope.createContainer({ name: neighbour, cmd: httpdCommand(), networks: [network.name] });
    const services = {
      neighbour: { container: neighbour, ports: [`${PORT + 1}:80`] },
      late: { container: late, ports: [`${PORT}:80`] },
    };
    const { proxy } = await startProxy(JSON.stringify({ docker: { labels: false }, services }));
    await proxy.waitForMessage(`joined network ${network.name} for ${neighbour}`);
    const address = (await proxy.inspect()).NetworkSettings.Networks[network.name]?.IPAddress ?? '';
    await scope.createContainer({ name: late, cmd: httpdCommand(), networks: [network.name], address });
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
    expect(await proxy.networks()).toEqual(['bridge', network.name]);
  });

  test('works for a user who may open the socket through its group', async () => {
    const { network, web } = await createTarget();
    const { gid } = await stat(engineSocket());
    const { proxy } = await startProxy(config(web.name), { user: `65534:${gid}` });
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
    expect(await proxy.networks()).toEqual(['bridge', network.name]);
  });

  test('works by labels alone, in the time zone of TZ without time zone data', async () => {
    const prefix = scope.name('label');
    const labels = { [`${prefix}.enabled`]: 'true', [`${prefix}.ports`]: `${PORT}:80` };
    const network = await scope.createNetwork({ name: unique('net') });
    const web = { name: unique('web'), cmd: httpdCommand(), labels, networks: [network.name] };
    await scope.createContainer(web);
    const proxy = await runProxyContainer(scope, {
      name: unique('proxy'),
      cmd: ['--label-prefix', prefix],
      env: { TZ: 'Asia/Tokyo', LOG_FORMAT: 'pretty' },
    });
    onTestFinished(() => proxy.remove());
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
    const startedMs = Date.parse(await proxy.startedAt());
    const hours = [0, 60_000].map((laterMs) => {
      const inTokyo = { timeZone: 'Asia/Tokyo', hourCycle: 'h23', hour: '2-digit' } as const;
      return new Date(startedMs + laterMs).toLocaleString('en', inTokyo);
    });
    expect(hours).toContain(/(\d\d):\d\d:\d\d/.exec(await proxy.logs())?.[1]);
  });
});

test('the image takes the ends of what local processes leave behind', async () => {
  // A shell that ends at once, and leaves a server that takes its time, whose own child goes to process 1.
  const app = `process.on("SIGTERM", () => setTimeout(() => process.exit(), 1500)); ${HELLO_SERVER}`;
  const command = ['sh', '-c', `sleep 0.1 & node -e '${app}'; true`];
  const services = { app: { command, ports: [`${PORT}:3000`], idle_timeout: '1s', stop_timeout: '8s' } };
  const { proxy } = await startProxy(JSON.stringify({ docker: { labels: false }, services }));
  const findSleeps = async () =>
    (await proxy.logLines()).filter(
      ({ event, durationMs }) => event === 'asleep' && durationMs !== undefined,
    );
  for (let round = 1; round <= 2; round++) {
    expect(await ask(proxy)).toMatchObject({ status: 200, body: 'hello' });
    const isAsleep = async () => (await findSleeps()).length === round;
    await waitUntil(isAsleep, { timeoutMs: 15_000, what: 'the end of the local process' });
  }
  for (const { durationMs } of await findSleeps()) {
    expect(durationMs).toBeGreaterThan(1_300);
    expect(durationMs).toBeLessThan(5_000);
  }
  expect(await proxy.childStates()).not.toContain('Z');
});

test('the image has the program on its PATH', async () => {
  const { proxy } = await startProxy(config('db'));
  const exec = async (...command: readonly string[]) => {
    const args = ['--host', engineHost(), 'exec', proxy.name, 'lazy-proxy', ...command];
    return (await promisify(execFile)('docker', args)).stdout;
  };
  expect(await exec('validate')).toBe('/etc/lazy-proxy/lazy-proxy.yaml: ok, 1 service, 1 listener\n');
  expect(await exec('schema')).toBe(await readFile('schema/lazy-proxy.schema.json', 'utf8'));
  expect(await exec('healthcheck')).toContain('ok');
});

test('the image declares a health check that turns healthy', async () => {
  // Its own check, only more often.
  const healthcheck = { test: [], intervalMs: 1_000 };
  const { proxy } = await startProxy(config(), { healthcheck });
  const readHealth = async () => (await proxy.inspect()).State.Health?.Status;
  await waitUntil(async () => (await readHealth()) === 'healthy', { timeoutMs: 30_000, what: 'health' });
  const { Config } = await scope.docker.getImage(await proxyImage()).inspect();
  expect(Config).toMatchObject({ StopSignal: 'SIGTERM', ExposedPorts: { '8080/tcp': {} }, OnBuild: null });
  // The classic builder made it, which gets the check without a start interval.
  expect(Config.Healthcheck).toEqual({
    Test: ['CMD', 'node', '/app/dist/main.js', 'healthcheck'],
    ...{ Interval: 30 * SECOND, Timeout: 5 * SECOND, StartPeriod: 10 * SECOND, Retries: 3 },
  });
  expect(Config.Labels).toMatchObject({ 'org.opencontainers.image.title': 'lazy-proxy' });
});
