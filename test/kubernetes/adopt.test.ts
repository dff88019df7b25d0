/** Somebody else scales workloads too: a person with kubectl, an autoscaler, a GitOps tool. */
import { describe, expect, type TestContext, test } from 'vitest';
import type { ProxyProcess } from '../engine/support/proxy.ts';
import { connectTcp } from '../engine/support/tcp.ts';
import type { ServiceFields } from '../engine/support/test-bed.ts';
import { freePort, freePorts } from '../support/free-ports.ts';
import type { KubeObject } from './support/admin-client.ts';
import { listReadyAddresses } from './support/endpoints.ts';
import type { ObservedChange } from './support/follow-objects.ts';
import { type KubeBed, openKubeBed, type TestWorkload } from './support/kube-bed.ts';
import { type WorkloadSpec, workloadsPath } from './support/manifests.ts';
import { converse } from './support/replicas.ts';
import { setBack } from './support/set-back.ts';

const IDLE_MS = 2_000;
/** For what comes after that, on a machine that has much to do. */
const BOUND_MS = 1_500;
const REMEMBERED = 'lazy-proxy.replicas';
const ANSWER = 'pod .';

/** A Deployment that opts in, whose pods answer at `targetPort`. */
async function createApp(
  bed: KubeBed,
  options: Pick<WorkloadSpec, 'name' | 'resource' | 'deleteAfter'> & {
    readonly port: number;
    readonly targetPort: number;
    readonly fields?: ServiceFields;
  },
): Promise<TestWorkload> {
  const { port, targetPort, fields, ...spec } = options;
  const annotations = bed.annotations({ ports: [`${port}:80`], idle_timeout: `${IDLE_MS}ms`, ...fields });
  return bed.createWorkload({ ...spec, annotations, ports: [{ port: 80, targetPort }] });
}

interface Stage {
  readonly bed: KubeBed;
  readonly app: TestWorkload;
  readonly port: number;
  readonly proxy: ProxyProcess;
  /** Of every pod. */
  readonly targetPort: number;
  closePods(): Promise<void>;
}

/** A sleeping workload `app`, and the one proxy that serves it. */
async function openStage(
  { onTestFinished }: TestContext,
  options: Pick<WorkloadSpec, 'resource' | 'deleteAfter'> = {},
): Promise<Stage> {
  const bed = await openKubeBed({ onTestFinished });
  const [port = 0, targetPort = 0] = await freePorts(2);
  const pods = await bed.playPod({ kind: 'tcp', address: '0.0.0.0', port: targetPort, name: 'pod' });
  const app = await createApp(bed, { name: 'app', port, targetPort, ...options });
  const proxy = await bed.startProxy();
  return { bed, app, port, proxy, targetPort, closePods: () => pods.close() };
}

/** One connection with one answer; resolves with the time since the epoch at which it was about to leave. */
async function visit(port: number): Promise<number> {
  const client = await connectTcp(port);
  await converse(client, { durationMs: 1, answer: ANSWER });
  const leftAt = Date.now();
  client.destroy();
  return leftAt;
}

/** When the proxy first said so, as its own clock told: this process may be late to see things. */
async function loggedAt(proxy: ProxyProcess, event: string): Promise<number> {
  return Date.parse((await proxy.waitForLog(event)).time);
}

/** Resolves with the time since the epoch at which a change of a Deployment was told that `holds`. */
async function untilTold(
  { deployments }: KubeBed,
  holds: (object: KubeObject) => boolean,
  options: { readonly from?: number } = {},
): Promise<number> {
  const isIt = ({ at, object }: ObservedChange) => at >= (options.from ?? 0) && holds(object);
  return (await deployments.until(() => deployments.changes.find(isIt), { what: 'the change' })).at;
}

function untilReady({ endpointSlices }: KubeBed, options: { readonly count: number }) {
  return endpointSlices.until((slices) => listReadyAddresses(slices, 'app').length === options.count);
}

