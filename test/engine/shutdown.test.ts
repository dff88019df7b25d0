import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { type AppAnswer, localApp, nodeApp } from './support/apps.ts';
import type { TestContainer } from './support/container.ts';
import { createScope } from './support/engine.ts';
import { get, getJson } from './support/http.ts';
import { type ProxyProcess, startProxy } from './support/proxy.ts';
import { endStreams, readStream } from './support/streamed.ts';
import { connectTcp } from './support/tcp.ts';
import { waitUntil } from './support/wait-until.ts';

/** From the signal to the end of the connections that are left. */
const DRAIN_DEADLINE_MS = 8_000;
const SOON_MS = 3_000;

const scope = createScope();
afterAll(() => scope.cleanup());

async function start(config: string): Promise<ProxyProcess> {
  const proxy = await startProxy({ config: `docker: { labels: false }\n${config}` });
  onTestFinished(async () => void (await proxy.stop('SIGKILL')));
  return proxy;
}

/** Sends the signal and resolves once the proxy has taken it. */
async function signal(proxy: ProxyProcess, name: NodeJS.Signals): Promise<void> {
  const from = proxy.logs().length;
  proxy.signal(name);
  await proxy.waitForLog('shutdown', { from });
}

/** The error code with which a new connection ends; undefined where there is a listener. */
function codeOfConnecting(port: number): Promise<string | undefined> {
  return connectTcp(port).then(
    (client) => void client.destroy(),
    (error: NodeJS.ErrnoException) => error.code,
  );
}

/** False also for one that has ended and whose new parent has not looked yet. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('shutdown with containers that are in use', () => {
  let app: TestContainer;
  let other: TestContainer;
  let address = '';
  let ports: number[];
  let proxy: ProxyProcess;
  const describeServices = (idleTimeout: string) => {
    const entries = [app, other].map(({ name }, index) => [
      name,
      { ports: [`127.0.0.1:${ports[index]}:80`], idle_timeout: idleTimeout },
    ]);
    return `services: ${JSON.stringify(Object.fromEntries(entries))}`;
  };
  const addressOf = async (container: TestContainer) => (await container.addresses())[0] ?? '';

  beforeAll(async () => {
    const node = await nodeApp();
    app = await scope.runContainer({ name: scope.name('app'), ...node });
    other = await scope.runContainer({ name: scope.name('other'), ...node });
    address = await addressOf(app);
  });
  beforeEach(async () => {
    ports = await freePorts(2);
    proxy = await start(describeServices('1h'));
    await Promise.all(ports.map((port) => get(port)));
  });
  afterEach(async () => {
    await endStreams(address);
    expect([await app.state(), await other.state()]).toEqual(['running', 'running']);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('lets downloads finish when %s comes', async (name) => {
    const [port = 0, otherPort = 0] = ports;
    const download = await readStream(port);
    const shortDownload = await readStream(otherPort);
    // What would be put to sleep when its last connection ends is left awake by a proxy that ends.
    await proxy.edit(describeServices('0'));
    await proxy.waitForLog(({ event, msg }) => event === 'reload' && msg.includes('changed'));
    await signal(proxy, name);
    expect(await codeOfConnecting(port)).toBe('ECONNREFUSED');
    expect(await endStreams(await addressOf(other))).toEqual([await shortDownload.received]);
    const before = download.count();
    await waitUntil(() => download.count() > before + 1_000_000, { what: 'more of the download' });
    expect(await endStreams(address)).toEqual([await download.received]);
    expect(await proxy.exited).toBe(0);
    expect(proxy.logs().at(-1)).toMatchObject({ event: 'end' });
    expect(proxy.logs().filter(({ event }) => event === 'sleep')).toEqual([]);
  });

  test('ends at once when nobody is connected', async () => {
    const startMs = performance.now();
    expect(await proxy.stop()).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(SOON_MS);
  });

  test('cuts the connections that are left when the deadline has passed', async () => {
    const download = await readStream(ports[0] ?? 0);
    const startMs = performance.now();
    await signal(proxy, 'SIGTERM');
    await expect(download.received).rejects.toThrow();
    expect(performance.now() - startMs).toBeGreaterThan(DRAIN_DEADLINE_MS - 100);
    expect(await proxy.exited).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(DRAIN_DEADLINE_MS + SOON_MS);
  });

  test('cuts them at once when a second signal comes', async () => {
    const download = await readStream(ports[0] ?? 0);
    await signal(proxy, 'SIGTERM');
    const startMs = performance.now();
    proxy.signal('SIGTERM');
    await expect(download.received).rejects.toThrow();
    expect(await proxy.exited).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(SOON_MS);
  });
});

describe('shutdown with a local process', () => {
  /** Starts a proxy with the process of `command` awake. */
  async function startWith(options: { readonly stubborn?: boolean; readonly wrap?: string }) {
    const [port, target] = [await freePort(), await freePort()];
    const { command, env } = localApp({ port: target, stubborn: options.stubborn === true });
    const whole = options.wrap === undefined ? command : ['sh', '-c', options.wrap, ...command];
    const service = { command: whole, env, ports: [`127.0.0.1:${port}:${target}`] };
    const proxy = await start(`services: ${JSON.stringify({ hello: service })}`);
    const { pid } = await getJson<AppAnswer>(port);
    onTestFinished(() => void (isAlive(pid) && process.kill(pid, 'SIGKILL')));
    expect(isAlive(pid)).toBe(true);
    return { proxy, pid, port };
  }

  test('ends the process', async () => {
    const { proxy, pid } = await startWith({});
    expect(await proxy.stop()).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });

  test('ends the children of the process too', async () => {
    // The shell stays between the proxy and the app.
    const { proxy, pid } = await startWith({ wrap: '"$0" "$@" & wait' });
    expect(await proxy.stop()).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });

  test('keeps the process as long as a connection is served by it', async () => {
    const { proxy, pid, port } = await startWith({});
    const download = await readStream(port);
    await signal(proxy, 'SIGTERM');
    const before = download.count();
    await waitUntil(() => download.count() > before + 1_000_000, { what: 'more of the download' });
    expect(isAlive(pid)).toBe(true);
    proxy.signal('SIGTERM');
    expect(await proxy.exited).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });

  test('kills a process that ignores the polite signal when a second signal comes', async () => {
    const { proxy, pid } = await startWith({ stubborn: true });
    await signal(proxy, 'SIGTERM');
    const startMs = performance.now();
    proxy.signal('SIGTERM');
    expect(await proxy.exited).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(SOON_MS);
    expect(isAlive(pid)).toBe(false);
  });
});
