/** Asleep, woken by a request, asleep again: for every way in which a container can be known to the proxy. */
import { describe, expect, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { type AppAnswer, nodeApp } from './support/apps.ts';
import type { ContainerSpec, TestContainer } from './support/container.ts';
import { get } from './support/http.ts';
import { connectTcp } from './support/tcp.ts';
import { getStatus, openTestBed, type TestBed, writeLabels } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

/** A first byte comes at most so long after the app could have answered. */
const MAX_WAKE_DELAY_MS = 100;
/** A port that refused is dialled again after at most so long. */
const MAX_RETRY_MS = 100;
/** A stop comes at most so long after the idle timeout. */
const MAX_STOP_DELAY_MS = 1_000;
const IDLE_MS = 1_000;

/** Wakes the app through `port` and returns its answer. */
async function wake(
  port: number,
): Promise<AppAnswer & { readonly delayMs: number; readonly endedAt: number }> {
  const { body, firstByteAt } = await get(port);
  const answer = JSON.parse(body) as AppAnswer;
  return { ...answer, delayMs: firstByteAt - answer.listeningAt, endedAt: Date.now() };
}

/** Wakes the container through `port`, and sees it stopped again when its idle timeout has passed. */
async function expectOneCycle(
  { events }: TestBed,
  { port, name, id }: { readonly port: number; readonly name: string; readonly id: string },
): Promise<void> {
  const past = events.of(name, 'die').length;
  const answer = await wake(port);
  expect(answer.hostname).toBe(id.slice(0, 12));
  expect(answer.delayMs).toBeLessThanOrEqual(MAX_WAKE_DELAY_MS);
  const died = await events.waitFor(name, 'die', { nth: past + 1 });
  const idledMs = died.at - answer.endedAt;
  // The engine's clock and ours are the same, but the last byte is read a moment after the connection has ended.
  expect(idledMs).toBeGreaterThan(IDLE_MS - 50);
  expect(idledMs).toBeLessThan(IDLE_MS + MAX_STOP_DELAY_MS);
}

describe('a stopped container', () => {
  test('is woken by a request and stopped when it idles, known by its labels beside a file', async () => {
    const bed = await openTestBed();
    const [port = 0, other] = await freePorts(2);
    const name = bed.scope.name('app');
    const labels = bed.labels({ ports: `${port}:80`, idle_timeout: '1s' });
    const { id } = await bed.scope.createContainer({ name, labels, ...(await nodeApp()) });
    await bed.startProxy({ services: { other: { ports: [`${other}:80`] } } });
    await expectOneCycle(bed, { port, name, id });
  });

  test('is woken by a request and stopped when it idles, named in the file alone', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const name = bed.scope.name('app');
    const { id } = await bed.scope.createContainer({ name, ...(await nodeApp()) });
    await bed.startProxy({
      services: { app: { container: name, ports: [`${port}:80`], idle_timeout: '1s' } },
    });
    await expectOneCycle(bed, { port, name, id });
  });

  test('is woken by a request and stopped when it idles, without any file', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const name = bed.scope.name('app');
    // With the labels of a user who changed nothing; other containers of the engine may have some, too.
    const labels = writeLabels('lazy-tcp-proxy', { ports: `${port}:80`, idle_timeout_secs: 1 });
    const { id } = await bed.scope.createContainer({ name, labels, ...(await nodeApp()) });
    const proxy = await bed.startProxy({ args: ['--label-prefix', 'lazy-tcp-proxy'] });
    await proxy.waitForLog('label-only');
    await expectOneCycle(bed, { port, name, id });
  });

  test('takes from its labels what the file leaves open', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const name = bed.scope.name('app');
    const labels = bed.labels({ ports: `${port}:80`, idle_timeout: '10m' });
    const { id } = await bed.scope.createContainer({ name, labels, ...(await nodeApp()) });
    await bed.startProxy({ services: { app: { container: name, idle_timeout: '1s' } } });
    await expectOneCycle(bed, { port, name, id });
  });

  test('listens on the port of the file alone when its labels name another one', async () => {
    const bed = await openTestBed();
    const [port = 0, labelPort = 0] = await freePorts(2);
    const name = bed.scope.name('app');
    const labels = bed.labels({ ports: `${labelPort}:80`, idle_timeout: '1s' });
    const { id } = await bed.scope.createContainer({ name, labels, ...(await nodeApp()) });
    await bed.startProxy({ services: { app: { container: name, ports: [`${port}:80`] } } });
    await expect(connectTcp(labelPort)).rejects.toThrow('ECONNREFUSED');
    await expectOneCycle(bed, { port, name, id });
  });

  test('is dialled again within 100 ms when it takes its time to listen', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const name = bed.scope.name('slow');
    await bed.scope.createContainer({ name, ...(await nodeApp({ delayMs: 1_300 })) });
    await bed.startProxy({ services: { slow: { container: name, ports: [`${port}:80`] } } });
    const { delayMs } = await wake(port);
    expect(delayMs).toBeLessThanOrEqual(MAX_RETRY_MS + MAX_WAKE_DELAY_MS / 2);
  });
});

describe('a container that does not exist yet', () => {
  test('is woken by a request when it was created with labels meanwhile', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const name = bed.scope.name('later');
    const proxy = await bed.startProxy();
    const labels = bed.labels({ ports: `${port}:80`, idle_timeout: '1s' });
    const { id } = await bed.scope.createContainer({ name, labels, ...(await nodeApp()) });
    await proxy.waitForLog((line) => line.event === 'listening' && line.service === name);
    await expectOneCycle(bed, { port, name, id });
  });

  test('is woken by a request when the file names it and it was created meanwhile', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const name = bed.scope.name('later');
    await bed.startProxy({
      services: { app: { container: name, ports: [`${port}:80`], idle_timeout: '1s' } },
    });
    const { id } = await bed.scope.createContainer({ name, ...(await nodeApp()) });
    await expectOneCycle(bed, { port, name, id });
  });
});

/** The ways to make a container anew; each returns the new one. */
const RENEWALS: Readonly<
  Record<string, (bed: TestBed, old: TestContainer, spec: ContainerSpec) => Promise<TestContainer>>
> = {
  async 'removed and created'({ scope }, old, spec) {
    await old.remove();
    return scope.createContainer(spec);
  },
  async 'replaced as Compose does it'({ scope }, old, spec) {
    const successor = await scope.createContainer({ ...spec, name: `${old.id.slice(0, 12)}_${old.name}` });
    await old.remove();
    await successor.rename(old.name);
    return successor;
  },
};

describe.each(Object.entries(RENEWALS))('a container that is %s while the proxy runs', (_, renew) => {
  test.each(['file', 'labels'] as const)('is woken under its new id, known by %s', async (source) => {
    const bed = await openTestBed();
    const port = await freePort();
    const name = bed.scope.name('anew');
    const fields = { ports: [`${port}:80`], idle_timeout: '1s' };
    const spec = { name, ...(await nodeApp()), ...(source === 'labels' && { labels: bed.labels(fields) }) };
    const old = await bed.scope.createContainer(spec);
    const proxy = await bed.startProxy(source === 'file' ? { services: { [name]: fields } } : {});
    await wake(port);
    const { id } = await renew(bed, old, spec);
    const isKnown = async () => {
      const row = await getStatus(proxy, { service: name, port });
      return row?.container_id === id.slice(0, 12) && row.error === undefined;
    };
    await waitUntil(isKnown, { what: 'the new container in the status' });
    await expectOneCycle(bed, { port, name, id });
  });
});
