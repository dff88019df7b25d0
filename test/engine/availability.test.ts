/** Containers that clients don't wake, or that nobody but their owner starts and stops. */
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { type AppOptions, httpdCommand, nodeApp } from './support/apps.ts';
import type { TestContainer } from './support/container.ts';
import { get, getJson } from './support/http.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { getStatus, openTestBed, type ServiceFields, type TestBed, writeConfig } from './support/test-bed.ts';
import { openUdp } from './support/udp.ts';
import { waitUntil } from './support/wait-until.ts';

/** The quickest of several refusals takes no longer, however busy the machine is; a start takes some hundred ms. */
const AT_ONCE_MS = 50;

interface Stage extends TestBed {
  readonly port: number;
  readonly name: string;
  readonly container: TestContainer;
  readonly proxy: ProxyProcess;
}

/** A stopped container with an HTTP server that opts in by label, put to sleep when idle for a second. */
async function openStage(
  { onTestFinished }: TestContext,
  { app, fields = {} }: { readonly app?: AppOptions; readonly fields?: ServiceFields },
): Promise<Stage> {
  const bed = await openTestBed({ onTestFinished });
  const port = await freePort();
  const name = bed.scope.name('app');
  const spec = app === undefined ? { cmd: httpdCommand() } : await nodeApp(app);
  const labels = bed.labels({ ports: `${port}:80`, idle_timeout_secs: 1, ...fields });
  const container = await bed.scope.createContainer({ ...spec, name, labels });
  const proxy = await bed.startProxy();
  return { ...bed, port, name, container, proxy };
}

/** A few clients ask and are closed at once, one after the other, without an answer. */
async function expectRefusals(port: number, count = 5): Promise<void> {
  const times: number[] = [];
  while (times.length < count) times.push(await refusedAfterMs(port));
  expect(Math.min(...times)).toBeLessThan(AT_ONCE_MS);
}

/** How long it took until a client was closed that asks and gets nothing. */
async function refusedAfterMs(port: number): Promise<number> {
  const startMs = performance.now();
  const client = await connectTcp(port);
  await client.send('GET / HTTP/1.0\r\n\r\n');
  expect(await client.closed).toBe('end');
  expect((await client.readAll()).length).toBe(0);
  client.destroy();
  return performance.now() - startMs;
}

async function waitForState({ proxy, name, port }: Stage, state: string): Promise<void> {
  const isThere = async () => (await getStatus(proxy, { service: name, port }))?.state === state;
  await waitUntil(isThere, { what: `the state "${state}" in the status` });
}

/** An idle container on demand has been put to sleep meanwhile, so a manual one would have been, too. */
async function outlastIdleness(stage: Stage): Promise<void> {
  const idler = await addIdler(stage);
  await stage.events.waitFor(idler.name, 'die');
}

/** A container on demand, with the proxy already there. */
async function addIdler({ scope, labels }: TestBed) {
  const port = await freePort();
  const name = scope.name('idler');
  await scope.createContainer({
    ...{ name, cmd: httpdCommand() },
    labels: labels({ ports: `${port}:80`, idle_timeout_secs: 1 }),
  });
  const answers = () => get(port).then(Boolean, () => false);
  await waitUntil(answers, { what: 'the listener of a container that came later' });
  return { name, port };
}

