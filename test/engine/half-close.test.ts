import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { type AppOptions, nodeApp } from './support/apps.ts';
import type { TestContainer } from './support/container.ts';
import { createScope } from './support/engine.ts';
import { type ProxyProcess, startProxy } from './support/proxy.ts';
import { connectTcp, type TcpClient } from './support/tcp.ts';
import { waitUntil } from './support/wait-until.ts';

/** More than every buffer on the way holds. */
const MANY_BYTES = 8 * 1024 * 1024;
/** Less than what the kernel and the proxy take from a client whose service is still asleep. */
const FEW_BYTES = 50_000;

const APPS = {
  echo: { mode: 'echo' },
  sink: { mode: 'sink' },
  download: { mode: 'download', bytes: MANY_BYTES },
  early: { mode: 'early', bytes: FEW_BYTES },
  reset: { mode: 'reset' },
} as const satisfies Record<string, AppOptions>;
type AppName = keyof typeof APPS;
const NAMES = Object.keys(APPS) as AppName[];

const scope = createScope();
const apps = new Map<AppName, TestContainer>();
const ports = new Map<AppName, number>();
let proxy: ProxyProcess;

beforeAll(async () => {
  const free = await freePorts(NAMES.length);
  for (const [index, name] of NAMES.entries()) {
    ports.set(name, free[index] as number);
    // Long enough asleep for a client to send all and end its direction before anybody listens.
    const app = await nodeApp({ ...APPS[name], port: 7, delayMs: 500 });
    apps.set(name, await scope.createContainer({ name: scope.name(name), ...app }));
  }
  const services = NAMES.map((name) => [
    scope.name(name),
    { ports: [`127.0.0.1:${ports.get(name)}:7`], idle_timeout: '1h' },
  ]);
  const config = { docker: { labels: false }, services: Object.fromEntries(services) };
  proxy = await startProxy({ config: JSON.stringify(config) });
});
afterAll(async () => {
  await proxy.stop();
  await scope.cleanup();
});

function connect(name: AppName): Promise<TcpClient> {
  return connectTcp(ports.get(name) ?? 0);
}

/** Resolves when `text` is the last thing that the app of a container printed. */
function printed(name: AppName, text: string): Promise<true> {
  const container = apps.get(name) as TestContainer;
  const what = `"${text}" in the output of ${name}`;
  return waitUntil(async () => (await container.logs()).trimEnd().endsWith(text) || undefined, { what });
}

/** Puts a container to sleep, whatever the test before it did, and resolves when the proxy has seen it. */
async function putToSleep(name: AppName): Promise<void> {
  const container = apps.get(name) as TestContainer;
  if ((await container.state()) !== 'running') return;
  const from = proxy.logs().length;
  await container.stop();
  await proxy.waitForLog((line) => line.event === 'stopped' && line.service === container.name, { from });
}

describe.each(['awake', 'asleep'] as const)('a connection to a service that is %s', (state) => {
  beforeAll(async () => {
    if (state === 'asleep') return;
    for (const name of NAMES) {
      const client = await connect(name);
      await client.send('x');
      client.endSending();
      await client.closed;
      client.destroy();
    }
  });
  if (state === 'asleep') beforeEach(async () => void (await Promise.all(NAMES.map(putToSleep))));

  test('gives the whole echo when the client ends its direction first', async () => {
    const client = await connect('echo');
    const data = randomBytes(FEW_BYTES);
    await client.send(data);
    client.endSending();
    expect((await client.readAll()).equals(data)).toBe(true);
    expect(await client.closed).toBe('end');
    await printed('echo', `got ${FEW_BYTES} bytes, end`);
  });

  test('gives the answer after a large request when the client ends its direction first', async () => {
    const client = await connect('sink');
    void client.send(Buffer.alloc(MANY_BYTES));
    client.endSending();
    expect(String(await client.readAll())).toBe(String(MANY_BYTES));
  });

  test('gives the whole of a large answer when the client has ended its direction', async () => {
    const client = await connect('download');
    await client.send('x');
    client.endSending();
    expect(await client.readAll()).toHaveLength(MANY_BYTES);
  });

  test('takes what the client sends after the service has ended its direction', async () => {
    const client = await connect('early');
    expect(await client.readAll()).toHaveLength(FEW_BYTES);
    expect(await client.closed).toBe('end');
    await client.send(Buffer.alloc(FEW_BYTES));
    client.endSending();
    await printed('early', `got ${FEW_BYTES} bytes, end`);
  });

  test('is reset for the client when the service resets it', async () => {
    const client = await connect('reset');
    await client.send('x');
    expect(await client.closed).toBe('reset');
  });

  test('is reset for the service when the client resets it', async () => {
    const client = await connect('echo');
    await client.send('hello');
    expect(String(await client.readAtLeast(5))).toBe('hello');
    client.reset();
    await printed('echo', 'got 5 bytes, ECONNRESET');
  });
});
