import { expect, test } from 'vitest';
import type { KubeEvent, Pod } from '../../../src/backends/kubernetes/api/api-shapes.ts';
import type { KubeClient } from '../../../src/backends/kubernetes/api/kube-client.ts';
import type { KubeRequest } from '../../../src/backends/kubernetes/api/kube-transport.ts';
import { explainStart } from '../../../src/backends/kubernetes/explain-start.ts';
import { within } from '../docker/backend-fixture.ts';

const REF = { resource: 'deployment', namespace: 'shop', name: 'db' } as const;
const SELECTOR = {
  matchLabels: { app: 'db' },
  matchExpressions: [
    { key: 'tier', operator: 'In', values: ['a', 'b'] },
    { key: 'old', operator: 'DoesNotExist' },
  ],
} as const;

type Status = NonNullable<Pod['status']>;

function pod(status: Status, metadata: Partial<Pod['metadata']> = {}): Pod {
  return { metadata: { name: 'db-1', ...metadata }, status };
}

const container = (state: object, lastState: object = {}): Status => ({
  containerStatuses: [{ name: 'app', state, lastState }],
});

/** Asks a cluster that has these pods, and these events about any of its objects. */
async function ask(pods: readonly Pod[], events: readonly KubeEvent[] = []) {
  const asked: KubeRequest[] = [];
  const request = async (call: KubeRequest) => {
    asked.push(call);
    if (call.path.endsWith('/pods')) return { metadata: {}, items: pods };
    if (call.path.endsWith('/events')) return { metadata: {}, items: events };
    return { metadata: { name: 'db' }, spec: { selector: SELECTOR } };
  };
  const client = { request } as unknown as KubeClient;
  return { why: await explainStart({ client, ref: REF, signal: within(1_000).signal }), asked };
}

test.each([
  [
    { conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes are available' }] },
    'pod db-1 is not scheduled: 0/3 nodes are available',
  ],
  [
    container({ waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "x"' } }),
    'pod db-1, container app: ImagePullBackOff: Back-off pulling image "x"',
  ],
  [
    container({ waiting: { reason: 'CrashLoopBackOff' } }, { terminated: { exitCode: 3, reason: 'Error' } }),
    'pod db-1, container app: CrashLoopBackOff: it ended with status 3 (Error)',
  ],
  [
    container({ terminated: { exitCode: 137, reason: 'OOMKilled' } }),
    'pod db-1, container app: it ended with status 137 (OOMKilled)',
  ],
  [
    { initContainerStatuses: [{ name: 'init', state: { waiting: { reason: 'ErrImagePull' } } }] },
    'pod db-1, container init: ErrImagePull',
  ],
  [{ phase: 'Failed', reason: 'Evicted', message: 'no room' }, 'pod db-1 has failed: Evicted: no room'],
  [
    { conditions: [{ type: 'Ready', status: 'False', message: 'containers with unready status: [app]' }] },
    'pod db-1 is not ready: containers with unready status: [app]',
  ],
  [container({ running: {} }), undefined],
] as const)('explainStart reads a pod whose status is %j', async (status, why) => {
  expect((await ask([pod(status as Status)])).why).toBe(why);
});

test('explainStart asks for the events of a pod that says nothing by itself, and takes the newest', async () => {
  const creating = pod(container({ waiting: { reason: 'ContainerCreating' } }));
  const { why, asked } = await ask(
    [creating],
    [
      { metadata: { name: 'a' }, message: 'older', lastTimestamp: '2026-01-01T00:00:00Z' },
      {
        metadata: { name: 'b' },
        reason: 'FailedMount',
        message: 'secret "db" not found',
        lastTimestamp: '2026-01-01T00:00:01Z',
      },
    ],
  );
  expect(why).toBe('pod db-1: FailedMount: secret "db" not found');
  expect(asked.map(({ query }) => query?.['labelSelector'] ?? query?.['fieldSelector'])).toEqual([
    undefined,
    'app=db,tier in (a,b),!old',
    'involvedObject.kind=Pod,involvedObject.name=db-1,type=Warning',
  ]);
});

test('explainStart asks for the events of the workload itself where it has no pod', async () => {
  const leaving = pod({}, { deletionTimestamp: '2026-01-01T00:00:00Z' });
  const { why, asked } = await ask([leaving], [{ metadata: { name: 'a' }, message: 'quota exceeded' }]);
  expect(why).toBe('quota exceeded');
  expect(asked.at(-1)?.query).toMatchObject({
    fieldSelector: 'involvedObject.kind=Deployment,involvedObject.name=db,type=Warning',
  });
});

test('explainStart tells nothing where the cluster does not', async () => {
  expect((await ask([])).why).toBeUndefined();
});
