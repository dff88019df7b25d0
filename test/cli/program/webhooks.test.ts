/** What webhooks are told by the built program, and that nobody waits for them. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startWebhookReceiver, type WebhookReceiver } from '../../engine/support/webhook-receiver.ts';
import { freePort } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

/** A TCP client gets 5,000 bytes as soon as it has sent 1,000; a UDP client gets each datagram twice as long. */
const SERVER = `
const { PORT } = process.env;
require('node:net').createServer((client) => {
  let bytes = 0;
  client.on('data', (chunk) => { if ((bytes += chunk.length) >= 1000) client.end(Buffer.alloc(5000)); });
  client.on('error', () => {});
}).listen(PORT);
const udp = require('node:dgram').createSocket('udp4').bind(PORT);
udp.on('message', (message, from) => udp.send(Buffer.concat([message, message]), from.port, from.address));
`;
const CLIENT_EVENTS = ['tcp_conn_start', 'tcp_conn_end', 'udp_flow_start', 'udp_flow_end'];

interface Content {
  readonly webhooks?: readonly object[];
  readonly relay?: string;
  readonly http?: object;
  readonly app?: object;
  readonly others?: object;
  readonly status?: string | object;
}

/** The proxy in front of a server process, on a TCP and a UDP port of one number. */
async function start(content: Content) {
  const [port, target] = [await freePort(), await freePort()];
  const write = ({ webhooks = [], relay = 'auto', http, app, others, status = 'off' }: Content) =>
    JSON.stringify(
      {
        ...{ status, docker: { labels: false }, relay, webhooks, ...(http && { http }) },
        services: {
          app: {
            command: [process.execPath, '-e', SERVER],
            env: { PORT: String(target) },
            ports: [`127.0.0.1:${port}:${target}`],
            udp_ports: [`127.0.0.1:${port}:${target}`],
            ...app,
          },
          ...others,
        },
      },
      undefined,
      2,
    );
  const folder = await createFolder({ 'lazy-proxy.yaml': write(content) });
  const program = await startProgram({
    cwd: folder,
    env: { ...process.env, LOG_LEVEL: 'debug', LOG_FORMAT: 'pretty' },
  });
  const replace = async (text: string) => {
    await writeFile(`${folder}/new`, text);
    await rename(`${folder}/new`, `${folder}/lazy-proxy.yaml`);
  };
  return { ...program, port, folder, replace, rewrite: (changed: Content) => replace(write(changed)) };
}

async function receive(options?: Parameters<typeof startWebhookReceiver>[0]): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver(options);
  onTestFinished(() => receiver.close());
  return receiver;
}

/** Sends 1,000 bytes, and resolves with how many came back. */
async function askTcp(port: number): Promise<number> {
  const client = connect(port, '127.0.0.1');
  client.write(Buffer.alloc(1_000));
  let bytes = 0;
  for await (const chunk of client) bytes += (chunk as Buffer).length;
  return bytes;
}

async function untilReceived(receiver: WebhookReceiver, event: string, count = 1) {
  await expect.poll(() => receiver.of(event).length, { timeout: 15_000 }).toBeGreaterThanOrEqual(count);
  return receiver.of(event);
}

