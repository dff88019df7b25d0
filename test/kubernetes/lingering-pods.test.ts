/** Pods that are deleted and don't go: on a node that is lost, or kept by a finalizer. */
import { describe, expect, type TestContext, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import { freePorts } from '../support/free-ports.ts';
import { listReadyAddresses } from './support/endpoints.ts';
import { type KubeBed, openKubeBed } from './support/kube-bed.ts';
import { untilRow } from './support/status.ts';

const FINALIZER = 'example.org/keep';

/** The name of the only pod that isn't kept yet. */
async function findPod(bed: KubeBed): Promise<string> {
  const { items } = await bed.admin.get(`/api/v1/namespaces/${bed.namespace}/pods`);
  return items.find(({ metadata }: { metadata: { finalizers?: unknown } }) => !metadata.finalizers).metadata
    .name;
}

/** Keeps a pod until the test has finished, however often it is deleted. */
async function keepPod(bed: KubeBed, pod: string): Promise<void> {
  const path = `/api/v1/namespaces/${bed.namespace}/pods/${pod}`;
  await bed.admin.patch(path, { metadata: { finalizers: [FINALIZER] } });
  bed.atEnd(async () => void (await bed.admin.patch(path, { metadata: { finalizers: null } })));
}

/** An app that is awake with one pod, which answers its own address and will be kept when it is deleted. */
async function openStage(
  { onTestFinished }: TestContext,
  { resource, fields = {} }: { readonly resource: 'deployment' | 'statefulset'; readonly fields?: object },
) {
  const bed = await openKubeBed({ onTestFinished });
  const [port = 0, targetPort = 0] = await freePorts(2);
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: targetPort });
  const annotations = bed.annotations({
    ...{ ports: [`${port}:80`], start_timeout: '5s', idle_timeout: '1s' },
    ...fields,
  });
  const ports = [{ port: 80, targetPort }];
  const app = await bed.createWorkload({ name: 'app', resource, annotations, ports, replicas: 1 });
  await bed.endpointSlices.until((slices) => listReadyAddresses(slices, 'app').length === 1);
  await keepPod(bed, await findPod(bed));
  const proxy = await bed.startProxy();
  const { body: kept } = await get(port);
  await app.untilReplicas(0);
  return { bed, port, app, proxy, kept };
}

describe.concurrent('a pod that does not go', () => {
  test('of a Deployment keeps no client waiting, and gets none', async (context) => {
    const { port, app, kept } = await openStage(context, { resource: 'deployment' });
    const began = Date.now();
    const answers = await Promise.all(Array.from({ length: 10 }, () => get(port)));
    expect(Date.now() - began).toBeLessThan(5_000);
    expect(answers.map(({ body }) => body)).not.toContain(kept);
    await app.untilReplicas(0);
    expect((await get(port)).body).not.toBe(kept);
  });

  test('of a StatefulSet is waited for', async (context) => {
    const { port, bed, app, proxy } = await openStage(context, { resource: 'statefulset' });
    const path = `/api/v1/namespaces/${bed.namespace}/pods/app-0`;
    await bed.endpointSlices.until((slices) => listReadyAddresses(slices, 'app').length === 0);
    const waiting = get(port);
    await untilRow(proxy, { port, holds: ({ state }) => state === 'stopping' });
    expect(await app.countStarts()).toBe(0);
    await bed.admin.patch(path, { metadata: { finalizers: null } });
    expect((await waiting).status).toBe(200);
    expect(await app.countStarts()).toBe(1);
  });
});
