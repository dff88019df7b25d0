/** The API of a proxy as it runs: who may read what. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { buildTable } from '../../src/table/build-table.ts';
import { type AskApi, startApiProxy } from '../support/api-proxy.ts';
import type { ServiceDetailAnswer } from '../../src/status/api/answers.ts';
import { freePort, freePorts } from '../support/free-ports.ts';
import { readMetrics } from '../support/metrics-text.ts';
import { ScriptedEngine } from '../support/scripted-engine.ts';
import { ending, Sockets } from '../support/sockets.ts';
import { greetingOf } from '../support/tls-greeting.ts';

vi.mock('../../src/table/build-table.ts', { spy: true });

const TOKEN = { headers: { authorization: 'Bearer s3cret' } };

interface ToldEvent {
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Listens to what happens until `close()`. */
async function openEvents(
  port: number,
  {
    headers = {},
    query = '',
  }: { readonly headers?: Readonly<Record<string, string>>; readonly query?: string } = {},
) {
  const sent = request({ host: '127.0.0.1', port, path: `/api/events${query}`, headers, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const all: ToldEvent[] = [];
  let rest = '';
  let lastId = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, kind, data = ''] = /^event: (.*)\ndata: (.*)$/m.exec(block) ?? [];
      lastId = /^id: (.*)$/m.exec(block)?.[1] ?? lastId;
      if (kind !== undefined) all.push({ kind, data: JSON.parse(data) });
    }
  });
  return {
    all,
    lastId: () => lastId,
    close: () => void sent.destroy(),
    async until(condition: (event: ToldEvent) => boolean) {
      while (!all.some(condition)) await once(response, 'data');
    },
  };
}

/** Wakes the service and waits until it is known what it had printed before its start failed. */
async function fail(port: number, ask: AskApi): Promise<void> {
  const sockets = new Sockets();
  await ending(await sockets.connect(port));
  await sockets.close();
  for (let shown = ''; !shown.includes('"output"'); ) shown = (await ask('/api/services/bad')).body;
}

