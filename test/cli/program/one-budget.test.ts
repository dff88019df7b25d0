import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const START_TIMEOUT_MS = 1_000;
/** Tells its process id; the kernel keeps few clients for it. */
const SERVER = `
const server = require('node:net').createServer((client) => client.end(String(process.pid)));
server.listen({ port: process.env.PORT, host: '127.0.0.1', backlog: 1 });
`;

function open(port: number): Socket {
  const client = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void client.destroy());
  return client;
}

test.each(['stream', 'auto'])(
  'a ready service whose port neither takes nor refuses holds a client for start_timeout alone (relay: %s)',
  async (relay) => {
    const [port = 0, target = 0] = await freePorts(2);
    const app = {
      command: [process.execPath, '-e', SERVER],
      env: { PORT: String(target) },
      ports: [`127.0.0.1:${port}:${target}`],
      start_timeout: START_TIMEOUT_MS / 1_000,
    };
    const file = { status: 'off', docker: { labels: false }, relay, services: { app } };
    await startProgram({ cwd: await createFolder({ 'lazy-proxy.yaml': JSON.stringify(file) }) });
    const [pid] = await once(open(port), 'data');
    process.kill(Number(pid), 'SIGSTOP');
    onTestFinished(() => void process.kill(Number(pid), 'SIGCONT'));
    // With its queue full the kernel answers no more.
    await Promise.race(Array.from({ length: 8 }, () => once(open(target), 'connect')));
    const client = open(port).resume();
    await once(client, 'connect');
    const begunMs = performance.now();
    await new Promise((resolve) => client.once('close', resolve));
    expect(performance.now() - begunMs).toBeGreaterThan(START_TIMEOUT_MS - 100);
    expect(performance.now() - begunMs).toBeLessThan(START_TIMEOUT_MS + 700);
  },
);
