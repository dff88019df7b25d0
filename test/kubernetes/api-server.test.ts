/** The API server dies as in a crash, and comes back: nobody who is served, or waits, is lost. */
import { setTimeout as pass } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import { freePorts } from '../support/free-ports.ts';
import { startConfiguredProxy } from './support/configured-proxy.ts';
import { listReadyAddresses } from './support/endpoints.ts';
import { type KubeBed, openKubeBed, type TestWorkload } from './support/kube-bed.ts';
import { type WorkloadSpec, workloadsPath } from './support/manifests.ts';
import { beginOutage } from './support/outage.ts';
import { readProblems, untilNoProblem, untilRow } from './support/status.ts';
import { startWarmTraffic } from './support/warm-traffic.ts';

/** A wake that waits for the API server tries again each second. */
const WOKEN_WITHIN_MS = 2_000;
/** Long enough for idle timers to fire, and for the Lease of the replica that puts workloads to sleep to run out. */
const AWAY_MS = 6_000;
const LEASE = { lease_duration: '3s' };

/** A workload with ports of both kinds, all of whose pods answer `pod …` and `hello`. */
async function createApp(
  bed: KubeBed,
  options: Partial<WorkloadSpec> & { readonly fields?: Readonly<Record<string, string>> },
) {
  const [tcpPort = 0, httpPort = 0, targetPort = 0, httpTarget = 0] = await freePorts(4);
  await bed.playPod({ kind: 'tcp', address: '0.0.0.0', port: targetPort, name: 'pod' });
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: httpTarget, name: 'hello' });
  const { fields = {}, ...spec } = options;
  const annotations = bed.annotations({ ports: [`${tcpPort}:7`, `${httpPort}:80`], ...fields });
  const ports = [
    { name: 'echo', port: 7, targetPort },
    { name: 'http', port: 80, targetPort: httpTarget },
  ];
  const app = await bed.createWorkload({ name: 'app', annotations, ports, ...spec });
  return { app, tcpPort, httpPort };
}

async function untilReady({ endpointSlices }: KubeBed, { name }: TestWorkload): Promise<void> {
  await endpointSlices.until((slices) => listReadyAddresses(slices, name).length > 0);
}

test('warm traffic loses nothing while the API server is away, and all is well afterwards', async () => {
  const bed = await openKubeBed();
  // Its idle timer would fire between two answers, were it not that somebody uses it.
  const { app, ...ports } = await createApp(bed, { replicas: 1, fields: { idle_timeout: '1s' } });
  await untilReady(bed, app);
  const proxy = await startConfiguredProxy(bed, { content: { kubernetes: LEASE } });
  const traffic = await startWarmTraffic(ports);
  await traffic.untilMore(10);
  const outage = await beginOutage(bed);
  await proxy.waitForLog('engine-lost');
  await pass(AWAY_MS);
  expect(await readProblems(proxy)).toEqual([expect.objectContaining({ code: 'engine-unreachable' })]);
  const before = traffic.answers();
  await traffic.untilMore(100);
  await outage.end();
  await untilNoProblem(proxy);
  await traffic.untilMore(50);
  await traffic.stop();
  expect(traffic.answers().kept).toBeGreaterThan(before.kept);
  expect(proxy.logs().filter(({ event }) => event === 'sleep' || event === 'wake')).toEqual([]);
  // Events, sleep and wake are as before.
  const [later = 0] = await freePorts(1);
  const annotations = bed.annotations({ ports: [`${ports.tcpPort}:7`, `${later}:80`], idle_timeout: '1s' });
  await bed.admin.patch(`${workloadsPath(bed.namespace)}/app`, { metadata: { annotations } });
  await untilRow(proxy, { port: later });
  await app.untilReplicas(0);
  expect((await get(later)).body).toBe('hello');
});

test('a workload that idles while the API server is away is put to sleep when that is back', async () => {
  const bed = await openKubeBed();
  const { app, httpPort } = await createApp(bed, { replicas: 2, fields: { idle_timeout: '2s' } });
  await untilReady(bed, app);
  const proxy = await bed.startProxy();
  const outage = await beginOutage(bed);
  await proxy.waitForLog('sleep-failed');
  // It was not put to sleep, so it is no less awake than before.
  expect((await get(httpPort)).body).toBe('hello');
  await pass(AWAY_MS);
  expect((await get(httpPort)).body).toBe('hello');
  await outage.end();
  await app.untilReplicas(0);
  expect((await get(httpPort)).body).toBe('hello');
  await app.untilReplicas(2);
});

test('clients of a sleeping workload wait for the API server, and are served with one patch', async () => {
  const bed = await openKubeBed();
  const { app, httpPort } = await createApp(bed, {});
  const identity = await bed.createIdentity();
  const log = await bed.openAuditLog(identity);
  await bed.startProxy({ identity });
  const outage = await beginOutage(bed);
  const waiting = Array.from({ length: 5 }, () => get(httpPort, { timeoutMs: 30_000 }));
  const answers = Promise.all(waiting);
  answers.catch(() => {});
  await pass(AWAY_MS);
  const backAt = await outage.end();
  await app.untilReplicas(1);
  expect(Date.now() - backAt).toBeLessThanOrEqual(WOKEN_WITHIN_MS);
  for (const { body } of await answers) expect(body).toBe('hello');
  // Until it has started, the API server refuses everybody.
  const scalings = (await log.calls()).filter(
    ({ resource, status }) => resource === 'deployments/scale' && status !== 403,
  );
  expect(scalings).toEqual([expect.objectContaining({ verb: 'patch', status: 200 })]);
  expect(await app.countStarts()).toBe(1);
});

test('a client is served when the API server dies while it wakes the workload', async () => {
  const bed = await openKubeBed();
  const { app, httpPort } = await createApp(bed, { readyAfter: '1s' });
  await bed.startProxy();
  const answer = get(httpPort, { timeoutMs: 30_000 });
  answer.catch(() => {});
  await app.untilReplicas(1);
  const outage = await beginOutage(bed);
  await pass(AWAY_MS);
  await outage.end();
  expect((await answer).body).toBe('hello');
  expect(await app.countStarts()).toBe(1);
});

test('a proxy that starts while the API server is away serves as soon as that is there', async () => {
  const bed = await openKubeBed();
  const { httpPort } = await createApp(bed, {});
  const identity = await bed.createIdentity();
  const outage = await beginOutage(bed);
  const proxy = await bed.startProxy({ identity });
  expect(await readProblems(proxy)).toEqual([expect.objectContaining({ code: 'engine-unreachable' })]);
  await outage.end();
  await untilRow(proxy, { port: httpPort });
  expect((await get(httpPort)).body).toBe('hello');
});