describe('the API of a proxy', () => {
  const start = async (status = ', token: s3cret') => {
    const port = await freePort();
    const services = `
  bad:
    command: [sh, -c, "echo the word is $PASSWORD; exit 3", hunter2]
    env: { PASSWORD: hunter2 }
    webhook_url: https://hooks.example.com/hunter2
    ports: ["127.0.0.1:${port}:81"]
`;
    return { ...(await startApiProxy(services, { status })), tcp: port, services };
  };

  test('shows secrets to who has shown the token, and to nobody else', async () => {
    const { ask, tcp } = await start();
    await fail(tcp, ask);
    const urls = ['/api/services', '/api/services/bad', '/api/config', '/api/reload', '/status', '/problems'];
    for (const url of urls) {
      const { body, status } = await ask(url);
      expect([status, body.includes('hunter2'), body.includes('s3cret')], url).toEqual([200, false, false]);
    }
    const hidden = { wakes: [{ reason: 'exit code 3', output: ['***'] }] };
    expect((await ask('/api/services/bad')).json).toMatchObject(hidden);
    const shown = { wakes: [{ output: ['the word is hunter2'] }] };
    expect((await ask('/api/services/bad', TOKEN)).json).toMatchObject(shown);
    const config = (await ask('/api/config', TOKEN)).body;
    expect([config.includes('hunter2'), config.includes('s3cret')]).toEqual([true, false]);
  });

  test('sends nobody among the events what a workload has printed, whatever is shown', async () => {
    const { ask, tcp, port } = await start(', token: s3cret, show_output: true');
    const events = await openEvents(port, TOKEN);
    await fail(tcp, ask);
    await events.until(({ kind }) => kind === 'woken');
    events.close();
    expect(JSON.stringify(events.all)).not.toContain('hunter2');
  });

  test('shows the output alone where show_output is on', async () => {
    const { ask, tcp } = await start(', show_output: true');
    await fail(tcp, ask);
    expect((await ask('/api/services/bad')).body).toContain('the word is hunter2');
    expect((await ask('/api/config')).body).not.toContain('hunter2');
  });

  test('asks for the token for everything but /health and /ready where protect is on', async () => {
    const { ask } = await start(', token: s3cret, protect: true');
    for (const url of ['/status', '/problems', '/api', '/api/services', '/api/config', '/api/nothing']) {
      const { status, headers } = await ask(url);
      expect([url, status, headers['www-authenticate']]).toEqual([url, 401, 'Bearer']);
    }
    for (const url of ['/health', '/ready']) expect((await ask(url)).status, url).toBe(200);
    for (const url of ['/status', '/problems', '/api', '/api/services', '/api/config'])
      expect((await ask(url, TOKEN)).status, url).toBe(200);
  });

  test('refuses a name that leads here from elsewhere, and a wrong token', async () => {
    const { ask } = await start();
    const rebound = await ask('/api/services', { headers: { host: 'evil.example' } });
    expect(rebound.json).toMatchObject({
      status: 403,
      detail: expect.stringContaining('status.allowed_hosts'),
    });
    const wrong = await ask('/api/services', { headers: { authorization: 'Bearer s3cre7' } });
    expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([401, 'Bearer']);
  });

  test('sends headers that let no page be made of an answer', async () => {
    const { ask } = await start();
    for (const url of ['/api/services', '/api/nothing']) {
      const { headers } = await ask(url);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'cache-control': 'no-store',
      });
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });

  test('shows user and password of the engine to who has shown the token alone', async () => {
    const docker = ', socket: "http://ann:hunter2@127.0.0.1:1"';
    const { ask } = await startApiProxy('  {}\n', { status: ', token: s3cret', docker });
    const shown = (value: string) => ({ settings: { 'docker.socket': { value } } });
    expect((await ask('/api/config')).json).toMatchObject(shown('http://***@127.0.0.1:1'));
    const { json } = await ask('/api/config', TOKEN);
    expect(json).toMatchObject(shown('http://ann:hunter2@127.0.0.1:1'));
  });

  test('hides each part of the configuration that may be a secret', async () => {
    const hook = { url: 'https://h/hunter2', headers: { A: 'hunter2' }, secret: 'hunter2' };
    const web = { command: ['x', 'hunter2'], env: { A: 'hunter2' }, hosts: ['a.lan'], http_port: 80 };
    const services = JSON.stringify({
      web: {
        ...{ ...web, webhook_url: 'https://h/hunter2', webhooks: [hook], api_key: ['hunter2'] },
        basic_auth: ['ann:$2b$10$hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunt'],
        http_healthcheck: 'http://u:hunter2@h/hunter2',
        busy_check: { url: 'http://u:hunter2@h/hunter2' },
      },
      db: { ports: ['127.0.0.1:1:2'], busy_check: { command: ['x', 'hunter2'] } },
    });
    const settings = `webhooks: ${JSON.stringify([hook])}\nhttp: { listen: "127.0.0.1:${await freePort()}" }\n`;
    const docker = ', socket: "http://u:hunter2@127.0.0.1:1"';
    const { ask } = await startApiProxy(`  ${services}\n`, { status: ', token: s3cret', settings, docker });
    const paths = [
      '/api/config',
      '/api/services',
      '/api/services/web',
      '/api/services/db',
      '/api',
      '/status',
    ];
    for (const path of [...paths, '/problems', '/api/reload', '/traefik', '/caddy', '/metrics'])
      expect((await ask(path)).body, path).not.toContain('hunter2');
    const { body } = await ask('/api/config', TOKEN);
    expect(body.split('hunter2').length - 1).toBeGreaterThan(20);
  });

  test('names the origin of each value', async () => {
    const { ask } = await start();
    expect((await ask('/api/config?service=bad')).json).toMatchObject({
      settings: {
        'status.token': { value: '***' },
        relay: { value: 'stream', origin: 'lazy-proxy.yaml:3:8' },
      },
      services: {
        bad: {
          idle_timeout: { value: '2m', origin: 'default' },
          command: { value: ['sh', '***'], origin: 'lazy-proxy.yaml:7:14' },
          env: { value: { PASSWORD: '***' } },
        },
      },
    });
    expect((await ask('/api/config?service=gone')).status).toBe(404);
  });

  test('tells whether the last edit is in force, and shows its wrong line unless that may hold a secret', async () => {
    const { ask, reload, services } = await start();
    expect((await ask('/api/reload')).json).toMatchObject({ generation: 1, refused: 0, problems: [] });
    reload(`${services}    idle_timeout: 3m\n`);
    expect((await ask('/api/reload')).json).toMatchObject({ generation: 2 });
    reload(`${services}    idle_timeout: soon\n    webhook_url: "hunter2 hunter2"\n`);
    const { json, body } = await ask('/api/reload');
    expect(json).toMatchObject({ generation: 2, refused: 1, refused_since: expect.any(String) });
    const { problems } = json as { problems: readonly { readonly message: string }[] };
    expect(problems.find(({ message }) => message.includes('idle_timeout'))).toMatchObject({
      ...{ severity: 'error', file: 'lazy-proxy.yaml', column: 19 },
      caret: '      idle_timeout: soon\n                    ^',
    });
    expect(body).not.toContain('hunter2');
  });

  test.each([
    'wehbook: hunter2',
    'http_healthcheck: "http://user:a hunter2@db/"',
    'env: A=hunter2',
    'env: {"A=hunter2": 1}',
    'env: {A: "hunter2\\0"}',
    'env:\n      A: *hunter2',
    'env:\n      A: !hunter2',
    'env:\n      A: |hunter2',
    'env:\n      pass:hunter2\n      B: x',
  ])('shows nobody what may be a secret where %j is wrong', async (line) => {
    const { ask, reload, services } = await start();
    reload(`${services}  worse:\n    command: [sh]\n    ${line}\n`);
    const answers = await Promise.all(['/api/reload', '/problems', '/status'].map((path) => ask(path)));
    const told = expect.objectContaining({ file: 'lazy-proxy.yaml' });
    expect(answers[0]?.json).toMatchObject({ problems: expect.arrayContaining([told]) });
    for (const { body } of answers) expect(body).not.toContain('hunter2');
  });
});

