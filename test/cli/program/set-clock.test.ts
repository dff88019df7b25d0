import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const ECHO = `
require('node:net').createServer((client) => client.pipe(client)).listen(process.env.PORT, '127.0.0.1');
`;
/** Each SIGUSR2 sets the clock of the program: an hour forward, back again, and another hour back. */
const SET_CLOCK = `
const hours = [1, 0, -1];
let aheadMs = 0;
const now = Date.now;
Date.now = () => now() + aheadMs;
process.on('SIGUSR2', () => {
  aheadMs = hours.shift() * 3_600_000;
  console.log('the clock is set');
});
`;

async function ask(client: Socket, text: string): Promise<string> {
  client.write(text);
  const [answer] = await once(client, 'data');
  return String(answer);
}

test('a clock that is set cuts nobody, and a service sleeps and wakes as before', async () => {
  const [port = 0, target = 0] = await freePorts(2);
  const app = {
    command: [process.execPath, '-e', ECHO],
    env: { PORT: String(target) },
    ports: [`127.0.0.1:${port}:${target}`],
    idle_timeout: '1s',
  };
  const file = { status: 'off', docker: { labels: false }, services: { app } };
  const proxy = await startProgram({
    cwd: await createFolder({ 'lazy-proxy.yaml': JSON.stringify(file) }),
    nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(SET_CLOCK)}`],
  });
  const open = () => {
    const client = connect(port, '127.0.0.1');
    onTestFinished(() => void client.destroy());
    return client;
  };
  for (let round = 0; round < 3; round++) {
    const from = proxy.log().length;
    const client = open();
    expect(await ask(client, 'before')).toBe('before');
    proxy.child.kill('SIGUSR2');
    await proxy.logged('the clock is set', from);
    expect(await ask(client, 'after')).toBe('after');
    const next = open();
    expect(await ask(next, 'next')).toBe('next');
    expect(proxy.log().slice(from)).not.toContain('app is asleep');
    for (const one of [client, next]) one.destroy();
    expect(await proxy.logged('app is asleep', from)).toBeDefined();
  }
  expect(proxy.linesWith('app is waking')).toHaveLength(3);
  expect(proxy.linesWith('WARN')).toEqual([]);
});
