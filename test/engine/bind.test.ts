/** Ports that somebody else holds: another service, or another process. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { get } from './support/http.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { getStatus, openTestBed, type TestBed, writeConfig } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

/** A stopped container that answers with its own short name. */
async function createNamed(bed: TestBed, shortName: string, labels: Record<string, string> = {}) {
  return bed.scope.createContainer({
    name: bed.scope.name(shortName),
    labels,
    cmd: httpdCommand({ body: shortName }),
  });
}

async function expectLoser(
  proxy: ProxyProcess,
  { service, port }: { service: string; port: number },
  error: string,
): Promise<void> {
  expect(await getStatus(proxy, { service, port })).toMatchObject({ error: expect.stringContaining(error) });
}

/** Resolves when the service listens on the port; within the longest pause between two tries. */
async function waitForTakeover(proxy: ProxyProcess, where: { service: string; port: number }): Promise<void> {
  const listens = async () => {
    const row = await getStatus(proxy, where);
    return row !== undefined && row.error === undefined;
  };
  await waitUntil(listens, { what: `${where.service} on port ${where.port}` });
}

describe('two services on one port', () => {
  test('the file has it when labels want it, too; the loser takes it over when the file lets it go', async () => {
    const bed = await openTestBed();
    const [port = 0, otherPort = 0] = await freePorts(2);
    const loser = (await createNamed(bed, 'a-label', bed.labels({ ports: `${port}:80` }))).name;
    const winner = (await createNamed(bed, 'z-file')).name;
    const proxy = await bed.startProxy({ services: { [winner]: { ports: [`${port}:80`] } } });
    await expectLoser(proxy, { service: loser, port }, winner);
    expect((await get(port)).body).toBe('z-file');
    await proxy.edit(writeConfig({ [winner]: { ports: [`${otherPort}:80`] } }));
    await waitForTakeover(proxy, { service: loser, port });
    expect((await get(port)).body).toBe('a-label');
    expect((await get(otherPort)).body).toBe('z-file');
  });

  test('the older one has it when both have labels; the other takes it over when the older one is removed', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const labels = bed.labels({ ports: `${port}:80` });
    const winner = await createNamed(bed, 'b', labels);
    // The engine tells whole seconds.
    const createdSecond = Math.floor(Date.now() / 1_000);
    await waitUntil(() => Math.floor(Date.now() / 1_000) > createdSecond, { what: 'the next second' });
    const loser = (await createNamed(bed, 'a', labels)).name;
    const proxy = await bed.startProxy();
    await expectLoser(proxy, { service: loser, port }, winner.name);
    expect((await get(port)).body).toBe('b');
    await winner.remove();
    await waitForTakeover(proxy, { service: loser, port });
    expect((await get(port)).body).toBe('a');
  });

  test('the one that listens keeps it when another one comes that is the first by name', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const labels = bed.labels({ ports: `${port}:80` });
    const holder = (await createNamed(bed, 'b', labels)).name;
    const proxy = await bed.startProxy();
    const late = (await createNamed(bed, 'a', labels)).name;
    await waitUntil(() => getStatus(proxy, { service: late, port }), { what: 'the loser in the status' });
    await expectLoser(proxy, { service: late, port }, holder);
    expect((await get(port)).body).toBe('b');
  });
});

/** A server of somebody else's on every address. */
async function occupy(port: number): Promise<Server> {
  const server = createServer((socket) => socket.destroy()).listen(port);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return server;
}

describe('a port that a foreign process holds', () => {
  test('is reported while everything else works, and taken over when it is free', async () => {
    const bed = await openTestBed();
    const [port = 0, otherPort = 0] = await freePorts(2);
    const name = (await createNamed(bed, 'web')).name;
    const foreign = await occupy(port);
    const proxy = await bed.startProxy({
      services: { [name]: { ports: [`${port}:80`, `${otherPort}:80`] } },
    });
    const line = await proxy.waitForLog('listen-failed');
    expect(line).toMatchObject({ level: 'error', service: name });
    await expectLoser(proxy, { service: name, port }, 'another process');
    expect((await get(otherPort)).body).toBe('web');
    foreign.close();
    await waitForTakeover(proxy, { service: name, port });
    expect((await get(port)).body).toBe('web');
  });

  test('goes to the loser of a conflict when the winner could never have it and is removed', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const labels = bed.labels({ ports: `${port}:80` });
    // The older one, or in the same second the first by name.
    const winner = await createNamed(bed, 'a', labels);
    const loser = (await createNamed(bed, 'b', labels)).name;
    const foreign = await occupy(port);
    const proxy = await bed.startProxy();
    await winner.remove();
    await waitUntil(
      async () => (await getStatus(proxy, { service: loser, port }))?.error?.includes('process'),
      {
        what: 'the try of the loser',
      },
    );
    foreign.close();
    await waitForTakeover(proxy, { service: loser, port });
    expect((await get(port)).body).toBe('b');
  });
});