describe.concurrent('a manual container', () => {
  test('refuses clients at once while it sleeps, and says why in log and status', async (context) => {
    const stage = await openStage(context, { fields: { availability: 'manual' } });
    const { proxy, port, name, events } = stage;
    await expectRefusals(port, 5);
    const reason = "it is asleep, and clients don't wake it (availability: manual)";
    const line = await proxy.waitForLog('unserved');
    expect(line.msg).toMatch(/: connection of 127\.0\.0\.1:\d+ closed: it is asleep/);
    expect(line.msg?.endsWith(reason)).toBe(true);
    expect(await getStatus(proxy, { service: name, port })).toMatchObject({
      ...{ availability: 'manual', state: 'stopped', running: false, unavailable: reason },
      refused: { asleep: 5 },
    });
    expect(events.of(name, 'start')).toEqual([]);
  });

  test('serves as any other when its owner has started it, is never stopped, and refuses again when it is', async (context) => {
    const stage = await openStage(context, { fields: { availability: 'manual' } });
    const { port, name, events, container } = stage;
    await container.start();
    await waitForState(stage, 'ready');
    // From the second on, the relay thread lets clients in by itself.
    for (let count = 0; count < 20; count++) expect((await get(port)).body).toBe('hello');
    await outlastIdleness(stage);
    expect((await get(port)).body).toBe('hello');
    await container.stop(1);
    await waitForState(stage, 'stopped');
    await expectRefusals(port, 20);
    await events.exactly(name, 'start', 1);
    await container.start();
    await waitForState(stage, 'ready');
    expect((await get(port)).body).toBe('hello');
    expect([events.of(name, 'start').length, events.of(name, 'die').length]).toEqual([2, 1]);
  });

  test('is left alone when it ran before the proxy did, and when the proxy ends', async (context) => {
    const bed = await openTestBed({ onTestFinished: context.onTestFinished });
    const port = await freePort();
    const name = bed.scope.name('app');
    const container = await bed.scope.runContainer({
      ...{ name, cmd: httpdCommand() },
      labels: bed.labels({ ports: `${port}:80`, idle_timeout_secs: 1, availability: 'manual' }),
    });
    const proxy = await bed.startProxy();
    const stage = { ...bed, port, name, container, proxy };
    await outlastIdleness(stage);
    expect((await get(port)).body).toBe('hello');
    await proxy.stop();
    expect(await container.state()).toBe('running');
  });

  test('closes those who wait for it when its start by its owner fails', async (context) => {
    const fields = { availability: 'manual', start_timeout: '30s' };
    const stage = await openStage(context, { app: { delayMs: 20_000 }, fields });
    await stage.container.start();
    await waitForState(stage, 'starting');
    const client = await connectTcp(stage.port);
    await client.send('GET / HTTP/1.0\r\n\r\n');
    await stage.container.kill();
    const killedMs = performance.now();
    await client.closed;
    expect(performance.now() - killedMs).toBeLessThan(2_000);
    await stage.proxy.waitForLog('unserved');
    await stage.events.exactly(stage.name, 'start', 1);
  });

  test('is started by its hub, and outlives it', async (context) => {
    const bed = await openTestBed({ onTestFinished: context.onTestFinished });
    const [port = 0, hubPort = 0] = await freePorts(2);
    const [name, hub] = [bed.scope.name('app'), bed.scope.name('hub')];
    for (const each of [name, hub]) await bed.scope.createContainer({ name: each, cmd: httpdCommand() });
    await bed.startProxy({
      services: {
        app: { container: name, ports: [`${port}:80`], availability: 'manual', idle_timeout: '1s' },
        hub: { container: hub, ports: [`${hubPort}:80`], idle_timeout: '1s', dependants: ['app'] },
      },
    });
    await expectRefusals(port);
    expect((await get(hubPort)).body).toBe('hello');
    expect((await get(port)).body).toBe('hello');
    await bed.events.waitFor(hub, 'die');
    expect((await get(port)).body).toBe('hello');
    expect(bed.events.of(name, 'die')).toEqual([]);
  });

  test('drops datagrams while it sleeps, counts them by a reason of their own, and answers while it runs', async (context) => {
    const bed = await openTestBed({ onTestFinished: context.onTestFinished });
    const port = await freePort();
    const name = bed.scope.name('udp');
    const container = await bed.scope.createContainer({ name, ...(await nodeApp({ mode: 'udp-echo' })) });
    const proxy = await bed.startProxy({
      services: {
        app: { container: name, udp_ports: [`${port}:80`], availability: 'manual', idle_timeout: '1s' },
      },
    });
    const client = await openUdp(port);
    bed.atEnd(() => client.close());
    const row = () => getStatus(proxy, { service: 'app', port });
    for (let count = 0; count < 3; count++) await client.send('asleep');
    await waitUntil(async () => (await row())?.dropped?.['asleep'] === 3, { what: 'the drops' });
    await container.start();
    await waitUntil(async () => (await row())?.running === true, { what: 'the start' });
    await client.send('awake');
    expect(String(await client.receive())).toMatch(/ awake$/);
    await container.kill();
    await waitUntil(async () => (await row())?.state === 'stopped', { what: 'the stop' });
    await client.send('asleep again');
    await waitUntil(async () => (await row())?.dropped?.['asleep'] === 4, { what: 'the drop' });
    await bed.events.exactly(name, 'start', 1);
    expect(client.unread()).toEqual([]);
  });

  test('follows a reload: on demand it is woken, manual again it is left awake', async (context) => {
    const bed = await openTestBed({ onTestFinished: context.onTestFinished });
    const port = await freePort();
    const name = bed.scope.name('app');
    const container = await bed.scope.createContainer({ name, cmd: httpdCommand() });
    const fields = { container: name, ports: [`${port}:80`], idle_timeout: '2s' };
    const proxy = await bed.startProxy({ services: { app: { ...fields, availability: 'manual' } } });
    const stage = { ...bed, port, name, container, proxy };
    const reload = async (availability: string) => {
      const from = proxy.logs().length;
      await proxy.edit(writeConfig({ app: { ...fields, availability } }));
      const line = await proxy.waitForLog('reload', { from });
      expect(line.msg).toContain('app changed: availability');
    };
    await refusedAfterMs(port);
    await reload('on_demand');
    expect((await get(port)).body).toBe('hello');
    await reload('manual');
    await outlastIdleness(stage);
    expect((await get(port)).body).toBe('hello');
    expect(bed.events.of(name, 'die')).toEqual([]);
    await reload('on_demand');
    await bed.events.waitFor(name, 'die');
  });
});

