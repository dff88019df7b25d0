import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createActTeller, createTracker } from '../../src/proxy/webhook-events.ts';
import type { ServiceUrl } from '../../src/model/service.ts';
import type { WebhookEvent } from '../../src/status/webhook-event.ts';
import type { WebhookSender } from '../../src/status/webhook-sender.ts';
import { Bench } from '../lifecycle/bench.ts';
import { aService, aUrl } from '../support/builders.ts';
import { RUNNING, STOPPED } from '../support/fake-backend.ts';

const URL_OF_DB = 'https://hooks.example.com/db';
const ID = '0123456789abcdef0123456789abcdef';
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('webhook events', () => {
  let bench: Bench;
  let open: Set<() => void>;
  let sent: { readonly url: string; readonly event: WebhookEvent }[];
  const client = { address: '10.0.0.5', port: 4242, endpoint: '10.0.0.5:4242' };
  const service = aService({
    webhookUrl: aUrl(URL_OF_DB),
    workload: { kind: 'docker', container: 'my-postgres' },
  });
  beforeEach(() => {
    bench = new Bench();
    sent = [];
    open = new Set();
    bench.add(service, { ...RUNNING, id: ID });
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const parts = () => {
    const sender = { send: ({ url }: ServiceUrl, event: WebhookEvent) => void sent.push({ url, event }) };
    return {
      sender: sender as unknown as WebhookSender,
      open,
      lifecycle: bench.lifecycle,
      clock: bench.clock,
    };
  };

  test.each([
    ['tcp', 'tcp_conn_start', 'tcp_conn_end'],
    ['udp', 'udp_flow_start', 'udp_flow_end'],
  ] as const)('tell of a %s client that comes and goes, with one id', async (protocol, start, end) => {
    const track = createTracker(service, { protocol, parts: parts() });
    const ended = track?.(client);
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
    expect(second).toEqual({ event: end, timestamp: '2026-04-01T12:00:05Z', ...shared });
    expect(first).toHaveProperty(
      'connection_id',
      second && 'connection_id' in second && second.connection_id,
    );
    expect(sent.map(({ url }) => url)).toEqual([URL_OF_DB, URL_OF_DB]);
  });

  test('tell of an end once, whether the client or the proxy ends first', () => {
    const ended = createTracker(service, { protocol: 'tcp', parts: parts() })?.(client);
    for (const end of open) end();
    ended?.();
    expect(sent.map(({ event }) => event.event)).toEqual(['tcp_conn_start', 'tcp_conn_end']);
    expect(open.size).toBe(0);
  });

  test('give each client an id of its own', () => {
    const track = createTracker(service, { protocol: 'tcp', parts: parts() });
    track?.(client);
    track?.(client);
    const ids = sent.map(({ event }) => 'connection_id' in event && event.connection_id);
    expect(new Set(ids).size).toBe(2);
  });

  test('are nobody’s business when there is no webhook', () => {
    const quiet = aService();
    expect(createTracker(quiet, { protocol: 'tcp', parts: parts() })).toBeUndefined();
    bench.add(quiet, RUNNING);
    createActTeller(parts())(quiet, RUNNING, 'started');
    expect(sent).toEqual([]);
  });

  test.each(['started', 'stopped'] as const)('tell that a container was %s', (act) => {
    createActTeller(parts())(service, bench.controller(service.name).observation, act);
    expect(sent).toEqual([
      {
        url: URL_OF_DB,
        event: {
          event: `container_${act}`,
          timestamp: '2026-04-01T12:00:00Z',
          container_id: '0123456789ab',
          container_name: 'my-postgres',
        },
      },
    ]);
  });

  test('name the container that there is when they are sent', () => {
    const track = createTracker(service, { protocol: 'tcp', parts: parts() });
    const ended = track?.(client);
    bench.backend.tell('docker/my-postgres', { ...STOPPED, id: 'fedcba9876543210' });
    ended?.();
    expect(sent.map(({ event }) => event.container_id)).toEqual(['0123456789ab', 'fedcba987654']);
  });
});