describe.concurrent('a workload that somebody else scales', () => {
  test('up has its whole idle time, and as many replicas again after its sleep', async (context) => {
    const { bed, app, port, proxy } = await openStage(context);
    await app.scale(2);
    await app.untilReplicas(2);
    const scaledAt = Date.now();
    await untilReady(bed, { count: 1 });
    const readyAt = Date.now();
    const asleepAt = await untilTold(bed, ({ spec }) => spec.replicas === 0, { from: scaledAt });
    const [awokeAt, fellAsleepAt] = [await loggedAt(proxy, 'awake'), await loggedAt(proxy, 'sleep')];
    expect(fellAsleepAt - awokeAt).toBeGreaterThanOrEqual(IDLE_MS - 100);
    expect(asleepAt - readyAt).toBeLessThanOrEqual(IDLE_MS + BOUND_MS);
    expect((await app.read()).metadata.annotations[REMEMBERED]).toBe('2');
    await visit(port);
    await app.untilReplicas(2);
  });

  test('from one count to another keeps the new one', async (context) => {
    const { app, port } = await openStage(context);
    const client = await connectTcp(port);
    await converse(client, { durationMs: 1, answer: ANSWER });
    await app.scale(3);
    await converse(client, { durationMs: 500, answer: ANSWER });
    client.destroy();
    await app.untilReplicas(0);
    await visit(port);
    await app.untilReplicas(3);
  });

  test('up at the same time as a client wakes it stays as the other wants it', async (context) => {
    const bed = await openKubeBed(context);
    const [targetPort = 0, ...ports] = await freePorts(9);
    await bed.playPod({ kind: 'tcp', address: '0.0.0.0', port: targetPort, name: 'pod' });
    const names = ports.map((port) => ({ port, name: `app-${port}` }));
    const fields = { idle_timeout: '1h' };
    const apps = await Promise.all(names.map((name) => createApp(bed, { ...name, targetPort, fields })));
    await bed.startProxy();
    const both = apps.map((app, index) => Promise.all([visit(ports[index] ?? 0), app.scale(3)]));
    await Promise.all(both);
    for (const app of apps) {
      expect((await app.read()).spec.replicas).toBe(3);
      expect(await app.countStarts()).toBe(1);
    }
  });

  test('up while it is put to sleep is awake, and serves clients', async (context) => {
    const { bed, app, port } = await openStage(context, { deleteAfter: '1s' });
    await visit(port);
    await app.untilReplicas(0);
    await app.scale(2);
    const leftAt = await visit(port);
    expect((await app.read()).spec.replicas).toBe(2);
    const asleepAt = await untilTold(bed, ({ spec }) => spec.replicas === 0, { from: leftAt });
    expect(asleepAt - leftAt).toBeGreaterThanOrEqual(IDLE_MS - 100);
    expect((await app.read()).metadata.annotations[REMEMBERED]).toBe('2');
  });

  test('to 0 under a client ends its connection with the pod, and is woken by the next', async (context) => {
    const { bed, app, port, targetPort, closePods } = await openStage(context, { deleteAfter: '1s' });
    const client = await connectTcp(port);
    await converse(client, { durationMs: 1, answer: ANSWER });
    await app.scale(0);
    await untilReady(bed, { count: 0 });
    // A pod has time to end its work.
    await converse(client, { durationMs: 300, answer: ANSWER });
    await closePods();
    expect(await client.closed).toBeTypeOf('string');
    client.destroy();
    await bed.playPod({ kind: 'tcp', address: '0.0.0.0', port: targetPort, name: 'pod' });
    await visit(port);
    expect(await app.countStarts()).toBe(2);
  });

  test.for([
    { resource: 'deployment', through: 'scale', manager: 'keda-operator' },
    { resource: 'statefulset', through: 'itself', manager: 'argocd-controller' },
  ] as const)('up after each sleep, a $resource by $manager, is left awake', async (how, context) => {
    const { resource, manager } = how;
    const { bed, app, port, proxy, targetPort } = await openStage(context, { resource });
    const neighbourPort = await freePort();
    const neighbour = await createApp(bed, { name: 'neighbour', port: neighbourPort, targetPort });
    const other = setBack(bed, { ...how, app, replicas: 2 });
    const isWarning = ({ event }: { readonly event?: string }) => event === 'contested';
    const { level, msg } = await proxy.waitForLog(isWarning, { timeoutMs: 30_000 });
    expect({ level, msg }).toEqual({
      level: 'warn',
      msg: expect.stringContaining(`${manager} sets replicas of ${resource} ${bed.namespace}/app back to 2`),
    });
    // As long as it takes to put a neighbour to sleep twice, nothing happens.
    const times = other.times();
    for (const _ of [1, 2]) {
      await visit(neighbourPort);
      await neighbour.untilReplicas(0);
    }
    expect(other.times()).toBe(times);
    expect(proxy.logs().filter(isWarning)).toHaveLength(1);
    expect(proxy.logs().filter(({ event }) => event === 'sleep-failed')).toEqual([]);
    other.stop();
    // Once a person has put it to sleep it is as before.
    await app.scale(0);
    await visit(port);
    await app.untilReplicas(0);
  });

  test('up after each sleep is put to sleep again once the spec was changed', async (context) => {
    const resource = 'deployment';
    const { bed, app, port, proxy } = await openStage(context, { resource });
    const how = { resource, through: 'itself', manager: 'argocd-controller', replicas: 2 } as const;
    const other = setBack(bed, { ...how, app });
    const { msg } = await proxy.waitForLog('contested', { timeoutMs: 30_000 });
    expect(msg).toContain(`kubectl -n ${bed.namespace} scale deployment/app --replicas=0`);
    other.stop();
    await bed.admin.patch(`${workloadsPath(bed.namespace)}/app`, {
      spec: { minReadySeconds: 0, paused: true },
    });
    await proxy.waitForLog('contest-over');
    await visit(port);
    await app.untilReplicas(0);
  });
});
