/** What a user can get wrong: an error names it, the rest works, and mending it is all that is needed. */
import { describe, expect, type TestContext, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import type { ProxyProcess } from '../engine/support/proxy.ts';
import { freePorts } from '../support/free-ports.ts';
import { type KubeBed, openKubeBed } from './support/kube-bed.ts';
import {
  servicesPath,
  toService,
  toWorkload,
  type WorkloadSpec,
  workloadsPath,
} from './support/manifests.ts';
import { findRow, readProblems, untilNoProblem, untilRow } from './support/status.ts';

/** What is wrong, and beside it a workload that nothing is wrong with. */
interface Stage {
  readonly bed: KubeBed;
  /** Where clients of what is wrong connect. */
  readonly port: number;
  /** Of all pods, which answer `hello`. */
  readonly targetPort: number;
  /** Asserts that the other workload is woken by a client. */
  expectRestServed(): Promise<void>;
}

async function openStage({ onTestFinished }: TestContext): Promise<Stage> {
  const bed = await openKubeBed({ onTestFinished });
  const [port = 0, targetPort = 0, goodPort = 0] = await freePorts(3);
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: targetPort, name: 'hello' });
  const annotations = bed.annotations({ ports: [`${goodPort}:80`] });
  await bed.createWorkload({ name: 'good', annotations, ports: [{ port: 80, targetPort }] });
  const expectRestServed = async () => expect((await get(goodPort)).body).toBe('hello');
  return { bed, port, targetPort, expectRestServed };
}

/** A Deployment `app` that listens at the stage's port for `target`. */
function createApp({ bed, port }: Stage, options: { readonly target: string } & Partial<WorkloadSpec>) {
  const { target, ...spec } = options;
  const annotations = bed.annotations({ ports: [`${port}:${target}`] });
  return bed.createWorkload({ name: 'app', annotations, ...spec });
}

/** A client comes in vain: status and log say why. */
async function expectRefused(proxy: ProxyProcess, options: { readonly port: number; readonly why: string }) {
  const { port, why } = options;
  const isIt = (row: { readonly error?: string }) => row.error?.includes(why) === true;
  await untilRow(proxy, { port, holds: isIt, what: `the error "${why}"` });
  await expect(get(port)).rejects.toThrow();
  await proxy.waitForLog(({ level, msg }) => level !== 'debug' && msg.includes(why));
}

async function expectServedNow(proxy: ProxyProcess, port: number) {
  await untilRow(proxy, { port, holds: ({ error }) => error === undefined, what: 'an end of the error' });
  expect((await get(port)).body).toBe('hello');
}

