import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const ALONE = JSON.stringify({ status: 'off', docker: { labels: false }, services: {} });

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends a start that waits for a silent engine',
  async (signal) => {
    const port = await freePort();
    const cwd = await createFolder({
      'lazy-proxy.yaml': JSON.stringify({
        status: 'off',
        services: { a: { ports: [`127.0.0.1:${port}:80`] } },
      }),
    });
    const engine = createServer().listen(join(cwd, 'engine.sock'));
    onTestFinished(() => void engine.close());
    const env = { ...process.env, DOCKER_HOST: `unix://${join(cwd, 'engine.sock')}` };
    const { child, log } = await startProgram({ cwd, env, until: undefined });
    const [client] = await once(engine, 'connection');
    client.on('error', () => {});
    const begunMs = performance.now();
    child.kill(signal);
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(performance.now() - begunMs).toBeLessThan(1_500);
    expect(log()).toContain(`${signal}: shutting down before the start is complete`);
    expect(log()).not.toContain('listening');
    client.destroy();
  },
);

test('a burst of SIGHUP is a few reloads', async () => {
  const cwd = await createFolder({ 'lazy-proxy.yaml': ALONE });
  const { child, logged, linesWith } = await startProgram({ cwd });
  for (let count = 0; count < 200; count++) {
    child.kill('SIGHUP');
    await new Promise(setImmediate);
  }
  await logged('nothing changed');
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  expect(linesWith('SIGHUP').length).toBeLessThan(10);
});

test('SIGUSR1 does not open the debugger', async () => {
  const cwd = await createFolder({ 'lazy-proxy.yaml': ALONE });
  const port = await freePort();
  const { child, logged } = await startProgram({ cwd, nodeArgs: [`--inspect-port=127.0.0.1:${port}`] });
  child.kill('SIGUSR1');
  child.kill('SIGHUP');
  await logged('nothing changed');
  const client = connect(port, '127.0.0.1');
  const [error] = await once(client, 'error');
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
});

describe.runIf(process.platform === 'linux')('a proxy that ends while a service wakes', () => {
  /** A client that has sent a request and its end, and the proxy that was told to end then. */
  const end = async (text: string) => {
    const [port, target] = [await freePort(), await freePort()];
    const cwd = await createFolder({
      'lazy-proxy.yaml': text.replace('PORT', `${port}`).replaceAll('TARGET', `${target}`),
    });
    const { child, logged } = await startProgram({ cwd });
    const client = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    client.end('GET / HTTP/1.0\r\n\r\n');
    await logged('is waking');
    const begunMs = performance.now();
    child.kill('SIGTERM');
    return { client, exited: once(child, 'exit').then(() => performance.now() - begunMs), target };
  };

  test('waits two seconds, not eight, for those whose clients have sent their end', async () => {
    const { client, exited } = await end(
      `{ status: 'off', docker: { labels: false }, services: { a: { command: [sleep, "60"], ports: ["127.0.0.1:PORT:TARGET"] } } }`,
    );
    client.on('error', () => {}).resume();
    const tookMs = await exited;
    expect(tookMs).toBeGreaterThan(1_500);
    expect(tookMs).toBeLessThan(5_500);
  });

  test('serves such a client whose service is there by then', async () => {
    const script = `setTimeout(() => require("node:net").createServer((s) => s.end("served")).listen(TARGET, "127.0.0.1"), 700)`;
    const { client, exited } = await end(
      `{ status: 'off', docker: { labels: false }, services: { a: { command: [${JSON.stringify(process.execPath)}, -e, '${script}'], ports: ["127.0.0.1:PORT:TARGET"] } } }`,
    );
    let answer = '';
    client.on('data', (chunk) => {
      answer += chunk;
    });
    await once(client, 'end');
    expect(answer).toBe('served');
    await exited;
  });
});
