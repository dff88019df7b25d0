/** What a service's webhook is told, and what happens where nobody listens to it. */
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand, nodeApp } from './support/apps.ts';
import type { ContainerSpec, TestContainer } from './support/container.ts';
import { get } from './support/http.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed, type ServiceFields, type TestBed } from './support/test-bed.ts';
import { openUdp } from './support/udp.ts';
import { waitUntil } from './support/wait-until.ts';
import {
  type ReceivedEvent,
  startWebhookReceiver,
  type WebhookReceiver,
} from './support/webhook-receiver.ts';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

interface Stage extends TestBed {
  readonly port: number;
  readonly container: TestContainer;
  readonly proxy: ProxyProcess;
}

/** A stopped container, and a proxy whose file names it and a webhook. */
async function openStage(
  { onTestFinished }: TestContext,
  options: {
    readonly spec: Partial<ContainerSpec>;
    readonly webhookUrl: string;
    readonly protocol?: 'ports' | 'udp_ports';
    readonly fields?: ServiceFields;
  },
): Promise<Stage> {
  const { spec, webhookUrl, protocol = 'ports', fields } = options;
  const bed = await openTestBed({ onTestFinished });
  const port = await freePort();
  const name = bed.scope.name('hooked');
  const container = await bed.scope.createContainer({ name, ...spec });
  const service = { container: name, [protocol]: [`${port}:80`], webhook_url: webhookUrl, ...fields };
  const proxy = await bed.startProxy({ services: { hooked: service } });
  // Before the container was looked at, its id is not known.
  await proxy.waitForLog('asleep');
  return { ...bed, port, container, proxy };
}

async function startReceiver(
  { onTestFinished }: TestContext,
  options: { readonly hangs?: true } = {},
): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver(options);
  onTestFinished(() => receiver.close());
  return receiver;
}

function untilReceived(receiver: WebhookReceiver, event: string, count = 1): Promise<unknown> {
  const what = `${count} events ${event}`;
  return waitUntil(() => receiver.of(event).length >= count, { what });
}

/** The fields that every event has. */
function subject(event: string, { container }: Stage) {
  return {
    event,
    timestamp: expect.stringMatching(TIMESTAMP),
    container_id: container.id.slice(0, 12),
    container_name: container.name,
  };
}

function connectionIds(events: readonly ReceivedEvent[]): readonly unknown[] {
  return events.map((event) => event['connection_id']).sort();
}

