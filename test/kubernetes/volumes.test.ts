/** A StatefulSet that asks for its volumes to be deleted when it is scaled down. */
import { describe, expect, type TestContext, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import { freePorts } from '../support/free-ports.ts';
import { openKubeBed } from './support/kube-bed.ts';
import { servicesPath, toService, toWorkload, workloadsPath } from './support/manifests.ts';
import { untilRow } from './support/status.ts';

/** Such a StatefulSet, which sleeps, and a proxy that serves it; `more` are fields of its service. */
async function openStage({ onTestFinished }: TestContext, more: Readonly<Record<string, boolean>>) {
  const bed = await openKubeBed({ onTestFinished });
  const { admin, namespace } = bed;
  const [port = 0, targetPort = 0] = await freePorts(2);
  await bed.playPod({ kind: 'http', address: '0.0.0.0', port: targetPort, name: 'hello' });
  const shape = { name: 'app', ports: [{ port: 80, targetPort }], resource: 'statefulset' } as const;
  await admin.create(servicesPath(namespace), toService(shape));
  const workload = toWorkload(shape);
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
  const { template } = workload.spec;
  const sets = workloadsPath(namespace, 'statefulset');
  await admin.create(sets, {
    ...workload,
    spec: {
      ...workload.spec,
      // Placed by hand: nothing here makes volumes, and the scheduler would wait for them.
      template: { ...template, spec: { ...template.spec, nodeName: 'node0' } },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec }],
      persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete', whenDeleted: 'Retain' },
    },
  });
  const fields = { statefulset: `${namespace}/app`, ports: [`${port}:80`], idle_timeout: '1s', ...more };
  const proxy = await bed.startProxy({ services: { app: fields } });
  const countClaims = async () => {
    const { items } = await admin.get(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`);
    return items.length;
  };
  const replicas = async () => (await admin.get(`${sets}/app`)).spec.replicas;
  return { bed, port, proxy, countClaims, replicas };
}

describe.concurrent('a StatefulSet whose volumes go when it is scaled down', () => {
  test('is woken, and not put to sleep, with the reason in log and status', async (context) => {
    const { port, proxy, countClaims, replicas } = await openStage(context, {});
    expect((await get(port)).body).toBe('hello');
    const why =
      /its sleep would delete its volumes \(persistentVolumeClaimRetentionPolicy\.whenScaled is Delete\)/;
    const { level } = await proxy.waitForLog(({ msg }) => why.test(msg));
    expect(level).toBe('warn');
    await untilRow(proxy, { port, holds: ({ error }) => why.test(error ?? '') });
    expect((await get(port)).body).toBe('hello');
    expect(await replicas()).toBe(1);
    expect(await countClaims()).toBe(1);
  });

  test('is put to sleep where the file allows it', async (context) => {
    const { bed, port, countClaims } = await openStage(context, { allow_data_loss: true });
    expect((await get(port)).body).toBe('hello');
    await bed.statefulSets.until((all) => all.get('app')?.spec.replicas === 0, { what: 'its sleep' });
    expect(await countClaims()).toBeLessThanOrEqual(1);
  });
});