describe.concurrent('a container that its schedule starts', () => {
  test('refuses clients at once outside its window, and names the next start', async (context) => {
    const fields = { availability: 'cron', cron_start: '0 8 1 1 *', timezone: 'Europe/Paris' };
    const stage = await openStage(context, { fields });
    const { proxy, port, name } = stage;
    await refusedAfterMs(port);
    const line = await proxy.waitForLog('unserved');
    expect(line.msg).toMatch(
      /: it is asleep, and clients don't wake it \(availability: schedule\); its next start is at \d{4}-01-01 08:00 Europe\/Paris$/,
    );
    const row = await getStatus(proxy, { service: name, port });
    expect(row).toMatchObject({ availability: 'schedule', state: 'stopped', refused: { asleep: 1 } });
    expect(row?.next_start).toMatch(/^\d{4}-01-01T07:00:00Z$/);
    expect(stage.events.of(name, 'start')).toEqual([]);
  });

  test('is started by it, serves then, and is not stopped for being idle', async (context) => {
    const stage = await openStage(context, { fields: { availability: 'schedule', cron_start: '* * * * *' } });
    const { port, name, events } = stage;
    const untilStartMs = 60_000 - (Date.now() % 60_000);
    if (untilStartMs > 5_000) await expectRefusals(port);
    await events.waitFor(name, 'start', { timeoutMs: 65_000 });
    await waitForState(stage, 'ready');
    expect((await get(port)).body).toBe('hello');
    await outlastIdleness(stage);
    expect(events.of(name, 'die')).toEqual([]);
  });

  test('is warned of when it has no schedule', async (context) => {
    const { proxy } = await openStage(context, { fields: { availability: 'cron' } });
    const problems = await getJson<{ readonly message: string }[]>(`${proxy.statusUrl}/problems`);
    expect(problems.map(({ message }) => message)).toEqual([
      'availability: is "schedule" without awake, cron-start or cron-stop, so neither clients nor a schedule start it; give one of them',
    ]);
  });
});
