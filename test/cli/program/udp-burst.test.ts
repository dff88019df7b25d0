import { createSocket } from 'node:dgram';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const CLIENTS = 1_000;

const ECHO = `
const udp = require('node:dgram').createSocket({ type: 'udp4', recvBufferSize: 4194304 });
udp.on('message', (message, from) => udp.send(message, from.port, from.address));
udp.bind(process.env.PORT, '127.0.0.1');
`;

test('the built program serves all new clients of one address that came while it could not run', async () => {
  const [target = 0, port = 0] = await freePorts(2);
  const file = {
    ...{ status: 'off', docker: { labels: false } },
    services: {
      echo: {
        command: [process.execPath, '-e', ECHO],
        env: { PORT: String(target) },
        udp_ports: [`127.0.0.1:${port}:${target}`],
      },
    },
  };
  const folder = await createFolder({ 'lazy-proxy.yaml': JSON.stringify(file) });
  const proxy = await startProgram({ cwd: folder });
  const clients = Array.from({ length: CLIENTS }, () => createSocket('udp4'));
  let answered = 0;
  for (const client of clients) {
    client.on('message', () => answered++);
    onTestFinished(() => void client.close());
  }
  const [first] = clients;
  first?.send('hello', port, '127.0.0.1');
  await expect.poll(() => answered, { timeout: 10_000 }).toBeGreaterThan(0);
  answered = 0;
  proxy.child.kill('SIGSTOP');
  onTestFinished(() => void proxy.child.kill('SIGCONT'));
  const sent = clients.map(
    (client) => new Promise<void>((resolve) => client.send('hello', port, '127.0.0.1', () => resolve())),
  );
  await Promise.all(sent);
  proxy.child.kill('SIGCONT');
  await expect.poll(() => answered, { timeout: 10_000 }).toBe(CLIENTS);
  expect(proxy.log()).not.toContain('WARN');
}, 40_000);
