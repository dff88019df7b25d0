import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { Sockets } from '../../support/sockets.ts';
import { createFolder } from './folder.ts';

const SERVICES = 60;
const MAX_STARTING = 4;

test('a port scan over sleeping services starts a few of them, and nobody who has left', async () => {
  const sockets = new Sockets();
  onTestFinished(() => sockets.close());
  const server = await sockets.listen((client) => void client.end('hello'));
  const deaf = await freePort();
  const ports = await Promise.all(Array.from({ length: SERVICES + 1 }, () => freePort()));
  const folder = await createFolder({ started: '' });
  const service = (port: number | undefined, index: number) => [
    `s${index}`,
    {
      command: ['/bin/sh', '-c', `echo s${index} >> started; exec sleep 1000`],
      cwd: folder,
      ports: [`127.0.0.1:${port}:${index === SERVICES ? server.port : deaf}`],
      start_timeout: index === SERVICES ? '20s' : '2s',
    },
  ];
  const file = {
    ...{ status: 'off', docker: { labels: false }, max_starting: MAX_STARTING },
    services: Object.fromEntries(ports.map(service)),
  };
  await writeFile(path.join(folder, 'lazy-proxy.yaml'), JSON.stringify(file));
  const proxy = await startProgram({ cwd: folder });
  const started = async () => (await readFile(path.join(folder, 'started'), 'utf8')).trim().split('\n');

  await Promise.all(
    ports.slice(0, SERVICES).map(async (port) => {
      const client = connect(port, '127.0.0.1');
      await once(client, 'connect');
      client.destroy();
      await once(client, 'close');
    }),
  );
  // When its turn comes, whoever came before it has been started, or has left.
  const client = connect(ports[SERVICES] as number, '127.0.0.1');
  const [answer] = await once(client, 'data');
  expect(String(answer)).toBe('hello');
  client.destroy();
  expect((await started()).length).toBeLessThanOrEqual(MAX_STARTING + 1);
  // Each writes its line at its own pace.
  expect(await started()).toContain(`s${SERVICES}`);
  expect(proxy.log().split(/waits? for (?:its|their) turns?/).length - 1).toBeLessThanOrEqual(3);
}, 30_000);