describe('what may be done by the API', () => {
  const SERVER = 'require("node:net").createServer((c) => c.resume()).listen(process.env.PORT)';
  let sockets: Sockets;
  beforeEach(() => {
    sockets = new Sockets();
  });
  afterEach(() => sockets.close());

  const start = async (status = ', token: s3cret') => {
    const [port, target] = [await freePort(), await freePort()];
    const services = `
  hub: { command: [sleep, "60"], dependants: [worker] }
  worker: { command: [sleep, "60"] }
  shop/db:
    command: [${process.execPath}, -e, '${SERVER}']
    env: { PORT: "${target}" }
    ports: ["127.0.0.1:${port}:${target}"]
    idle_timeout: 1h
`;
    const { ask, reload, drain, port: apiPort } = await startApiProxy(services, { status });
    const post = (path: string, headers: Readonly<Record<string, string>> = TOKEN.headers) =>
      ask(path, { method: 'POST', headers });
    const until = async (name: string, state: string) => {
      for (;;) {
        const { json } = await ask(`/api/services?service=${name}`);
        if ((json as { state?: string }).state === state) return json;
      }
    };
    return { ask, post, until, port, status: apiPort, reload, drain, services };
  };

  test('wakes a service and puts it to sleep again', async () => {
    const { post, until } = await start();
    expect((await post('/api/services/shop%2Fdb/wake')).status).toBe(200);
    expect(await until('shop/db', 'ready')).toMatchObject({
      wakes: [{ cause: 'by hand, from 127.0.0.1', result: 'ready' }],
      ...{ why: { leases: 0 }, sleeps_at: expect.stringMatching(/^\d{4}-.*Z$/) },
    });
    expect((await post('/api/services/x/sleep?service=shop/db')).status).toBe(200);
    expect(await until('shop/db', 'stopped')).toMatchObject({
      ...{ sleeps: { hand: 1 }, last_sleep: { kind: 'hand', reason: 'by hand, from 127.0.0.1' } },
    });
  });

  test('does not put to sleep what a client uses, unless it is to be cut', async () => {
    const { post, until, port } = await start();
    const client = await sockets.connect(port);
    await until('shop/db', 'ready');
    const refused = await post('/api/services/shop%2Fdb/sleep');
    expect(refused.json).toMatchObject({
      ...{ status: 409, detail: 'it is not put to sleep: 1 client uses it; force=true cuts them' },
      leases: [{ kind: 'connection', peer: `127.0.0.1:${client.localPort}` }],
    });
    for (const force of ['false', '', '1', 'TRUE'])
      expect((await post(`/api/services/shop%2Fdb/sleep?force=${force}`)).status, force).toBe(409);
    const cut = ending(client);
    expect((await post('/api/services/shop%2Fdb/sleep?force=true')).status).toBe(200);
    await cut;
    await until('shop/db', 'stopped');
  });

  test('cuts every kind of client, and the service goes to sleep', async () => {
    const [door, secure, tcp, udp, target] = await freePorts(5);
    // It would not let its clients go by itself. Whoever names no path over TCP, or greets as TLS does, is answered as well.
    const server = `
      process.on("SIGTERM", () => {});
      const { PORT } = process.env;
      const app = require("node:http").createServer((request, response) => request.url === "/begun" && response.write("begun"));
      app.on("upgrade", (request, socket) => socket.on("error", () => {}).write("HTTP/1.1 101 Switching\\r\\nconnection: upgrade\\r\\nupgrade: x\\r\\n\\r\\n"));
      app.on("clientError", (error, socket) => socket.write("what?")).listen(PORT);
      const datagrams = require("node:dgram").createSocket("udp4").bind(PORT);
      datagrams.on("message", (message, { port, address }) => datagrams.send(message, port, address));
    `;
    const services = JSON.stringify({
      app: {
        command: [process.execPath, '-e', server],
        env: { PORT: String(target) },
        ports: [`127.0.0.1:${tcp}:${target}`],
        udp_ports: [`127.0.0.1:${udp}:${target}`],
        ...{ hosts: ['app.localhost'], http_port: target, tls_hosts: ['tls.localhost'], https_port: target },
        stop_timeout: '60s',
      },
    });
    const settings = `http: { listen: "127.0.0.1:${door}", https: "127.0.0.1:${secure}" }\n`;
    const { ask } = await startApiProxy(`  ${services}\n`, { status: ', token: s3cret', settings });
    const get = async () => (await ask('/api/services/app')).json as ServiceDetailAnswer;
    const requestOf = (path: string, more = '') =>
      `GET ${path} HTTP/1.1\r\nhost: app.localhost\r\n${more}\r\n`;
    const upgrade = requestOf('/', 'connection: upgrade\r\nupgrade: x\r\n');
    const talks = [
      [tcp, requestOf('/begun')],
      [door, requestOf('/begun')],
      [door, upgrade],
      [secure, await greetingOf('tls.localhost')],
    ] as const;
    const clients = await Promise.all(
      talks.map(async ([port = 0, first]) => {
        const client = await sockets.connect(port);
        client.write(first);
        await once(client, 'data');
        return client;
      }),
    );
    const unanswered = await sockets.connect(door ?? 0);
    unanswered.write(requestOf('/silent'));
    const flow = createSocket('udp4');
    onTestFinished(() => void flow.close());
    flow.send('x', udp, '127.0.0.1');
    await once(flow, 'message');
    while ((await get()).why.connections !== 5);
    expect((await get()).why).toMatchObject({ flows: 1 });
    const sleep = (query = '') => ask(`/api/services/app/sleep${query}`, { method: 'POST', ...TOKEN });
    expect((await sleep()).json).toMatchObject({ status: 409, detail: expect.stringContaining('6 clients') });
    const cut = [...clients, unanswered].map((client) => ending(client));
    expect((await sleep('?force=true')).status).toBe(200);
    await Promise.all(cut);
    expect(await get()).toMatchObject({ state: 'stopping', leases: [], wakes: [{ result: 'ready' }] });
  });

  test('does not put to sleep what a hub needs, by force neither', async () => {
    const { post, until } = await start();
    await post('/api/services/hub/wake');
    await until('worker', 'ready');
    const { json } = await post('/api/services/worker/sleep?force=true');
    expect(json).toMatchObject({ status: 409, detail: 'it is not put to sleep: hub runs, and needs it' });
  });

  test('holds a service for an hour, or as long as is said, and lets it go', async () => {
    const { ask, post, reload, services } = await start();
    const holds = async () => {
      const { leases } = (await ask('/api/services?service=shop/db')).json as {
        leases: readonly { readonly kind: string; readonly since: string; readonly until?: string }[];
      };
      // Both are told in whole seconds, and are looked up one after the other.
      return leases.map(({ kind, since, until = '' }) => [
        kind,
        Math.floor((Date.parse(until) - Date.parse(since)) / 10_000) * 10,
      ]);
    };
    expect((await post('/api/services/shop%2Fdb/hold')).status).toBe(200);
    expect(await holds()).toEqual([['hold', 3_600]]);
    expect((await post('/api/services/shop%2Fdb/hold?for=30d')).status).toBe(200);
    expect(await holds()).toEqual([['hold', 30 * 86_400]]);
    for (const time of ['31d', '0', '-1h', 'soon', '', '1e9', 'Infinity']) {
      const { json } = await post(`/api/services/shop%2Fdb/hold?for=${time}`);
      expect(json, time).toMatchObject({ status: 400, detail: expect.stringContaining('from 1s to 30d') });
    }
    expect(await holds()).toEqual([['hold', 30 * 86_400]]);
    reload(services.replace('idle_timeout: 1h', 'idle_timeout: 2h'));
    expect((await ask('/api/reload')).json).toMatchObject({ generation: 2 });
    expect(await holds()).toEqual([['hold', 30 * 86_400]]);
    expect((await post('/api/services/shop%2Fdb/release')).status).toBe(200);
    expect(await holds()).toEqual([]);
  });

  test('puts to sleep what is held, and the hold is over then', async () => {
    const { post, until } = await start();
    await post('/api/services/shop%2Fdb/hold');
    await until('shop/db', 'ready');
    expect((await post('/api/services/shop%2Fdb/sleep')).json).toMatchObject({ why: { leases: 0 } });
    expect(await until('shop/db', 'stopped')).toMatchObject({ leases: [], sleeps: { hand: 1 } });
  });

  test.each([
    ['no token', {}, 401],
    ['a wrong one', { authorization: 'Bearer s3cre7' }, 401],
    ['a page of another site', { ...TOKEN.headers, origin: 'https://evil.example' }, 403],
    ['a page without an origin of its own', { ...TOKEN.headers, origin: 'null' }, 403],
    ['a name that leads here from elsewhere', { ...TOKEN.headers, host: 'evil.example' }, 403],
  ])('changes nothing for who comes with %s', async (_, headers, status) => {
    const { ask, post } = await start();
    for (const action of ['wake', 'sleep', 'hold', 'release'])
      expect((await post(`/api/services/hub/${action}`, headers)).status, action).toBe(status);
    expect((await ask('/api/services/hub')).json).toMatchObject({ state: 'stopped', wakes: [], leases: [] });
  });

  test('changes nothing where there is no token, and says what to set', async () => {
    const { post } = await start('');
    for (const headers of [{}, TOKEN.headers]) {
      const { json } = await post('/api/services/hub/wake', headers);
      expect(json).toMatchObject({
        ...{
          status: 403,
          detail: 'changes are off: set status.token, status.token_file or LAZY_PROXY_TOKEN',
        },
      });
    }
  });

  test('tells of a wake, its phases and its sleep as they happen', async () => {
    const { post, until, status } = await start();
    const events = await openEvents(status);
    await post('/api/services/shop%2Fdb/wake');
    await until('shop/db', 'ready');
    await post('/api/services/shop%2Fdb/sleep');
    await until('shop/db', 'stopped');
    await events.until(({ kind }) => kind === 'sleep');
    events.close();
    const told = events.all.map(({ kind, data }) => [
      kind,
      data['state'] ?? data['phase'] ?? data['result'] ?? data['why'],
    ]);
    expect(told).toEqual([
      ['state', 'starting'],
      ['wake', 'engine'],
      ['wake', 'port'],
      ['state', 'ready'],
      ['woken', 'ready'],
      ['state', 'stopping'],
      ['state', 'stopped'],
      ['sleep', 'hand'],
    ]);
    expect(events.all.every(({ data }) => data['service'] === 'shop/db')).toBe(true);
  });

  test('tells who comes back what has happened meanwhile, by the header or the query', async () => {
    const { post, status } = await start();
    const first = await openEvents(status);
    await post('/api/services/hub/wake');
    await first.until(({ kind, data }) => kind === 'woken' && data['service'] === 'worker');
    const { all } = first;
    const [seen, missed] = [first.lastId(), all.length];
    first.close();
    await post('/api/services/hub/sleep');
    const [run = '', number = ''] = seen.split('-');
    const begun = `${run}-${Number(number) - missed}`;
    for (const options of [{ headers: { 'last-event-id': begun } }, { query: `?last_event_id=${begun}` }]) {
      const again = await openEvents(status, options);
      await again.until(({ kind, data }) => kind === 'sleep' && data['service'] === 'hub');
      again.close();
      expect(again.all.slice(0, missed)).toEqual(all);
    }
    const lost = await openEvents(status, { query: '?last_event_id=other-1' });
    await lost.until(({ kind }) => kind === 'reset');
    lost.close();
  });

  test('tells that a refused file is right again, though nothing changes by that', async () => {
    const { status, reload, services } = await start();
    const events = await openEvents(status);
    reload('\n  hub: { command: [sleep, "60"], idle_timeout: soon }\n');
    await events.until(({ data }) => data['result'] === 'refused');
    reload(services);
    await events.until(({ data }) => data['result'] === 'applied');
    events.close();
    expect(events.all.map(({ data }) => data['generation'])).toEqual([1, 1]);
  });

  test('tells at once that the first client has come and the last one has gone, and when the service sleeps', async () => {
    const { post, until, port, status } = await start();
    await post('/api/services/shop%2Fdb/wake');
    await until('shop/db', 'ready');
    const events = await openEvents(status);
    const sockets = new Sockets();
    onTestFinished(() => sockets.close());
    const [one, two] = [await sockets.connect(port), await sockets.connect(port)];
    await events.until(({ data }) => data['in_use'] === true);
    one.destroy();
    two.destroy();
    await events.until(({ data }) => data['in_use'] === false);
    events.close();
    const told = events.all.filter(({ kind }) => kind === 'use').map(({ data }) => data);
    const [used, left] = told;
    expect(told).toHaveLength(2);
    expect(used).toMatchObject({ service: 'shop/db', in_use: true });
    expect(used).not.toHaveProperty('sleeps_at');
    const sleepsInMs = Date.parse(`${left?.['sleeps_at']}`) - Date.now();
    expect(Math.abs(sleepsInMs - 3_600_000)).toBeLessThan(30_000);
  });

  test('does nothing by hand any more once the proxy ends, and tells still what there is', async () => {
    const { ask, post, drain } = await start();
    await post('/api/services/hub/hold');
    drain();
    for (const action of ['wake', 'sleep', 'sleep?force=true', 'hold', 'release'])
      expect((await post(`/api/services/shop%2Fdb/${action}`)).json, action).toMatchObject({
        ...{ status: 503, detail: 'the proxy is draining, and does nothing by hand now' },
      });
    expect((await ask('/api/services/shop%2Fdb')).json).toMatchObject({ state: 'stopped' });
    expect((await ask('/api')).json).toMatchObject({ phase: 'draining' });
  });

  test('changes nothing by GET', async () => {
    const { ask } = await start();
    for (const action of ['wake', 'sleep', 'hold', 'release'])
      expect((await ask(`/api/services/hub/${action}`, TOKEN)).status, action).toBe(405);
  });
});

