import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { ConfigFile } from '../../src/sources/config-file.ts';
import { LazyProxy } from '../../src/proxy/lazy-proxy.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { startWebhookReceiver } from '../engine/support/webhook-receiver.ts';
import { aFile, KEEPS_NOTHING } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';

const MINUTE_MS = 60_000;
/** A server that answers each client with its process id. */
const SERVER = `require('node:net').createServer((c) => c.write(String(process.pid))).listen(process.env.PORT)`;

/** A proxy with the services of a file's text, on a clock that the test moves. */
async function startProxy(text: string) {
  const clock = new FakeClock();
  const file = { config: aFile(text), problems: [], shownPath: 'lazy-proxy.yaml', close: async () => {} };
  const proxy = await LazyProxy.create({
    file: file as unknown as ConfigFile,
    environment: KEEPS_NOTHING,
    logger: silentLogger,
    flags: {},
    env: process.env,
    version: '1.2.3',
    clock,
  });
  await proxy.start();
  onTestFinished(async () => {
    proxy.destroy();
    let closed = false;
    const closing = proxy.close().then(() => {
      closed = true;
    });
    while (!closed) await clock.advance(10);
    await closing;
  });
  const reload = (newText: string) => {
    file.config = aFile(newText);
    proxy.fileChanged();
  };
  return { proxy, clock, reload };
}

/**
 * Moves the clock as fast as real time goes until the condition holds: a real process starts meanwhile, and a faster clock would
 * end its budget before.
 */
async function meanwhile(clock: FakeClock, holds: () => boolean): Promise<void> {
  const step = { interval: 10 };
  await expect.poll(() => clock.advance(step.interval).then(holds), step).toBe(true);
}

test('a schedule stops nothing any more once the proxy drains', async () => {
  const [port, target] = [await freePort(), await freePort()];
  const command = JSON.stringify([process.execPath, '-e', SERVER]);
  const { proxy, clock } = await startProxy(`
status: off
docker: { labels: false }
relay: stream
services:
  app:
    { command: ${command}, env: { PORT: "${target}" }, ports: ["127.0.0.1:${port}:${target}"], cron_stop: "* * * * *" }
`);
  const client = connect(port, '127.0.0.1');
  onTestFinished(() => void client.destroy());
  let closed = false;
  client.on('close', () => {
    closed = true;
  });
  let pid = 0;
  client.once('data', (data) => {
    pid = Number(data);
  });
  await once(client, 'connect');
  await meanwhile(clock, () => pid !== 0);
  void proxy.drain();
  await clock.advance(3 * MINUTE_MS);
  expect(() => process.kill(pid, 0)).not.toThrow();
  expect(closed).toBe(false);
});

test('a reload that removes a running process tells its webhook that it was stopped', async () => {
  const [port, target] = [await freePort(), await freePort()];
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  const command = JSON.stringify([process.execPath, '-e', SERVER]);
  const settings = 'status: off\ndocker: { labels: false }\nrelay: stream\n';
  const { clock, reload } = await startProxy(`${settings}
services:
  app:
    command: ${command}
    env: { PORT: "${target}" }
    ports: ["127.0.0.1:${port}:${target}"]
    webhook_url: ${receiver.url}
`);
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  let answered = false;
  client.once('data', () => {
    answered = true;
  });
  await meanwhile(clock, () => answered);
  client.destroy();
  await meanwhile(clock, () => receiver.of('tcp_conn_end').length > 0);
  reload(`${settings}services: {}`);
  const deadline = performance.now() + 3_000;
  while (receiver.of('container_stopped').length === 0 && performance.now() < deadline)
    await clock.advance(1);
  const [{ container_id: id } = {}] = receiver.of('container_started');
  expect(receiver.of('container_stopped')).toEqual([
    expect.objectContaining({ container_id: id, container_name: 'app' }),
  ]);
});
