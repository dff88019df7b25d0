import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const CLIENTS = 200;
/** Sockets that the program can still open. */
const LEFT = 5;

const ECHO = `
const udp = require('node:dgram').createSocket('udp4').bind(process.env.PORT, '127.0.0.1');
udp.on('message', (message, from) => udp.send(message, from.port, from.address));
`;

interface Row {
  readonly state: string;
  readonly error?: string;
  readonly dropped?: Readonly<Record<string, number>>;
}

test('the built program drops and counts what it has no socket for, and the service stays ready', async () => {
  const [target = 0, port = 0, statusPort = 0] = await freePorts(3);
  const file = {
    ...{ status: { listen: `127.0.0.1:${statusPort}` }, docker: { labels: false } },
    services: {
      echo: {
        command: [process.execPath, '-e', ECHO],
        env: { PORT: String(target) },
        udp_ports: [`127.0.0.1:${port}:${target}`],
        start_timeout: '5s',
      },
    },
  };
  const folder = await createFolder({ 'lazy-proxy.yaml': JSON.stringify(file) });
  const proxy = await startProgram({ cwd: folder });
  const { pid } = proxy.child;
  const row = async () => {
    const headers = { connection: 'close' };
    const answer = await fetch(`http://127.0.0.1:${statusPort}/status`, { headers });
    return ((await answer.json()) as Row[])[0];
  };
  const droppedOf = async () => Object.values((await row())?.dropped ?? {}).reduce((a, b) => a + b, 0);
  const clients = Array.from({ length: CLIENTS }, () => createSocket('udp4').unref());
  let answered = 0;
  for (const client of clients) {
    client.on('message', () => answered++);
    onTestFinished(() => void client.close());
  }
  const ask = async () => {
    const client = createSocket('udp4');
    const message = once(client, 'message');
    client.send('hello', port, '127.0.0.1');
    await message;
    client.close();
  };
  await ask();
  await row();

  const limit = (count: number | string) =>
    promisify(execFile)('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
  const { stdout } = await promisify(execFile)('prlimit', [
    ...['--pid', String(pid), '--nofile', '--noheadings', '--output=SOFT'],
  ]);
  await limit((await readdir(`/proc/${pid}/fd`)).length + LEFT);
  const sent = clients.map(
    (client) => new Promise<void>((resolve) => client.send('hello', port, '127.0.0.1', () => resolve())),
  );
  await Promise.all(sent);
  await proxy.logged('too few file descriptors');
  // None waits for a socket that it may get now; and the status needs one.
  await limit(stdout.trim());
  await expect.poll(async () => answered + (await droppedOf()), { timeout: 15_000 }).toBe(CLIENTS);
  const { state, error, dropped } = (await row()) ?? {};
  expect({ state, error, dropped }).toEqual({
    state: 'ready',
    error: undefined,
    dropped: { 'no-descriptors': CLIENTS - answered },
  });
  expect(answered).toBeLessThan(CLIENTS);
  expect(proxy.linesWith('WARN').length).toBe(1);
  await ask();
}, 40_000);