describe('webhooks', () => {
  test.each(['stream', 'auto'])('are told what clients have carried (relay: %s)', async (relay) => {
    const receiver = await receive();
    const webhooks = [{ url: receiver.url, events: CLIENT_EVENTS }];
    const { port } = await start({ relay, webhooks, app: { udp_flow_timeout: '1s', idle_timeout: '60s' } });
    for (let count = 0; count < 2; count++) expect(await askTcp(port)).toBe(5_000);
    const udp = createSocket('udp4');
    onTestFinished(() => void udp.close());
    udp.send('hello', port, '127.0.0.1');
    await once(udp, 'message');
    const carried = { service: 'app', listen_port: port, duration_ms: expect.any(Number) };
    for (const end of await untilReceived(receiver, 'tcp_conn_end', 2))
      expect(end).toMatchObject({ ...carried, bytes_sent: 5_000, bytes_received: 1_000 });
    const [flow] = await untilReceived(receiver, 'udp_flow_end');
    expect(flow).toMatchObject({ ...carried, bytes_sent: 10, bytes_received: 5 });
  });

  test('that hang, refuse or fail slow no client, and the end of the proxy is bounded', async () => {
    const [hangs, fails] = [await receive({ hangs: true }), await receive({ status: 500 })];
    const refuses = `http://127.0.0.1:${await freePort()}/`;
    const { port, child, logged, linesWith } = await start({
      webhooks: [hangs.url, fails.url, refuses].map((url) => ({
        url,
        events: [...CLIENT_EVENTS, 'container_started', 'container_stopped'],
      })),
    });
    // The first one starts the service.
    await askTcp(port);
    const begunMs = performance.now();
    await Promise.all(Array.from({ length: 50 }, () => askTcp(port)));
    for (let count = 0; count < 20; count++) expect(await askTcp(port)).toBe(5_000);
    // One post that hangs takes 5 s.
    expect(performance.now() - begunMs).toBeLessThan(4_000);
    await logged('failed: it answered 500');
    await logged('ECONNREFUSED');
    expect(linesWith('WARN').length).toBeLessThan(30);
    const endedMs = performance.now();
    child.kill('SIGTERM');
    await once(child, 'exit');
    // The last events have a second, and the local process ends meanwhile.
    expect(performance.now() - endedMs).toBeLessThan(3_500);
    expect(linesWith('not delivered before the end of the proxy')).toHaveLength(1);
  });

  test('of a changed file get what happens from then on, and no listener is touched', async () => {
    const [first, second] = [await receive(), await receive()];
    const { port, rewrite, logged, log } = await start({});
    await askTcp(port);
    const kept: Socket = connect(port, '127.0.0.1');
    onTestFinished(() => void kept.destroy());
    await once(kept, 'connect');
    for (const receiver of [first, second]) {
      const from = log().length;
      await rewrite({ webhooks: [{ url: receiver.url, events: CLIENT_EVENTS }] });
      expect(await logged('settings changed: webhooks', from)).not.toContain('listener');
      await askTcp(port);
      await untilReceived(receiver, 'tcp_conn_end');
    }
    expect([first.of('tcp_conn_start').length, second.of('tcp_conn_start').length]).toEqual([1, 1]);
    kept.write(Buffer.alloc(1_000));
    let bytes = 0;
    for await (const chunk of kept) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(5_000);
  });

  test('are told of a failed wake, a lost listener and a refused file', async () => {
    const [all, own] = [await receive(), await receive()];
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await once(holder, 'listening');
    const { port: held } = holder.address() as { readonly port: number };
    const port = await freePort();
    const others = {
      bad: {
        command: [process.execPath, '-e', 'process.exit(3)'],
        ports: [`127.0.0.1:${port}:1`, `127.0.0.1:${held}:2`],
        webhooks: [{ url: own.url }],
        start_timeout: '2s',
      },
    };
    const { replace } = await start({ webhooks: [{ url: all.url }], others });
    await expect(askTcp(port).then((bytes) => bytes > 0)).resolves.toBe(false);
    for (const receiver of [all, own]) {
      const [lost] = await untilReceived(receiver, 'listener_lost');
      expect(lost).toEqual({
        event: 'listener_lost',
        timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
        container_name: 'bad',
        service: 'bad',
        ...{ protocol: 'tcp', listen_address: '127.0.0.1', listen_port: held },
        reason: 'another process holds the port',
      });
      const [failed] = await untilReceived(receiver, 'wake_failed');
      expect(failed).toMatchObject({
        service: 'bad',
        reason: expect.stringContaining('exit code 3'),
        cause: expect.stringMatching(/^for 127\.0\.0\.1:\d+$/),
      });
    }
    await replace('services:\n  app:\n    ports: ["80:http"]\n    portz: 3\n');
    const [refused] = await untilReceived(all, 'reload_refused');
    expect(refused).toMatchObject({ file: 'lazy-proxy.yaml', line: 3, column: 13, mistakes: 2 });
    expect(refused?.['message']).toContain('ports[0]: "80:http"');
    expect(own.of('reload_refused')).toEqual([]);
  });

  test('that are served by a service hear of others, and not of what they cause themselves', async () => {
    const [target, door] = [await freePort(), await freePort()];
    const received: string[] = [];
    // Not a process of the proxy's: what it was sent is known here.
    const receiver = createHttpServer(async (request, response) => {
      received.push((await request.toArray()).join(''));
      response.end();
    }).listen(target, '127.0.0.1');
    onTestFinished(() => void receiver.close());
    await once(receiver, 'listening');
    const { port, log, logged } = await start({
      webhooks: [{ url: `http://127.0.0.1:${door}/`, events: [...CLIENT_EVENTS, 'container_started'] }],
      others: {
        hook: {
          command: [process.execPath, '-e', 'setInterval(() => {}, 1000)'],
          ports: [`127.0.0.1:${door}:${target}`],
          idle_timeout: '1s',
        },
      },
    });
    await askTcp(port);
    await logged('hook is awake');
    // It sleeps, so nothing keeps coming.
    await logged('hook is asleep', log().indexOf('hook is awake'));
    const told = received.map((body) => JSON.parse(body)).map(({ event, service }) => `${event} ${service}`);
    expect(told.toSorted()).toEqual(['container_started app', 'tcp_conn_end app', 'tcp_conn_start app']);
    expect(log()).not.toContain('WARN');
  });

  test('are told of requests at a front door, and of a door that is not free, but lead to none in a circle', async () => {
    const receiver = await receive();
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await once(holder, 'listening');
    const { port: held } = holder.address() as { readonly port: number };
    const [door, target] = [await freePort(), await freePort()];
    const page =
      "require('node:http').createServer((_, r) => r.end('hello')).listen(+process.argv[1], '127.0.0.1')";
    const { logged } = await start({
      webhooks: [{ url: receiver.url, events: [...CLIENT_EVENTS, 'listener_lost'] }],
      http: { listen: [`127.0.0.1:${door}`, `127.0.0.1:${held}`] },
      others: {
        page: {
          command: [process.execPath, '-e', page, String(target)],
          hosts: ['localhost'],
          http_port: target,
          webhook_url: `http://localhost:${door}/`,
        },
      },
    });
    const answer = await fetch(`http://localhost:${door}/`);
    expect(await answer.text()).toBe('hello');
    const [end] = await untilReceived(receiver, 'tcp_conn_end');
    expect(end).toMatchObject({ service: 'page', listen_port: door, bytes_sent: 'hello'.length });
    const [lost] = await untilReceived(receiver, 'listener_lost');
    expect(lost).toMatchObject({ listen_port: held, reason: 'another process holds the port' });
    expect(lost).not.toHaveProperty('container_name');
    await logged('whose webhook would never end');
    expect(receiver.of('tcp_conn_start')).toHaveLength(1);
  });

  test('keep their secrets in the log, the status and the API', async () => {
    const receiver = await receive({ status: 500 });
    const statusPort = await freePort();
    const hook = {
      url: `${receiver.url}/T0KEN?T0KEN`,
      headers: { Authorization: 'Bearer T0KEN' },
      secret: 'T0KEN',
      events: ['container_started', 'tcp_conn_start', 'wake_failed'],
    };
    const { port, replace, logged, log } = await start({
      status: { listen: `127.0.0.1:${statusPort}`, token: 'T0KEN' },
      webhooks: [hook],
      app: { webhooks: [hook], webhook_url: `${receiver.url}/T0KEN` },
    });
    await askTcp(port);
    await logged('failed: it answered 500');
    await replace(
      JSON.stringify(
        {
          webhooks: [
            { ...hook, url: 'htp://h/T0KEN' },
            { ...hook, secret: ['T0KEN'] },
          ],
        },
        undefined,
        2,
      ),
    );
    await logged('is refused; the last good configuration stays in force');
    const answers = await Promise.all(
      [
        '/status',
        '/problems',
        '/api/config',
        '/api/services',
        '/api/services/app',
        '/api/reload',
        '/metrics',
      ].map(async (path) => (await fetch(`http://127.0.0.1:${statusPort}${path}`)).text()),
    );
    expect(answers[2]).toContain('"Authorization": "***"');
    for (const text of [log(), ...answers]) expect(text).not.toContain('T0KEN');
    const headers = { authorization: 'Bearer T0KEN' };
    const open = await fetch(`http://127.0.0.1:${statusPort}/api/config`, { headers });
    expect(await open.text()).toContain('Bearer T0KEN');
  });
});
