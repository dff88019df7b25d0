/** UDP: nothing is lost while a container wakes, and nothing is sent that should not be. */
import { Resolver } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { type AppOptions, nodeApp } from './support/apps.ts';
import type { TestContainer } from './support/container.ts';
import { decodeDnsAnswer, encodeDnsQuery } from './support/dns.ts';
import { dnsmasqApp, whyNoDnsmasq } from './support/dnsmasq.ts';
import type { ProxyProcess } from './support/proxy.ts';
import {
  getStatus,
  openTestBed,
  type ServiceFields,
  type TestBed,
  untilSeenAsleep,
} from './support/test-bed.ts';
import { openUdp, type UdpClient } from './support/udp.ts';
import { waitUntil } from './support/wait-until.ts';

const SERVICE = 'app';

interface Stage extends TestBed {
  readonly port: number;
  readonly container: TestContainer;
  readonly proxy: ProxyProcess;
  openClient(localAddress?: string): Promise<UdpClient>;
}

/** A stopped container that runs the test app, and a proxy whose file gives it a UDP port. */
async function openStage(
  { onTestFinished }: TestContext,
  { app, fields = {} }: { readonly app: AppOptions; readonly fields?: ServiceFields },
): Promise<Stage> {
  const bed = await openTestBed({ onTestFinished });
  const port = await freePort();
  const name = bed.scope.name('udp');
  const container = await bed.scope.createContainer({ name, ...(await nodeApp(app)) });
  const proxy = await bed.startProxy({
    services: { [SERVICE]: { container: name, udp_ports: [`${port}:80`], ...fields } },
  });
  const openClient = async (localAddress?: string) => {
    const client = await openUdp(port, localAddress);
    bed.atEnd(() => client.close());
    return client;
  };
  return { ...bed, port, container, proxy, openClient };
}

/** Sends a datagram and returns the answer of `udp-echo`. */
async function ask(client: UdpClient, text: string): Promise<{ startedAt: number; text: string }> {
  await client.send(text);
  return await read(client);
}

async function read(client: UdpClient): Promise<{ startedAt: number; text: string }> {
  const [startedAt, ...words] = String(await client.receive()).split(' ');
  return { startedAt: Number(startedAt), text: words.join(' ') };
}

const obstacle = whyNoDnsmasq();
if (obstacle !== undefined) {
  const ruler = '!'.repeat(80);
  console.warn(`${ruler}\nTHE TESTS WITH A REAL DNS SERVER DO NOT RUN: ${obstacle}.\n${ruler}`);
}

describe.skipIf(obstacle !== undefined).concurrent('a stopped DNS server', () => {
  test('answers the very query that wakes it, and is stopped when it idles, with nothing but labels', async (context) => {
    const bed = await openTestBed({ onTestFinished: context.onTestFinished });
    const port = await freePort();
    const name = bed.scope.name('dns');
    const labels = bed.labels({ udp_ports: `${port}:53`, idle_timeout_secs: 1 });
    await bed.scope.createContainer({ name, labels, ...(await dnsmasqApp({ 'host.test': '192.0.2.7' })) });
    await bed.startProxy();
    // One datagram and no other: a lost one would not be asked again.
    const resolver = new Resolver({ timeout: 15_000, tries: 1 });
    resolver.setServers([`127.0.0.1:${port}`]);
    expect(await resolver.resolve4('host.test')).toEqual(['192.0.2.7']);
    await bed.events.waitFor(name, 'die');
    await bed.events.exactly(name, 'start', 1);
  });

  test('gives each of ten clients its own answer when all ask while it starts', async (context) => {
    const bed = await openTestBed({ onTestFinished: context.onTestFinished });
    const port = await freePort();
    const name = bed.scope.name('dns');
    const questions = Array.from({ length: 10 }, (_, index) => {
      return { id: 0x1a00 + index, name: `host-${index}.test`, address: `192.0.2.${10 + index}` };
    });
    const records = Object.fromEntries(questions.map((question) => [question.name, question.address]));
    await bed.scope.createContainer({ name, ...(await dnsmasqApp(records)) });
    const proxy = await bed.startProxy({
      services: { [SERVICE]: { container: name, udp_ports: [`${port}:53`] } },
    });
    const answers = await Promise.all(
      questions.map(async (question) => {
        const client = await openUdp(port);
        bed.atEnd(() => client.close());
        await client.send(encodeDnsQuery(question.id, question.name));
        const answer = decodeDnsAnswer(await client.receive());
        return { answer, unread: client.unread() };
      }),
    );
    expect(answers).toEqual(
      questions.map(({ id, name, address }) => {
        return { answer: { id, name, status: 0, addresses: [address] }, unread: [] };
      }),
    );
    await bed.events.exactly(name, 'start', 1);
    expect((await getStatus(proxy, { service: SERVICE, port }))?.dropped).toEqual({});
  });
});

