/** Why a workload that was scaled up doesn't become ready: log and status say it in the cluster's own words. */
import { describe, expect, type TestContext, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import { waitUntil } from '../engine/support/wait-until.ts';
import { freePort } from '../support/free-ports.ts';
import { type KubeBed, openKubeBed } from './support/kube-bed.ts';
import { servicesPath, type WorkloadSpec, workloadsPath } from './support/manifests.ts';
import { untilRow } from './support/status.ts';

interface Stage {
  readonly bed: KubeBed;
  readonly port: number;
  /** Where the workload is patched. */
  readonly path: string;
}

/** A workload that sleeps, of which nothing is wrong yet. */
async function openStage({ onTestFinished }: TestContext, spec: Partial<WorkloadSpec> = {}): Promise<Stage> {
  const bed = await openKubeBed({ onTestFinished });
  const port = await freePort();
  const annotations = bed.annotations({ ports: [`${port}:80`], start_timeout: '4s', idle_timeout: '1m' });
  await bed.createWorkload({ name: 'app', annotations, ports: [{ port: 80 }], ...spec });
  return { bed, port, path: `${workloadsPath(bed.namespace, spec.resource)}/app` };
}

/** A client comes in vain: log and status say why. */
async function expectTold(
  { bed, port }: Stage,
  why: RegExp,
  meanwhile: () => Promise<void> = async () => {},
) {
  const proxy = await bed.startProxy();
  const client = get(port).catch((error: Error) => error);
  await meanwhile();
  expect(await client).toBeInstanceOf(Error);
  await proxy.waitForLog(
    ({ level, service, msg }) => level === 'warn' && service !== undefined && why.test(msg),
  );
  await untilRow(proxy, { port, holds: ({ error }) => why.test(error ?? ''), what: `the error ${why}` });
}

describe.concurrent('a start fails, and it is told', () => {
  test.for(['deployment', 'statefulset'] as const)(
    'that a pod of a %s is forbidden',
    async (resource, context) => {
      const stage = await openStage(context, { resource });
      const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
      await stage.bed.admin.patch(`/api/v1/namespaces/${stage.bed.namespace}`, { metadata: { labels } });
      await expectTold(stage, /violates PodSecurity "restricted/);
    },
  );

  test('that no node takes the pod', async (context) => {
    const stage = await openStage(context);
    const nodeSelector = { disk: 'none-has-it' };
    await stage.bed.admin.patch(stage.path, { spec: { template: { spec: { nodeSelector } } } });
    await expectTold(stage, /pod app-\S+ is not scheduled: 0\/\d+ nodes are available/);
  });

  test('that an image can not be pulled', async (context) => {
    const stage = await openStage(context, { readyAfter: '24h' });
    const { bed } = stage;
    const pods = `/api/v1/namespaces/${bed.namespace}/pods`;
    await expectTold(stage, /pod app-\S+, container app: ImagePullBackOff: Back-off pulling/, async () => {
      const pod = await waitUntil(
        async () =>
          (await bed.admin.get(pods)).items.find(
            ({ status }: { status: { podIP?: string } }) => status.podIP,
          ),
        { what: 'a pod' },
      );
      const state = { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "app"' } };
      const containerStatuses = [{ ...pod.status.containerStatuses[0], started: false, state }];
      await bed.admin.patch(`${pods}/${pod.metadata.name}/status`, { status: { containerStatuses } });
    });
  });

  test('that no container has the port that the Service names', async (context) => {
    const stage = await openStage(context);
    const ports = [{ port: 80, targetPort: 'web', protocol: 'TCP' }];
    await stage.bed.admin.patch(`${servicesPath(stage.bed.namespace)}/app`, { spec: { ports } });
    await expectTold(stage, /no ready pod has the port "web"/);
  });
});
