/** What the running proxy does with receivers and health checks that mean it harm. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startWebhookReceiver } from '../../engine/support/webhook-receiver.ts';
import { freePort } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { Sockets } from '../../support/sockets.ts';
import { createFolder } from './folder.ts';

/** As many as posts were once under way at the same time. */
const HOSTILE = 8;
const SERVER = `require('node:net').createServer((client) => client.on('error', () => {}).write('hello')).listen(process.env.PORT)`;
const SWITCHING = 'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

async function describeService(fields: Readonly<Record<string, string>>) {
  const [port, target] = [await freePort(), await freePort()];
  const command = [process.execPath, '-e', SERVER];
  const ports = [`127.0.0.1:${port}:${target}`];
  return { port, fields: { command, env: { PORT: String(target) }, ports, ...fields } };
}

async function start(services: Readonly<Record<string, unknown>>) {
  const folder = await createFolder({
    'lazy-proxy.yaml': JSON.stringify({ status: 'off', docker: { labels: false }, services }),
  });
  await startProgram({ cwd: folder });
}

/** Connects, waits for the first byte, and leaves. */
async function use(port: number): Promise<void> {
  const client = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void client.destroy());
  await once(client, 'data');
  client.destroy();
}

test('a good receiver gets its events while others answer 101 Switching Protocols, or not at all', async () => {
  const sockets = new Sockets();
  onTestFinished(() => sockets.close());
  const switching = await sockets.listen((socket) => void socket.once('data', () => socket.write(SWITCHING)));
  const hanging = await sockets.listen();
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  const hostile = await Promise.all(
    Array.from({ length: HOSTILE }, (_, index) => {
      const { port } = index % 2 === 0 ? switching : hanging;
      return describeService({ webhook_url: `http://127.0.0.1:${port}/${index}` });
    }),
  );
  const good = await describeService({ webhook_url: receiver.url });
  const named = hostile.map(({ fields }, index) => [`hostile${index}`, fields] as const);
  await start({ ...Object.fromEntries(named), good: good.fields });
  await Promise.all(hostile.map(({ port }) => use(port)));
  while (switching.sockets.length + hanging.sockets.length < HOSTILE) await new Promise(setImmediate);
  const begunMs = performance.now();
  await use(good.port);
  while (receiver.of('tcp_conn_end').length < 1) await new Promise(setImmediate);
  expect(performance.now() - begunMs).toBeLessThan(3_000);
});

test('a health check that answers 101 Switching Protocols first lets the client in once it is good', async () => {
  const sockets = new Sockets();
  onTestFinished(() => sockets.close());
  let asked = 0;
  const { port } = await sockets.listen((socket) => {
    socket.once('data', () => {
      if (++asked === 1) socket.write(SWITCHING);
      else socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n');
    });
  });
  const service = await describeService({ http_healthcheck: `http://127.0.0.1:${port}/` });
  await start({ app: service.fields });
  await use(service.port);
  expect(asked).toBe(2);
});
