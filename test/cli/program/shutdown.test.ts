import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startWebhookReceiver } from '../../engine/support/webhook-receiver.ts';
import { freePort } from '../../support/free-ports.ts';
import { Sockets } from '../../support/sockets.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const CLIENTS = 3;
/** Answers on TCP and UDP, so that every client knows that it is served. */
const SERVER = `
const { PORT } = process.env;
require('node:net').createServer((client) => client.write('hello')).listen(PORT);
const udp = require('node:dgram').createSocket('udp4').bind(PORT);
udp.on('message', (message, from) => udp.send(message, from.port, from.address));
`;

/** The proxy in front of a server process, on a TCP and a UDP port of one number, with a webhook. */
async function start(relay: string) {
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  const [port, target] = [await freePort(), await freePort()];
  const folder = await createFolder({
    'lazy-proxy.yaml': JSON.stringify({
      ...{ status: 'off', docker: { labels: false }, relay },
      services: {
        app: {
          command: [process.execPath, '-e', SERVER],
          env: { PORT: String(target) },
          ports: [`127.0.0.1:${port}:${target}`],
          udp_ports: [`127.0.0.1:${port}:${target}`],
          webhook_url: receiver.url,
        },
      },
    }),
  });
  const { child: proxy, logged } = await startProgram({ cwd: folder });
  return { proxy, port, receiver, logged };
}

test.each(['stream', 'auto'])(
  'every start has its end when two signals cut the clients (relay: %s)',
  async (relay) => {
    const { proxy, port, receiver, logged } = await start(relay);
    for (let index = 0; index < CLIENTS; index++) {
      const client = connect(port, '127.0.0.1');
      onTestFinished(() => void client.destroy());
      client.on('error', () => {});
      await once(client, 'data');
    }
    const udp = createSocket('udp4');
    onTestFinished(() => void udp.close());
    udp.send('hello', port, '127.0.0.1');
    await once(udp, 'message');
    while (receiver.of('tcp_conn_start').length < CLIENTS) await new Promise(setImmediate);
    proxy.kill('SIGTERM');
    await logged('shutting down');
    const begunMs = performance.now();
    proxy.kill('SIGTERM');
    await once(proxy, 'exit');
    expect(performance.now() - begunMs).toBeLessThan(1_500);
    const idsOf = (event: string) => receiver.of(event).map((received) => received['connection_id']);
    expect(idsOf('tcp_conn_end').toSorted()).toEqual(idsOf('tcp_conn_start').toSorted());
    expect(idsOf('tcp_conn_end')).toHaveLength(CLIENTS);
    expect(idsOf('udp_flow_end')).toEqual(idsOf('udp_flow_start'));
  },
);

test.runIf(process.platform === 'linux')(
  'the proxy ends although it is told to cut clients whose upstream has just ended',
  async () => {
    const sockets = new Sockets();
    onTestFinished(() => sockets.close());
    const upstream = await sockets.listen((socket) => void socket.write('hello'));
    const port = await freePort();
    const app = { command: ['sleep', '1000'], ports: [`127.0.0.1:${port}:${upstream.port}`] };
    const cwd = await createFolder({
      'lazy-proxy.yaml': JSON.stringify({
        ...{ status: 'off', docker: { labels: false }, relay: 'stream', services: { app } },
      }),
    });
    const { child, logged } = await startProgram({ cwd });
    for (let index = 0; index < CLIENTS; index++) {
      const client = await sockets.connect(port);
      client.on('error', () => {});
      await once(client, 'data');
    }
    child.kill('SIGTERM');
    await logged('shutting down');
    // Both news at once, in one turn of its event loop.
    child.kill('SIGSTOP');
    await expect.poll(() => stateOf(child.pid)).toBe('T');
    for (const socket of upstream.sockets) socket.end();
    child.kill('SIGTERM');
    child.kill('SIGCONT');
    expect(await once(child, 'exit')).toEqual([0, null]);
  },
);

/** `T` = stopped, `S` = it sleeps, as of proc(5). */
function stateOf(pid: number | undefined): string | undefined {
  return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
}