describe('while the engine is away, the API', () => {
  const TOKEN_OF_STATUS = ', token: s3cret';

  test('refuses to wake a service, or to put it to sleep, and says that the engine does not answer', async () => {
    const engine = await ScriptedEngine.start();
    onTestFinished(() => engine.close());
    engine.create('db');
    const services = `  db: { ports: ["127.0.0.1:${await freePort()}:5432"] }\n`;
    const docker = `, socket: ${engine.socketPath}`;
    const { ask } = await startApiProxy(services, { docker, status: TOKEN_OF_STATUS });
    const post = async (what: string) => {
      const { status, json } = await ask(`/api/services/db/${what}`, { method: 'POST', ...TOKEN });
      return [status, (json as { readonly detail?: string }).detail ?? ''] as const;
    };
    while ((await post('release'))[0] !== 200);
    await engine.goAway();
    const why = /^the Docker engine does not answer: /;
    for (;;) {
      const [status, detail] = await post('sleep');
      if (status === 503 && why.test(detail)) break;
    }
    expect(await post('wake')).toEqual([503, expect.stringMatching(why)]);
    expect((await post('hold'))[0]).toBe(200);
    await engine.comeBack();
    await engine.requestedTimes(/^POST \S+\/start/, 1);
  });

  test('says of a name that is no service what may be meant, or why its labels are refused', async () => {
    const engine = await ScriptedEngine.start();
    onTestFinished(() => engine.close());
    engine.create('bad', { labels: { 'lazy-proxy.enabled': 'true', 'lazy-proxy.ports': '80:http' } });
    const services = `  wiki: { ports: ["127.0.0.1:${await freePort()}:80"] }\n`;
    const docker = `, socket: ${engine.socketPath}`;
    const { ask } = await startApiProxy(services, { docker, labels: true, status: TOKEN_OF_STATUS });
    const detailOf = async (path: string) => ((await ask(path)).json as { readonly detail: string }).detail;
    expect(await detailOf('/api/services/wkii')).toBe('there is no service "wkii"; did you mean "wiki"?');
    expect(await detailOf('/api/config?service=wkii')).toContain('did you mean "wiki"?');
    expect(await detailOf('/api/services/nothing')).toBe('there is no service "nothing"');
    await expect
      .poll(() => detailOf('/api/services/bad'))
      .toMatch(
        /^there is no service "bad": container bad, label lazy-proxy\.ports: ports\[0\]: "80:http" is not .*is refused as a whole$/,
      );
  });

  test('refuses to wake or hold what is not there, and says so', async () => {
    const engine = await ScriptedEngine.start();
    onTestFinished(() => engine.close());
    const services = `  db: { ports: ["127.0.0.1:${await freePort()}:5432"] }\n`;
    const docker = `, socket: ${engine.socketPath}`;
    const { ask } = await startApiProxy(services, { docker, status: TOKEN_OF_STATUS });
    while (!(await ask('/api/services/db')).body.includes('"state": "missing"'));
    for (const action of ['wake', 'hold'])
      expect((await ask(`/api/services/db/${action}`, { method: 'POST', ...TOKEN })).json).toMatchObject({
        ...{ status: 409, detail: expect.stringMatching(/^db can't be woken: .*db/) },
      });
    expect((await ask('/api/services/db')).json).toMatchObject({ leases: [] });
    expect(engine.count(/^POST/)).toBe(0);
  });

  test('asks the engine what a container takes for who wants to know that, and for nobody else', async () => {
    const engine = await ScriptedEngine.start();
    onTestFinished(() => engine.close());
    engine.create('db', { status: 'running' });
    const services = `  db: { ports: ["127.0.0.1:${await freePort()}:5432"] }\n`;
    const docker = `, socket: ${engine.socketPath}`;
    const { ask, port } = await startApiProxy(services, { docker, status: TOKEN_OF_STATUS });
    while (!(await ask('/api/services/db')).body.includes('"id": "c0'));
    const events = await openEvents(port);
    onTestFinished(() => events.close());
    await engine.quiet();
    engine.forget();
    const pages = ['/status', '/problems', '/metrics', '/api', '/api/config', '/api/reload', '/traefik'];
    for (const path of [...pages, '/api/services?day=true', '/api/services/db?memory=false'])
      expect((await ask(path, TOKEN)).status, path).toBe(200);
    await ask('/api/services/db/hold', { method: 'POST', ...TOKEN });
    await ask('/api/services/db/release', { method: 'POST', ...TOKEN });
    await engine.quiet();
    expect(engine.requests).toEqual([]);
    for (const path of ['/api/services?memory=true', '/api/services/db?memory=true']) await ask(path);
    expect(engine.requests).toEqual([expect.stringMatching(/^GET \/containers\/\w+\/stats\?/)]);
  });

  test('shows and steers one workload by the name of each of its services, and counts it once', async () => {
    const engine = await ScriptedEngine.start();
    onTestFinished(() => engine.close());
    engine.create('db');
    const [tls, plain] = [await freePort(), await freePort()];
    const services = `  db: { ports: ["127.0.0.1:${tls}:5432"] }
  db-plain: { container: db, ports: ["127.0.0.1:${plain}:5433"] }
  hub: { ports: ["127.0.0.1:${await freePort()}:80"], dependants: [db-plain] }
`;
    const docker = `, socket: ${engine.socketPath}`;
    const { ask, port } = await startApiProxy(services, { docker, status: TOKEN_OF_STATUS });
    const post = async (name: string, what: string) =>
      (await ask(`/api/services/${name}/${what}`, { method: 'POST', ...TOKEN })).json;
    const get = async (name: string) => (await ask(`/api/services/${name}`)).json as ServiceDetailAnswer;
    while ((await get('db')).state !== 'stopped');
    expect(await get('db')).toMatchObject({ shares_with: ['db-plain'], hubs: ['hub'] });
    expect((await get('hub')).shares_with).toBeUndefined();
    const events = await openEvents(port);
    onTestFinished(() => events.close());
    expect(await post('db-plain', 'hold')).toMatchObject({ name: 'db-plain', why: { kept_by: ['hold'] } });
    await engine.requestedTimes(/^POST \S+\/start/, 1);
    for (const service of ['db', 'db-plain'])
      await events.until(({ kind, data }) => kind === 'state' && data['service'] === service);
    expect(await get('db')).toMatchObject({ leases: [{ kind: 'hold' }] });
    expect(await post('db', 'hold')).toMatchObject({ why: { kept_by: ['hold'] } });
    expect(await post('db-plain', 'release')).toMatchObject({ why: { kept_by: [] } });
    const metrics = readMetrics((await ask('/metrics')).body);
    const asleep = { state: 'asleep' };
    expect(metrics.value('lazy_proxy_workload_state', { service: 'db', ...asleep })).toBe(0);
    expect(metrics.value('lazy_proxy_workload_state', { service: 'db-plain', ...asleep })).toBeUndefined();
    const listener = `127.0.0.1:${plain}/tcp`;
    expect(metrics.value('lazy_proxy_listener_up', { service: 'db-plain', listener })).toBe(1);
  });

  test('tells of the clients of all services that keep a workload awake, and cuts them all', async () => {
    const [target, one, other] = [await freePort(), await freePort(), await freePort()];
    const engine = await ScriptedEngine.start();
    onTestFinished(() => engine.close());
    engine.create('db');
    const services = `  db: { ports: ["127.0.0.1:${one}:${target}"] }
  db-plain: { container: db, ports: ["127.0.0.1:${other}:${target}"] }
`;
    const docker = `, socket: ${engine.socketPath}`;
    const { ask } = await startApiProxy(services, { docker, status: TOKEN_OF_STATUS });
    const sockets = new Sockets();
    onTestFinished(() => sockets.close());
    const client = await sockets.connect(other);
    const why = async () => ((await ask('/api/services/db')).json as ServiceDetailAnswer).why.connections;
    while ((await why()) !== 1);
    const sleep = (query = '') =>
      ask(`/api/services/db/sleep${query}`, { method: 'POST', ...TOKEN }).then(({ json }) => json);
    expect(await sleep()).toMatchObject({ status: 409, detail: expect.stringContaining('1 client uses it') });
    await sleep('?force=true');
    await ending(client);
  });
});

test('no question builds the table of services anew, which takes long where there are thousands', async () => {
  const { ask } = await startApiProxy(
    `  a: { command: [sleep, "60"], ports: ["127.0.0.1:${await freePort()}:81"] }`,
  );
  const { length } = vi.mocked(buildTable).mock.calls;
  for (const path of [
    '/status',
    '/problems',
    '/api',
    '/api/reload',
    '/api/services?day=true',
    '/api/services/a',
    '/api/config',
    '/metrics',
  ])
    expect((await ask(path)).status, path).toBe(200);
  expect(vi.mocked(buildTable).mock.calls).toHaveLength(length);
});
