import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../support/free-ports.ts';
import { Sockets } from '../../support/sockets.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const LIMIT = 128;
const CLIENTS = 60;

interface Row {
  readonly active_conns: number;
  readonly refused?: Readonly<Record<string, number>>;
}

/** Whatever the bound was. */
function countRefused({ refused = {} }: Row): number {
  return Object.values(refused).reduce((sum, count) => sum + count, 0);
}

/** The proxy with few descriptors, in front of a server of the test's own, which has enough. */
async function start(relay: string, more: Readonly<Record<string, unknown>> = {}, target?: number) {
  const sockets = new Sockets();
  onTestFinished(() => sockets.close());
  const server = await sockets.listen((client) => {
    client.write('hello');
    client.resume().once('end', () => client.end());
  });
  const [port, statusPort] = [await freePort(), await freePort()];
  const folder = await createFolder({
    'lazy-proxy.yaml': JSON.stringify({
      ...{ status: { listen: `127.0.0.1:${statusPort}` }, docker: { labels: false }, relay },
      services: {
        app: {
          command: [process.execPath, '-e', 'setInterval(() => {}, 60000)'],
          ports: [`127.0.0.1:${port}:${target ?? server.port}`],
          udp_ports: [`127.0.0.1:${port}:${server.port}`],
          udp_readiness: 'open',
          start_timeout: '5s',
          ...more,
        },
      },
    }),
  });
  const proxy = await startProgram({ cwd: folder, maxDescriptors: LIMIT });
  return {
    ...{ port, target: server.port },
    countDescriptors: async () => (await readdir(`/proc/${proxy.child.pid}/fd`)).length,
    log: proxy.log,
    logged: proxy.logged,
    linesWith: proxy.linesWith,
    /** The one row; a status that can't answer is a failure. */
    async row(): Promise<Row> {
      const answer = await fetch(`http://127.0.0.1:${statusPort}/status`, {
        headers: { connection: 'close' },
      });
      return ((await answer.json()) as Row[])[0] as Row;
    },
  };
}

/** A client, and whether it is served or closed. */
function ask(
  port: number,
  localAddress = '127.0.0.1',
): { readonly client: Socket; readonly result: Promise<'served' | 'closed'> } {
  const client = connect({ port, host: '127.0.0.1', localAddress });
  const result = new Promise<'served' | 'closed'>((resolve) => {
    client.on('error', () => {});
    client.once('data', () => resolve('served'));
    client.once('close', () => resolve('closed'));
  });
  onTestFinished(() => void client.destroy());
  return { client, result };
}

test.each(['stream', 'auto'])(
  'running out of descriptors is told, counted and got over (relay: %s)',
  { timeout: 25_000 },
  async (relay) => {
    const proxy = await start(relay);
    for (let round = 1; round <= 2; round++) {
      const before = countRefused(await proxy.row());
      const clients = Array.from({ length: CLIENTS }, () => ask(proxy.port));
      const results = await Promise.all(clients.map(({ result }) => result));
      const closed = results.filter((result) => result === 'closed').length;
      expect(closed).toBeGreaterThan(0);
      expect(CLIENTS - closed).toBeGreaterThan(5);
      const row = await proxy.row();
      expect(row.active_conns).toBe(CLIENTS - closed);
      expect(countRefused(row) - before).toBe(closed);
      const ended = Promise.all(clients.map(({ client }) => client.closed || once(client, 'close')));
      for (const { client } of clients) client.destroy();
      await ended;
      // Each is served again as soon as the others have gone.
      while ((await proxy.row()).active_conns > 0);
      const last = ask(proxy.port);
      expect(await last.result).toBe('served');
      last.client.destroy();
      while ((await proxy.row()).active_conns > 0);
    }
    const lines = proxy.linesWith('descriptors');
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThanOrEqual(3);
    expect(lines[0]).toContain(`the limit is ${LIMIT}`);
    expect(lines[0]).toContain('ulimit -n');
  },
);

test.each(['stream', 'auto'])(
  'clients who come one after the other leave the proxy its own (relay: %s)',
  async (relay) => {
    const proxy = await start(relay);
    for (let count = 0; count < CLIENTS; count++) await ask(proxy.port).result;
    expect((await proxy.row()).active_conns).toBeGreaterThan(5);
    // Half of so low a limit is the proxy's; the status, and who was just closed, may have some.
    expect(await proxy.countDescriptors()).toBeLessThan(LIMIT / 2 + 12);
  },
);

test('UDP flows leave enough descriptors for the rest of the proxy', async () => {
  const proxy = await start('auto');
  const server = createSocket('udp4').bind(proxy.target, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const sockets = Array.from({ length: 2 * CLIENTS }, () => createSocket('udp4'));
  onTestFinished(() => {
    for (const socket of sockets) socket.close();
  });
  for (const socket of sockets) socket.send('hello', proxy.port, '127.0.0.1');
  await proxy.logged('a datagram of');
  expect(await proxy.row()).toBeDefined();
  expect(proxy.linesWith(`the limit is ${LIMIT}`)).toHaveLength(1);
});

test.each([
  ['max_connections', 'max-connections'],
  ['max_connections_per_address', 'max-connections-per-address'],
])('%s bounds a service by hand, also once it is ready', async (field, reason) => {
  const proxy = await start('auto', { [field]: 3 });
  const clients = [];
  for (let count = 0; count < 5; count++) {
    const client = ask(proxy.port);
    clients.push({ client: client.client, result: await client.result });
  }
  expect(clients.map(({ result }) => result)).toEqual(['served', 'served', 'served', 'closed', 'closed']);
  const row = await proxy.row();
  expect([row.active_conns, row.refused]).toEqual([3, { [reason]: 2 }]);
  expect(proxy.linesWith(field)).toHaveLength(1);
  clients[0]?.client.destroy();
  while ((await proxy.row()).active_conns === 3);
  expect(await ask(proxy.port).result).toBe('served');
});

test('one address leaves places for others to wait', async () => {
  // Nobody listens at the target, so that everybody waits.
  const proxy = await start('auto', { max_pending: 8, start_timeout: '20s' }, 1);
  const [ours, others] = [6, 3].map((count, index) =>
    Array.from({ length: count }, () => ask(proxy.port, `127.0.0.${index + 1}`)),
  );
  await Promise.all([ours?.[4], ours?.[5], others?.[2]].map((client) => client?.result));
  while ((await proxy.row()).active_conns !== 6);
  expect(ours?.map(({ client }) => client.closed)).toEqual([false, false, false, false, true, true]);
  expect(others?.map(({ client }) => client.closed)).toEqual([false, false, true]);
  expect(proxy.log()).toContain('clients of 127.0.0.1 have a quarter of the 8 places (max_pending) already');
});
