import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const ROUNDS = 6;
const LISTENERS = 30;
const CLIENTS = 100;

const ECHO = `
const udp = require('node:dgram').createSocket('udp4').bind(process.env.PORT, '127.0.0.1');
udp.on('message', (message, from) => udp.send(message, from.port, from.address));
`;

/** Sockets that come and go by the hundred, in a program whose garbage is collected all the time. */
test('the built program outlives listeners and flows of UDP that are opened and closed all the time', async () => {
  const [target, ...ports] = await freePorts(LISTENERS + 2);
  const [stays, ...goes] = ports;
  const config = (with_: readonly (number | undefined)[]) =>
    JSON.stringify({
      ...{ status: 'off', docker: { labels: false } },
      services: {
        echo: {
          command: [process.execPath, '-e', ECHO],
          env: { PORT: String(target) },
          udp_ports: [stays, ...with_].map((port) => `127.0.0.1:${port}:${target}`),
          udp_flow_timeout: '1s',
        },
      },
    });
  const folder = await createFolder({ 'lazy-proxy.yaml': config(goes) });
  const nodeArgs = ['--max-semi-space-size=1'];
  const { child: proxy, log, logged } = await startProgram({ cwd: folder, nodeArgs });
  const ask = async () => {
    const client = createSocket('udp4');
    const answered = once(client, 'message');
    client.send('hello', stays ?? 0, '127.0.0.1');
    await answered;
    client.close();
  };
  await ask();
  for (let round = 0; round < ROUNDS; round++) {
    const from = log().length;
    await writeFile(path.join(folder, 'lazy-proxy.yaml'), config(round % 2 === 0 ? [] : goes));
    await Promise.all(Array.from({ length: CLIENTS }, ask));
    await logged(round % 2 === 0 ? 'closed' : 'opened', from);
  }
  proxy.kill('SIGTERM');
  const [code] = await once(proxy, 'exit');
  expect(code).toBe(0);
});
