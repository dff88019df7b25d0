import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
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