describe.concurrent('what is wrong in a cluster is named while the rest is served', () => {
  test('a namespace that does not exist, until a workload is there', async (context) => {
    const { bed, port, targetPort, expectRestServed } = await openStage(context);
    const namespace = `${bed.namespace}-later`;
    const proxy = await bed.startProxy({ env: { K8S_NAMESPACE: `${bed.namespace},${namespace}` } });
    const reason = `namespace "${namespace}" does not exist`;
    expect(await readProblems(proxy)).toEqual([expect.objectContaining({ message: reason })]);
    await proxy.waitForLog(({ event, msg }) => event === 'engine-lost' && msg.includes(reason));
    await expectRestServed();
    await bed.admin.create('/api/v1/namespaces', { metadata: { name: namespace } });
    bed.atEnd(() => bed.admin.delete(`/api/v1/namespaces/${namespace}`));
    const annotations = bed.annotations({ ports: [`${port}:80`] });
    const spec = { name: 'app', annotations, ports: [{ port: 80, targetPort }] };
    await bed.admin.create(servicesPath(namespace), toService(spec));
    await bed.admin.create(workloadsPath(namespace), toWorkload(spec));
    await untilNoProblem(proxy);
    await expectServedNow(proxy, port);
  });

  test('a Deployment without its Service, until the Service is there', async (context) => {
    const stage = await openStage(context);
    const { bed, port, targetPort } = stage;
    await createApp(stage, { target: '80' });
    const proxy = await bed.startProxy();
    await expectRefused(proxy, { port, why: `Service ${bed.namespace}/app does not exist` });
    await stage.expectRestServed();
    const service = toService({ name: 'app', ports: [{ port: 80, targetPort }] });
    await bed.admin.create(servicesPath(bed.namespace), service);
    await expectServedNow(proxy, port);
  });

  test.for(['81', 'web'])('a target port %s that the Service does not have', async (target, context) => {
    const stage = await openStage(context);
    const { bed, port, targetPort } = stage;
    await createApp(stage, { target, ports: [{ name: 'http', port: 80, targetPort }] });
    const proxy = await bed.startProxy();
    const where = `in Service ${bed.namespace}/app`;
    const why = `there is no target port tcp/${target} ${where}; there is tcp/80, tcp/http`;
    await expectRefused(proxy, { port, why });
    await stage.expectRestServed();
    const ports = [{ name: target === 'web' ? target : 'http', port: target === '81' ? 81 : 80, targetPort }];
    await bed.admin.patch(`${servicesPath(bed.namespace)}/app`, { spec: { ports } });
    await expectServedNow(proxy, port);
  });

  test('a Service without a selector, until it has one', async (context) => {
    const stage = await openStage(context);
    const { bed, port, targetPort } = stage;
    await createApp(stage, { target: '80' });
    const service = toService({ name: 'app', ports: [{ port: 80, targetPort }] });
    await bed.admin.create(servicesPath(bed.namespace), {
      ...service,
      spec: { ...service.spec, selector: null },
    });
    const proxy = await bed.startProxy();
    await expectRefused(proxy, { port, why: `Service ${bed.namespace}/app has no selector` });
    await stage.expectRestServed();
    await bed.admin.patch(`${servicesPath(bed.namespace)}/app`, { spec: { selector: { app: 'app' } } });
    await expectServedNow(proxy, port);
  });

  test('an annotation with a mistake, until it is mended', async (context) => {
    const stage = await openStage(context);
    const { bed, port, targetPort } = stage;
    const annotations = bed.annotations({ ports: [`${port}:80`], idle_timeout: 'soon' });
    await bed.createWorkload({ name: 'app', annotations, ports: [{ port: 80, targetPort }] });
    const proxy = await bed.startProxy();
    expect(await readProblems(proxy)).toEqual([
      expect.objectContaining({
        code: 'invalid-duration',
        message: expect.stringContaining('"soon"'),
        origin: {
          kind: 'label',
          workload: { kind: 'kubernetes', resource: 'deployment', namespace: bed.namespace, name: 'app' },
          label: 'lazy-tcp-proxy.idle-timeout',
        },
      }),
    ]);
    const place = `deployment ${bed.namespace}/app, annotation lazy-tcp-proxy.idle-timeout: `;
    await proxy.waitForLog(({ level, msg }) => level === 'error' && msg.startsWith(place));
    expect(await findRow(proxy, port)).toBeUndefined();
    await stage.expectRestServed();
    const mended = { metadata: { annotations: { 'lazy-tcp-proxy.idle-timeout': '1m' } } };
    await bed.admin.patch(`${workloadsPath(bed.namespace)}/app`, mended);
    await untilNoProblem(proxy);
    await expectServedNow(proxy, port);
  });

  test('a service of the file whose Deployment does not exist, until it does', async (context) => {
    const { bed, port, targetPort, expectRestServed } = await openStage(context);
    const services = { app: { deployment: `${bed.namespace}/app`, ports: [`${port}:80`] } };
    const proxy = await bed.startProxy({ services });
    const why = `deployment ${bed.namespace}/app does not exist`;
    await proxy.waitForLog(({ event, msg }) => event === 'missing' && msg.includes(why));
    expect((await findRow(proxy, port))?.error).toBe(why);
    await expectRestServed();
    const waiting = get(port);
    await bed.createWorkload({ name: 'app', ports: [{ port: 80, targetPort }] });
    expect((await waiting).body).toBe('hello');
    await expectServedNow(proxy, port);
  });
});
