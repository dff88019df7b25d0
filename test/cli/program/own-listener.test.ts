import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const SERVER =
  "require('node:http').createServer((_, r) => r.end('hello')).listen(+process.argv[1], '127.0.0.1')";

/** The proxy with one process as a service that listens on 127.0.0.1; `fields` are told the port. */
async function start(
  fields: (port: number) => Readonly<Record<string, unknown>>,
  others: Readonly<Record<string, unknown>> = {},
) {
  const [port = 0, target = 0] = await freePorts(2);
  const folder = await createFolder({
    'lazy-proxy.yaml': JSON.stringify({
      ...{ status: 'off', docker: { labels: false } },
      services: {
        ...others,
        web: {
          command: [process.execPath, '-e', SERVER, String(target)],
          ...{ ports: [`127.0.0.1:${port}:${target}`], start_timeout: '3s', idle_timeout: '1s' },
          ...fields(port),
        },
      },
    }),
  });
  const { log, logged } = await startProgram({ cwd: folder });
  let from = 0;
  const wait = async (text: string) => {
    await logged(text, from);
    // What follows is waited for from here on.
    from = log().indexOf(text, from) + text.length;
  };
  return { port, wait };
}

/** One request, until the connection has ended. */
async function ask(port: number): Promise<string> {
  const client = connect(port, '127.0.0.1');
  let text = '';
  client.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  client.on('error', () => {}).end('GET / HTTP/1.0\r\n\r\n');
  // Whoever is refused with bytes unread is reset.
  await new Promise<void>((resolve) => client.once('close', () => resolve()));
  return text;
}

test('a webhook to the service’s own listener is not sent, so that the service can sleep', async () => {
  const proxy = await start((port) => ({ webhook_url: `http://127.0.0.1:${port}/` }));
  expect(await ask(proxy.port)).toContain('hello');
  await proxy.wait(
    `127.0.0.1:${proxy.port} is the proxy's own listener of service web, whose webhook would never end`,
  );
  await proxy.wait('web is asleep');
});

test('a webhook to the listener of a service that has none wakes that one', async () => {
  const [port = 0, target = 0] = await freePorts(2);
  const command = [process.execPath, '-e', SERVER, String(target)];
  const proxy = await start(() => ({ webhook_url: `http://127.0.0.1:${port}/` }), {
    receiver: { command, ports: [`127.0.0.1:${port}:${target}`], idle_timeout: '1s' },
  });
  expect(await ask(proxy.port)).toContain('hello');
  await proxy.wait('receiver is awake');
  await proxy.wait('receiver is asleep');
});

test('a health check that leads to the service’s own listener fails with that reason', async () => {
  const proxy = await start((port) => ({
    ...{ http_healthcheck: `http://localhost:${port}/health`, start_timeout: '1s' },
  }));
  expect(await ask(proxy.port)).toBe('');
  await proxy.wait('did not become ready');
  await proxy.wait(`127.0.0.1:${proxy.port} is the proxy's own listener of service web`);
});

test('a process behind its own port on one address is refused with that reason', async () => {
  // On [::1] it might still listen, so that the file alone does not tell.
  const proxy = await start((port) => ({ ports: [`127.0.0.1:${port}:${port}`], start_timeout: '1s' }));
  expect(await ask(proxy.port)).toBe('');
  await proxy.wait('did not become ready');
  await proxy.wait(`127.0.0.1:${proxy.port} is the proxy's own listener of service web`);
});
