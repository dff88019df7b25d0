import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { FileInput } from '../../src/cli/file-input.ts';
import { LazyProxy } from '../../src/cli/lazy-proxy.ts';
import { silentLogger } from '../../src/system/logger.ts';
import { aFile, anEnvironment } from '../support/builders.ts';
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
    file: file as unknown as FileInput,
    environment: anEnvironment(),
    logger: silentLogger,
    flags: {},
    env: process.env,
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
  return { proxy, clock };
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
  while (pid === 0) await clock.advance(1);
  void proxy.drain();
  await clock.advance(3 * MINUTE_MS);
  expect(() => process.kill(pid, 0)).not.toThrow();
  expect(closed).toBe(false);
});
