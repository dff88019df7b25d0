/** `GET /metrics` of a proxy as it runs. */
import type { AboutAnswer } from '../../src/status/api/answers.ts';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startApiProxy } from '../support/api-proxy.ts';
import { freePort, freePorts } from '../support/free-ports.ts';
import { readMetrics } from '../support/metrics-text.ts';
import { ScriptedEngine } from '../support/scripted-engine.ts';
import { ending, Sockets } from '../support/sockets.ts';

/** Says everything twice, by TCP and UDP. */
const ECHO = `
require("node:net").createServer((c) => c.on("data", (data) => c.write(data + data)).on("end", () => c.end())).listen(process.env.PORT, "127.0.0.1");
const socket = require("node:dgram").createSocket("udp4").bind(process.env.PORT, "127.0.0.1");
socket.on("message", (m, { port, address }) => [m, m].forEach((it) => socket.send(it, port, address)));
`.replaceAll('\n', ' ');

const TOKEN = { authorization: 'Bearer s3cret' };

describe('the metrics of a proxy', () => {
  const start = async (status = '') => {
    const [port = 0, bad = 0, closed = 0, udp = 0, echo = 0, target = 0] = await freePorts(6);
    const services = `
  app:
    command: [${process.execPath}, -e, '${ECHO}']
    env: { PORT: "${target}" }
    ports: ["127.0.0.1:${port}:${target}"]
    udp_ports: ["127.0.0.1:${echo}:${target}"]
  bad: { command: [sh, -c, "exit 3"], ports: ["127.0.0.1:${bad}:${target}"] }
  closed: { command: [sleep, "60"], allow_list: [10.9.8.7], ports: ["127.0.0.1:${closed}:${target}"] }
  dns: { command: [sleep, "60"], udp_ports: ["127.0.0.1:${udp}:${target}"], udp_queue_datagrams: 1 }
`;
    const started = await startApiProxy(services, { status });
    return {
      ...{ ...started, port, bad, closed, echo, udp, services, listener: `127.0.0.1:${port}/tcp` },
      scrape: async () => readMetrics((await started.ask('/metrics')).body),
    };
  };
  const NAME = 'app';

  test('count what is served, in bytes and in connections', async () => {
    const { scrape, port, listener } = await start();
    const sockets = new Sockets();
    const of = { service: NAME, listener };
    const before = await scrape();
    expect(before.value('lazy_proxy_workload_state', { service: NAME, state: 'asleep' })).toBe(1);
    expect(before.value('lazy_proxy_connections_accepted_total', of)).toBe(0);
    const client = await sockets.connect(port);
    client.write('hello');
    await once(client, 'data');
    const during = await scrape();
    expect(during.value('lazy_proxy_workload_state', { service: NAME, state: 'awake' })).toBe(1);
    expect(during.value('lazy_proxy_workload_state', { service: NAME, state: 'asleep' })).toBe(0);
    expect(during.value('lazy_proxy_connections', of)).toBe(1);
    expect(during.value('lazy_proxy_connection_bytes_total', { ...of, direction: 'up' })).toBe(5);
    const woken = { service: NAME, result: 'ready', reason: '' };
    expect(during.value('lazy_proxy_wakes_total', woken)).toBe(1);
    for (const phase of ['queue', 'engine', 'health', 'port', 'all'])
      expect(during.value('lazy_proxy_wake_duration_seconds_count', { phase }), phase).toBe(1);
    expect(during.value('lazy_proxy_client_held_seconds_count', { result: 'served' })).toBe(1);
    client.end();
    await ending(client);
    let after = during;
    while (after.value('lazy_proxy_connections', of) !== 0) after = await scrape();
    for (const [direction, bytes] of Object.entries({ up: 5, down: 10 }))
      expect(after.value('lazy_proxy_connection_bytes_total', { ...of, direction }), direction).toBe(bytes);
    expect(after.value('lazy_proxy_connections_accepted_total', of)).toBe(1);
    await sockets.close();
  });

  test('count who was turned away by the access list', async () => {
    const { scrape, closed } = await start();
    const sockets = new Sockets();
    onTestFinished(() => sockets.close());
    await ending(await sockets.connect(closed));
    const listener = { service: 'closed', listener: `127.0.0.1:${closed}/tcp` };
    const metrics = await scrape();
    expect(metrics.value('lazy_proxy_connections_refused_total', { ...listener, reason: 'blocked' })).toBe(1);
    expect(metrics.value('lazy_proxy_connections_accepted_total', listener)).toBe(0);
  });

  test('count flows, datagrams each way, and those that were dropped by why', async () => {
    const { scrape, echo, udp } = await start();
    const socket = createSocket('udp4');
    onTestFinished(() => void socket.close());
    const answered = new Promise<void>((resolve) => {
      let count = 0;
      socket.on('message', () => ++count === 2 && resolve());
    });
    socket.send('hello', echo, '127.0.0.1');
    await answered;
    const of = { service: NAME, listener: `127.0.0.1:${echo}/udp` };
    const during = await scrape();
    expect(during.value('lazy_proxy_flows', of)).toBe(1);
    expect(during.value('lazy_proxy_flows_accepted_total', of)).toBe(1);
    expect(during.value('lazy_proxy_datagrams_total', { ...of, direction: 'up' })).toBe(1);
    expect(during.value('lazy_proxy_datagrams_total', { ...of, direction: 'down' })).toBe(2);
    expect(during.value('lazy_proxy_datagrams_dropped_total', { ...of, reason: 'not-ready' })).toBe(0);
    // It keeps one datagram while it wakes, and never answers.
    for (let count = 0; count < 3; count++) socket.send('hello', udp, '127.0.0.1');
    const full = { service: 'dns', listener: `127.0.0.1:${udp}/udp`, reason: 'queue-datagrams' };
    while ((await scrape()).value('lazy_proxy_datagrams_dropped_total', full) !== 2);
  });

  test('count sleeps by why, and the time in each state', async () => {
    const { scrape, ask } = await start(', token: s3cret');
    const act = async (action: string) => {
      const path = `/api/services/${NAME}/${action}`;
      expect((await ask(path, { method: 'POST', headers: TOKEN })).status).toBe(200);
    };
    const secondsIn = async (state: string) =>
      (await scrape()).value('lazy_proxy_workload_state_seconds_total', { service: NAME, state });
    expect(await secondsIn('awake')).toBe(0);
    const due = async () =>
      (await scrape()).value('lazy_proxy_sleep_due_timestamp_seconds', { service: NAME });
    const held = async () => (await scrape()).value('lazy_proxy_kept_awake', { service: NAME, kind: 'hold' });
    expect([await due(), await held()]).toEqual([undefined, undefined]);
    await act('wake');
    while ((await secondsIn('awake')) === 0);
    expect(await due()).toBeGreaterThan(Date.now() / 1_000);
    await act('hold');
    expect([await due(), await held()]).toEqual([undefined, 1]);
    await act('release');
    expect(await held()).toBeUndefined();
    await act('sleep');
    const sleeps = async (reason: string) =>
      (await scrape()).value('lazy_proxy_sleeps_total', { service: NAME, reason });
    while ((await sleeps('hand')) !== 1);
    expect(await sleeps('idle')).toBe(0);
    const [awake, asleep] = [await secondsIn('awake'), (await secondsIn('asleep')) ?? 0];
    while (((await secondsIn('asleep')) ?? 0) <= asleep);
    expect(await secondsIn('awake')).toBe(awake);
  });

  test('count a wake that has failed by its reason, and the client that got nothing', async () => {
    const { scrape, bad } = await start();
    const sockets = new Sockets();
    const failed = { service: 'bad', result: 'failed', reason: 'exited' };
    expect((await scrape()).value('lazy_proxy_wakes_total', failed)).toBe(0);
    await ending(await sockets.connect(bad));
    const after = await scrape();
    expect(after.value('lazy_proxy_wakes_total', failed)).toBe(1);
    expect(after.value('lazy_proxy_workload_state', { service: 'bad', state: 'failed' })).toBe(1);
    expect(
      after.value('lazy_proxy_connections_refused_total', {
        ...{ service: 'bad', listener: `127.0.0.1:${bad}/tcp`, reason: 'failed' },
      }),
    ).toBe(1);
    expect(after.value('lazy_proxy_client_held_seconds_count', { result: 'refused' })).toBe(1);
    await sockets.close();
  });

  test('show how long a client has waited by now', async () => {
    const port = await freePort();
    const { ask } = await startApiProxy(
      `  slow: { command: [sleep, "60"], ports: ["127.0.0.1:${port}:${await freePort()}"] }\n`,
    );
    const sockets = new Sockets();
    await sockets.connect(port);
    const read = async (name: string) =>
      readMetrics((await ask('/metrics')).body).value(name, { service: 'slow' }) ?? 0;
    while ((await read('lazy_proxy_clients_waiting')) === 0);
    const first = await read('lazy_proxy_longest_wait_seconds');
    expect(await read('lazy_proxy_longest_wait_seconds')).toBeGreaterThan(first);
    await sockets.close();
    while ((await read('lazy_proxy_clients_waiting')) > 0);
    expect(await read('lazy_proxy_longest_wait_seconds')).toBe(0);
  });

  test('tell of changes of the file that were applied, and of those that were refused', async () => {
    const { scrape, reload, services } = await start();
    const read = async () => {
      const metrics = await scrape();
      return [
        metrics.value('lazy_proxy_config_generation'),
        metrics.value('lazy_proxy_config_refused'),
        metrics.value('lazy_proxy_config_reloads_total', { result: 'applied' }),
        metrics.value('lazy_proxy_config_reloads_total', { result: 'refused' }),
      ];
    };
    expect(await read()).toEqual([1, 0, 0, 0]);
    reload('  wrong: { ports: ["80:http"] }\n');
    expect(await read()).toEqual([1, 1, 0, 1]);
    reload(`${services}  more: { command: [sleep, "60"], cron_start: "30 8 * * *" }\n`);
    expect(await read()).toEqual([2, 0, 1, 1]);
  });

  test('tell whether the engine answers, and what it was asked', async () => {
    const engine = await ScriptedEngine.start();
    onTestFinished(() => engine.close());
    engine.create('db');
    const { ask } = await startApiProxy(`  db: { ports: ["127.0.0.1:${await freePort()}:5432"] }\n`, {
      docker: `, socket: ${engine.socketPath}`,
    });
    const read = async (name: string, labels = {}) =>
      readMetrics((await ask('/metrics')).body).value(name, { engine: 'docker', ...labels });
    const list = { call: 'list containers' };
    while ((await read('lazy_proxy_engine_up')) !== 1);
    expect(await read('lazy_proxy_engine_call_duration_seconds_count', list)).toBeGreaterThan(0);
    expect(await read('lazy_proxy_engine_call_errors_total', list)).toBe(0);
    await engine.goAway();
    while ((await read('lazy_proxy_engine_up')) !== 0);
    while (!((await read('lazy_proxy_engine_call_errors_total', { call: 'events' })) ?? 0));
  });

  test('name no swarm where the engine is in none', async () => {
    const engine = await ScriptedEngine.start();
    onTestFinished(() => engine.close());
    engine.create('db');
    const { ask } = await startApiProxy(`  db: { ports: ["127.0.0.1:${await freePort()}:5432"] }\n`, {
      ...{ docker: `, socket: ${engine.socketPath}`, labels: true },
    });
    const up = async (kind: string) =>
      readMetrics((await ask('/metrics')).body).value('lazy_proxy_engine_up', { engine: kind });
    while ((await up('docker')) !== 1);
    expect(await up('swarm')).toBeUndefined();
    const { engines } = (await ask('/api')).json as AboutAnswer;
    expect(engines.map(({ name }) => name)).toEqual(['the Docker engine']);
  });

  test('need the token where protect is on', async () => {
    const { ask } = await start(', token: s3cret, protect: true');
    const { status, headers } = await ask('/metrics');
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer']);
    const shown = await ask('/metrics', { headers: { authorization: 'Bearer s3cret' } });
    expect([shown.status, shown.headers['content-type']]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
  });

  test('are read, not changed', async () => {
    const { ask } = await start();
    const { status, headers } = await ask('/metrics', { method: 'POST' });
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD']);
    expect((await ask('/nothing')).body).toContain('/metrics');
  });
});