describe.concurrent('with udp_readiness open', () => {
  test('a sink that never answers gets every datagram once and in order, from the first one on', async (context) => {
    // It refuses for so long that the kernel doesn't tell every refusal.
    const app = { mode: 'udp-sink', delayMs: 2_500 } as const;
    const stage = await openStage(context, { app, fields: { udp_readiness: 'open' } });
    const { container, proxy, port } = stage;
    const client = await stage.openClient();
    const lines = Array.from({ length: 1_000 }, (_, index) => `line ${index}`);
    for (const line of lines.slice(0, 500)) await sendPaced(client, line);
    await proxy.waitForLog('awake');
    for (const line of lines.slice(500)) await sendPaced(client, line);
    const printed = async () => (await container.logs()).trimEnd().split('\n');
    await waitUntil(async () => (await printed()).at(-1) === lines.at(-1), { what: 'the last line' });
    expect(await printed()).toEqual(lines);
    expect((await getStatus(proxy, { service: SERVICE, port }))?.dropped).toEqual({});
  });

  test('a sink that never answers is stopped only when its client has been silent', async (context) => {
    const fields = { udp_readiness: 'open', idle_timeout: '2s' };
    const stage = await openStage(context, { app: { mode: 'udp-sink' }, fields });
    const client = await stage.openClient();
    await client.send('one way');
    await stage.proxy.waitForLog('awake');
    const sentAt = Date.now();
    const { at } = await stage.events.waitFor(stage.container.name, 'die');
    expect(at - sentAt).toBeGreaterThan(1_500);
    expect(await stage.container.logs()).toBe('one way\n');
  });
});

/** As a client of a slow line: not all at once, which would overflow the socket's buffer. */
async function sendPaced(client: UdpClient, text: string): Promise<void> {
  await client.send(text);
  await sleep(1);
}

describe.concurrent('with udp_readiness reply', () => {
  test('the first client gets its answer when the upstream drops everything for 3 s', async (context) => {
    const stage = await openStage(context, { app: { mode: 'udp-echo', deafMs: 3_000 } });
    const client = await stage.openClient();
    expect(await ask(client, 'first')).toMatchObject({ text: 'first' });
    expect(await ask(client, 'second')).toMatchObject({ text: 'second' });
    expect(client.unread()).toEqual([]);
  });

  test('a container that is silent for the whole budget is stopped, and woken by the next datagram', async (context) => {
    const stage = await openStage(context, { app: { mode: 'udp-sink' }, fields: { start_timeout: '2s' } });
    const { events, container } = stage;
    const client = await stage.openClient();
    const askedAt = Date.now();
    await client.send('anybody?');
    const { at } = await events.waitFor(container.name, 'die');
    expect(at - askedAt).toBeGreaterThanOrEqual(1_900);
    await stage.proxy.waitForLog('asleep', { from: 0 });
    expect(await getStatus(stage.proxy, { service: SERVICE, port: stage.port })).toMatchObject({
      active_conns: 0,
      dropped: { 'not-ready': 1 },
    });
    await client.send('again?');
    await events.waitFor(container.name, 'start', { nth: 2 });
  });
});

describe.concurrent('a flow', () => {
  test('goes on when the container is restarted in the middle of it', async (context) => {
    const stage = await openStage(context, { app: { mode: 'udp-echo' } });
    const client = await stage.openClient();
    const before = await ask(client, 'before');
    await stage.container.restart();
    // As clients of UDP do: the datagrams of the moment in which nobody listens are lost.
    const after = await waitUntil(async () => {
      await client.send('after');
      return client.receive({ timeoutMs: 250 }).catch(() => undefined);
    });
    expect(Number(String(after).split(' ')[0])).toBeGreaterThan(before.startedAt);
    expect(await getStatus(stage.proxy, { service: SERVICE, port: stage.port })).toMatchObject({
      active_conns: 1,
      state: 'ready',
    });
    expect(stage.proxy.logs().filter(({ event }) => event === 'wake')).toHaveLength(1);
  });

  test('is not opened when the source is refused: it neither wakes the container nor is answered', async (context) => {
    const stage = await openStage(context, {
      app: { mode: 'udp-echo' },
      fields: { allow_list: ['127.0.0.1'] },
    });
    const { proxy, events, container, port } = stage;
    await untilSeenAsleep(proxy, SERVICE);
    const stranger = await stage.openClient('127.0.0.2');
    await stranger.send('hello');
    expect(await proxy.waitForLog('refused')).toMatchObject({ service: SERVICE });
    const blocked = await getStatus(proxy, { service: SERVICE, port });
    expect(blocked).toMatchObject({ state: 'stopped', active_conns: 0, dropped: { blocked: 1 } });
    expect(events.of(container.name, 'start')).toHaveLength(0);
    const client = await stage.openClient();
    await ask(client, 'welcome');
    await stranger.send('now that it is awake?');
    // Datagrams of one socket are taken in their order: after this answer, the stranger's was seen. The first question may have
    // been offered more than once, and answered as often.
    let answer = await ask(client, 'and again');
    while (answer.text !== 'and again') answer = await read(client);
    expect(stranger.unread()).toEqual([]);
    expect((await getStatus(proxy, { service: SERVICE, port }))?.dropped).toEqual({ blocked: 2 });
  });

  test('is counted in its row of the status, beside what was dropped', async (context) => {
    const stage = await openStage(context, {
      app: { mode: 'udp-echo' },
      fields: { udp_queue_datagrams: 3, idle_timeout: '1s' },
    });
    const { proxy, port } = stage;
    const clients = [await stage.openClient(), await stage.openClient()] as const;
    const [first, second] = clients;
    for (const text of ['1', '2', '3', 'too many', 'too many']) await first.send(text);
    await second.send('other');
    for (const text of ['1', '2', '3']) expect(String(await first.receive())).toMatch(` ${text}`);
    await second.receive();
    expect(await getStatus(proxy, { service: SERVICE, port })).toMatchObject({
      container_name: stage.container.name,
      listen_port: port,
      target_port: 80,
      protocol: 'udp',
      running: true,
      active_conns: 2,
      dropped: { 'queue-datagrams': 2 },
    });
    await proxy.waitForLog('asleep', { from: proxy.logs().length });
    expect(await getStatus(proxy, { service: SERVICE, port })).toMatchObject({
      running: false,
      active_conns: 0,
    });
  });
});