describe.concurrent('a webhook', () => {
  test('is told of the start once, and of each of 20 connections with one id for its begin and end', async (context) => {
    const receiver = await startReceiver(context);
    const fields = { idle_timeout: '1s' };
    const stage = await openStage(context, {
      ...{ spec: await nodeApp({ delayMs: 500 }), webhookUrl: receiver.url, fields },
    });
    await Promise.all(Array.from({ length: 20 }, () => get(stage.port)));
    await untilReceived(receiver, 'container_stopped');
    expect(receiver.of('container_started')).toEqual([subject('container_started', stage)]);
    expect(receiver.of('container_stopped')).toEqual([subject('container_stopped', stage)]);
    const [begins, ends] = [receiver.of('tcp_conn_start'), receiver.of('tcp_conn_end')];
    expect(new Set(connectionIds(begins)).size).toBe(20);
    expect(connectionIds(ends)).toEqual(connectionIds(begins));
    expect(receiver.events).toHaveLength(42);
  });

  test('is told the address and port of a TCP client, in the fields of the original, and what was carried', async (context) => {
    const receiver = await startReceiver(context);
    const stage = await openStage(context, { spec: { cmd: httpdCommand() }, webhookUrl: receiver.url });
    const client = await connectTcp(stage.port);
    const { localPort } = client.socket;
    await untilReceived(receiver, 'container_started');
    await untilReceived(receiver, 'tcp_conn_start');
    expect(receiver.of('tcp_conn_end')).toEqual([]);
    client.destroy();
    await untilReceived(receiver, 'tcp_conn_end');
    const connection = {
      connection_id: expect.stringMatching(UUID_V4),
      remote_addr: '127.0.0.1',
      remote_port: localPort,
    };
    expect(receiver.of('tcp_conn_start')).toEqual([{ ...subject('tcp_conn_start', stage), ...connection }]);
    const carried = { bytes_sent: 0, bytes_received: 0, listen_port: stage.port };
    expect(receiver.of('tcp_conn_end')).toEqual([
      { ...subject('tcp_conn_end', stage), ...connection, ...carried, duration_ms: expect.any(Number) },
    ]);
  });

  test('is told of the begin and the end of a UDP flow, not of each datagram', async (context) => {
    const receiver = await startReceiver(context);
    const stage = await openStage(context, {
      spec: await nodeApp({ mode: 'udp-echo' }),
      ...{ webhookUrl: receiver.url, protocol: 'udp_ports', fields: { idle_timeout: '1s' } },
    });
    const client = await openUdp(stage.port);
    stage.atEnd(() => client.close());
    for (const text of ['one', 'two', 'three']) {
      await client.send(text);
      await client.receive();
    }
    await untilReceived(receiver, 'udp_flow_end');
    const flow = {
      connection_id: receiver.of('udp_flow_start')[0]?.['connection_id'],
      remote_addr: '127.0.0.1',
      remote_port: client.port,
    };
    expect(flow.connection_id).toMatch(UUID_V4);
    expect(receiver.of('udp_flow_start')).toEqual([{ ...subject('udp_flow_start', stage), ...flow }]);
    const { bytes_received: received } = receiver.of('udp_flow_end')[0] ?? {};
    expect(received).toBe('onetwothree'.length);
    expect(receiver.of('udp_flow_end')).toEqual([
      {
        ...{ ...subject('udp_flow_end', stage), ...flow, listen_port: stage.port },
        ...{ bytes_sent: expect.any(Number), bytes_received: received, duration_ms: expect.any(Number) },
      },
    ]);
    expect(receiver.of('container_started')).toHaveLength(1);
  });

  test('is not told of a client that the access list refuses', async (context) => {
    const receiver = await startReceiver(context);
    const stage = await openStage(context, {
      ...{ spec: { cmd: httpdCommand() }, webhookUrl: receiver.url, fields: { block_list: ['127.0.0.2'] } },
    });
    await expect(get(stage.port, { localAddress: '127.0.0.2' })).rejects.toThrow();
    await get(stage.port, { localAddress: '127.0.0.3' });
    await untilReceived(receiver, 'tcp_conn_end');
    expect(receiver.of('tcp_conn_start').map((event) => event['remote_addr'])).toEqual(['127.0.0.3']);
  });

  test('that never answers holds up no client, and is warned about after 5 s', async (context) => {
    const receiver = await startReceiver(context, { hangs: true });
    const stage = await openStage(context, { spec: await nodeApp({}), webhookUrl: receiver.url });
    const beganMs = performance.now();
    for (let left = 30; left > 0; left--) expect((await get(stage.port)).status).toBe(200);
    const { level, msg } = await stage.proxy.waitForLog('webhook-failed', { timeoutMs: 15_000 });
    expect({ level, msg }).toEqual({ level: 'warn', msg: expect.stringContaining('no answer within 5 s') });
    expect(performance.now() - beganMs).toBeGreaterThan(4_900);
    const { totalMs } = await get(stage.port);
    expect(totalMs).toBeLessThan(1_000);
  });

  test('that refuses connections holds up no client, and is warned about', async (context) => {
    const webhookUrl = `http://127.0.0.1:${await freePort()}/secret-path`;
    const stage = await openStage(context, { spec: { cmd: httpdCommand() }, webhookUrl });
    expect((await get(stage.port)).body).toBe('hello');
    const { level, msg } = await stage.proxy.waitForLog('webhook-failed');
    expect({ level, msg }).toEqual({ level: 'warn', msg: expect.stringContaining('ECONNREFUSED') });
    expect(msg).not.toContain('secret-path');
    expect((await get(stage.port)).body).toBe('hello');
  });
});
