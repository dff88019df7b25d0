import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createPolicy } from '../../src/lifecycle/workload/workload-policy.ts';
import { WebhookEvents } from '../../src/proxy/webhook-events.ts';
import type { Protocol } from '../../src/model/service.ts';
import type { Webhook } from '../../src/model/webhook.ts';
import type { Traffic } from '../../src/relay/listener.ts';
import type { WebhookEvent } from '../../src/status/webhook-event.ts';
import { Bench } from '../lifecycle/bench.ts';
import { aListener, aService, aTable, aUrl } from '../support/builders.ts';
import { RUNNING, STOPPED } from '../support/fake-backend.ts';

const URL_OF_DB = 'https://hooks.example.com/db';
const ID = '0123456789abcdef0123456789abcdef';
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const CARRIED: Traffic = { bytesUp: 10, bytesDown: 2_000 };

const aHook = (overrides: Partial<Webhook>): Webhook => ({
  ...{ url: 'https://all.example.com/', events: [], headers: {}, format: 'json' },
  ...overrides,
});

describe('webhook events', () => {
  let bench: Bench;
  let sent: { readonly url: string; readonly event: WebhookEvent; readonly service: string | undefined }[];
  let events: WebhookEvents;
  const client = { address: '10.0.0.5', port: 4242, endpoint: '10.0.0.5:4242' };
  const service = aService({
    webhookUrl: aUrl(URL_OF_DB),
    workload: { kind: 'docker', container: 'my-postgres' },
  });
  beforeEach(() => {
    bench = new Bench();
    sent = [];
    events = create([]);
    bench.add(service, { ...RUNNING, id: ID });
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const create = (webhooks: readonly Webhook[]) =>
    new WebhookEvents({
      sender: {
        send: (target, event) => {
          if (target.events.includes(event.event))
            sent.push({ url: target.url, event, service: target.service });
        },
      },
      ...{ clock: bench.clock, webhooks },
      idOf: (name) => bench.lifecycle.find(name)?.observation.id ?? '',
    });
  const names = () => sent.map(({ url, event }) => `${event.event} to ${new URL(url).hostname}`);
  const track = (protocol: Protocol = 'tcp', of = service) =>
    events.trackerOf(of, aListener({ protocol, port: 5432 }));

  test.each([
    ['tcp', 'tcp_conn_start', 'tcp_conn_end'],
    ['udp', 'udp_flow_start', 'udp_flow_end'],
  ] as const)('tell of a %s client that comes and goes, with one id', async (protocol, start, end) => {
    const ended = track(protocol)?.(client, () => CARRIED);
    await bench.clock.advance(5_000);
    ended?.();
    const [first, second] = sent.map(({ event }) => event);
    const shared = {
      container_id: '0123456789ab',
      container_name: 'my-postgres',
      connection_id: expect.stringMatching(UUID_V4),
      remote_addr: '10.0.0.5',
      remote_port: 4242,
    };
    expect(first).toEqual({ event: start, timestamp: '2026-04-01T12:00:00Z', ...shared });
    expect(second).toEqual({
      ...{ event: end, timestamp: '2026-04-01T12:00:05Z', ...shared },
      ...{ duration_ms: 5_000, bytes_sent: 2_000, bytes_received: 10, listen_port: 5432 },
    });
    expect(first).toHaveProperty(
      'connection_id',
      second && 'connection_id' in second && second.connection_id,
    );
    expect(sent.map(({ url }) => url)).toEqual([URL_OF_DB, URL_OF_DB]);
  });

  test('tell of an end once, whether the client or the proxy ends first', () => {
    const ended = track()?.(client, () => undefined);
    events.endClients();
    ended?.();
    expect(sent.map(({ event }) => event)).toMatchObject([
      { event: 'tcp_conn_start' },
      { event: 'tcp_conn_end', bytes_sent: 0, bytes_received: 0 },
    ]);
    events.endClients();
    expect(sent).toHaveLength(2);
  });

  test('give each client an id of its own', () => {
    const tracker = track();
    tracker?.(client, () => undefined);
    tracker?.(client, () => undefined);
    const ids = sent.map(({ event }) => 'connection_id' in event && event.connection_id);
    expect(new Set(ids).size).toBe(2);
    events.endClients();
  });

  test('are nobody’s business when there is no webhook that wants them', () => {
    const quiet = aService({ webhooks: [aHook({ events: ['container_started', 'udp_flow_end'] })] });
    expect(track('tcp', quiet)).toBeUndefined();
    expect(track('udp', quiet)).toBeDefined();
    events.acted(createPolicy([aService()]), RUNNING, { kind: 'started', why: undefined });
    expect(sent).toEqual([]);
  });

  test.each([
    ['started', { cause: 'for 10.0.0.5:1' }],
    ['stopped', { reason: 'idle for 60 s' }],
  ] as const)('tell that a container was %s, and why', (kind, told) => {
    const [why] = Object.values(told);
    events.acted(createPolicy([service]), bench.controller(service.name).observation, { kind, why });
    expect(sent).toEqual([
      {
        url: URL_OF_DB,
        service: 'db',
        event: {
          event: `container_${kind}`,
          ...told,
          timestamp: '2026-04-01T12:00:00Z',
          container_id: '0123456789ab',
          container_name: 'my-postgres',
        },
      },
    ]);
  });

  test('name the container that there is when they are sent', () => {
    const ended = track()?.(client, () => undefined);
    bench.backend.tell('docker/my-postgres', { ...STOPPED, id: 'fedcba9876543210' });
    ended?.();
    expect(sent.map(({ event }) => event)).toMatchObject([
      { container_id: '0123456789ab' },
      { container_id: 'fedcba987654' },
    ]);
  });

  test('go to the webhooks of the service and of the proxy, each what it asks for', () => {
    events = create([aHook({ events: ['tcp_conn_end', 'engine_lost'] })]);
    const own = aService({
      ...service,
      webhooks: [aHook({ url: 'https://own.example.com/', events: ['tcp_conn_start', 'container_stopped'] })],
    });
    track('tcp', own)?.(client, () => undefined);
    events.endClients();
    events.acted(createPolicy([own]), RUNNING, { kind: 'stopped', why: undefined });
    events.engineReached('docker', { reachable: false, reason: 'gone' });
    expect(names()).toEqual([
      'tcp_conn_start to hooks.example.com',
      'tcp_conn_start to own.example.com',
      'tcp_conn_end to hooks.example.com',
      'tcp_conn_end to all.example.com',
      'container_stopped to hooks.example.com',
      'container_stopped to own.example.com',
      'engine_lost to all.example.com',
    ]);
  });

  test('go where a reload says, but the end of a client where its start went', () => {
    const quiet = aService({ name: 'quiet', workload: { kind: 'docker', container: 'quiet' } });
    bench.add(quiet, RUNNING);
    expect(track('tcp', quiet)).toBeUndefined();
    const both = aHook({ url: 'https://one.example.com/', events: ['tcp_conn_start', 'tcp_conn_end'] });
    expect(events.setWebhooks([both])).toBe(true);
    const ended = track('tcp', quiet)?.(client, () => undefined);
    expect(events.setWebhooks([{ ...both, url: 'https://two.example.com/' }])).toBe(false);
    ended?.();
    expect(names()).toEqual(['tcp_conn_start to one.example.com', 'tcp_conn_end to one.example.com']);
    expect(events.setWebhooks([])).toBe(true);
  });

  test('tell what happens to a workload once at each place, though several services of it name it', () => {
    const workload = { kind: 'docker', container: 'web' } as const;
    const shared = aHook({ events: ['container_started'] });
    const [http, plain] = [
      aService({ name: 'web', workload, webhookUrl: aUrl(URL_OF_DB), webhooks: [shared] }),
      aService({
        ...{ name: 'web-plain', workload },
        webhookUrl: aUrl(URL_OF_DB),
        webhooks: [{ ...shared, url: 'https://own.example.com/' }],
      }),
    ];
    events.setWebhooks([shared]);
    events.acted(createPolicy([plain, http]), RUNNING, { kind: 'started', why: undefined });
    expect(names()).toEqual([
      'container_started to hooks.example.com',
      'container_started to all.example.com',
      'container_started to own.example.com',
    ]);
  });

  test('tell why a wake has failed', () => {
    const hooked = aService({ webhooks: [aHook({ events: ['wake_failed'] })] });
    const phases = { room: 0, queue: 1, dependencies: 0, engine: 20, health: 0, port: 300 };
    events.wakeFailed(
      createPolicy([hooked]),
      { ...STOPPED, id: ID },
      {
        ...{ cause: 'for 10.0.0.5:4242', atMs: 0, phases, result: 'failed', reason: 'exit code 3' },
      },
    );
    expect(sent.map(({ event }) => event)).toEqual([
      {
        event: 'wake_failed',
        timestamp: '2026-04-01T12:00:00Z',
        container_id: '0123456789ab',
        container_name: 'db',
        reason: 'exit code 3',
        cause: 'for 10.0.0.5:4242',
        duration_ms: 321,
      },
    ]);
  });

  test('tell once that an engine is lost, and that it is back', async () => {
    events = create([aHook({ events: ['engine_lost', 'engine_back'] })]);
    events.engineReached('docker', { reachable: true, reason: '' });
    events.engineReached('docker', { reachable: false, reason: 'connect ENOENT' });
    events.engineReached('docker', { reachable: false, reason: 'connect ECONNREFUSED' });
    await bench.clock.advance(4_000);
    events.engineReached('docker', { reachable: true, reason: '' });
    expect(sent.map(({ event }) => event)).toEqual([
      { event: 'engine_lost', timestamp: '2026-04-01T12:00:00Z', engine: 'docker', reason: 'connect ENOENT' },
      { event: 'engine_back', timestamp: '2026-04-01T12:00:04Z', engine: 'docker', duration_ms: 4_000 },
    ]);
  });

  test('tell where a refused file is wrong', () => {
    events = create([aHook({ events: ['reload_refused'] })]);
    const origin = { kind: 'file', file: 'f.yaml', line: 3, column: 7 } as const;
    events.reloadRefused('f.yaml', [
      { code: 'leads-back', severity: 'warning', message: 'w', origin: { ...origin, line: 1 } },
      { code: 'invalid-port', severity: 'error', message: 'ports[0]: wrong', origin },
      { code: 'invalid-port', severity: 'error', message: 'ports[1]: wrong', origin },
    ]);
    events.reloadRefused('f.yaml', []);
    expect(sent.map(({ event }) => event)).toEqual([
      {
        event: 'reload_refused',
        timestamp: '2026-04-01T12:00:00Z',
        ...{ file: 'f.yaml', line: 3, column: 7, message: 'ports[0]: wrong', mistakes: 2 },
      },
    ]);
  });

  test('tell once of a listener that another service has', () => {
    const loser = aService({ name: 'loser', webhooks: [aHook({ events: ['listener_lost'] })] });
    const listener = aListener({ port: 81 });
    const table = { ...aTable([loser, service]), conflicts: [{ loser: 'loser', winner: 'db', listener }] };
    events.followConflicts(table);
    events.followConflicts(table);
    const lost = {
      event: 'listener_lost',
      timestamp: '2026-04-01T12:00:00Z',
      container_name: 'loser',
      ...{ protocol: 'tcp', listen_address: '', listen_port: 81, reason: 'service db listens there' },
    };
    expect(sent.map(({ event }) => event)).toEqual([lost]);
    events.followConflicts(aTable([loser, service]));
    events.followConflicts(table);
    expect(sent).toHaveLength(2);
  });
});
