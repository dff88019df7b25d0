import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createInClusterAccess } from '../../../src/backends/kubernetes/api/in-cluster-access.ts';
import { createKubernetesBackend } from '../../../src/backends/kubernetes/kubernetes-backend.ts';
import { makeFolder } from './access-fixture.ts';
import { createApp, DB, OPTIONS, SCALE, setUp } from './backend-fixture.ts';
import { ClusterSink } from './cluster-sink.ts';

const POLITELY = { graceMs: undefined, evenInUse: true };

/** The access of a pod in `shop` with this environment. */
async function podAccess(env: Readonly<Record<string, string>>) {
  const folder = await makeFolder();
  await writeFile(join(folder, 'token'), 'x');
  await writeFile(join(folder, 'namespace'), 'shop\n');
  return createInClusterAccess({ KUBERNETES_SERVICE_HOST: '127.0.0.1', ...env }, folder);
}

test.each([
  ['the host’s name', { HOSTNAME: 'db-7d9f8c6b5d-x2v4q' }],
  ['POD_NAME before it', { HOSTNAME: 'node-1', POD_NAME: 'db-7d9f8c6b5d-x2v4q' }],
])('the proxy knows its own Deployment by %s, tells it, and never puts it to sleep', async (_, env) => {
  const { api } = await setUp();
  createApp(api, { replicas: 1 });
  const { own } = await podAccess(env);
  expect(own).toEqual({ resource: 'deployment', namespace: 'shop', name: 'db' });
  const backend = createKubernetesBackend({ ...OPTIONS, access: { ...api.access, own }, identity: 'own' });
  const sink = new ClusterSink();
  backend.watch(DB);
  await backend.open(sink);
  try {
    expect(sink.owns).toEqual([
      [{ kind: 'kubernetes', resource: 'deployment', namespace: 'shop', name: 'db' }],
    ]);
    await expect(backend.sleep(DB, POLITELY)).rejects.toThrow(
      'cannot scale deployment shop/db to 0: the proxy itself runs in it',
    );
    expect(api.count(SCALE)).toBe(0);
    // Its neighbours are put to sleep as ever.
    createApp(api, { replicas: 1, name: 'other' });
    const other = { ...DB, name: 'other', service: 'other' };
    await sink.until(() => backend.watch(other).state !== 'missing');
    await backend.sleep(other, POLITELY);
    expect(api.get('deployments', 'shop/other')?.spec.replicas).toBe(0);
  } finally {
    await backend.close();
  }
});

test('a proxy outside of the cluster is in none of its workloads', async () => {
  const { backend, sink } = await setUp();
  await backend.open(sink);
  expect(sink.owns).toEqual([]);
});
