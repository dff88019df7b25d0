import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadKubeAccess } from '../../../../src/backends/kubernetes/api/kube-config.ts';
import { kubeconfig, makeFolder, writeKubeconfig } from '../access-fixture.ts';

const NOWHERE = '/nowhere/serviceaccount';

test('a pod uses its own service account, whatever KUBECONFIG says', async () => {
  const folder = await makeFolder();
  await writeFile(join(folder, 'token'), 'secret');
  await writeFile(join(folder, 'namespace'), 'shop\n');
  const KUBECONFIG = await writeKubeconfig(kubeconfig({ server: 'https://elsewhere' }));
  const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443', KUBECONFIG };
  const access = await loadKubeAccess(env, { serviceAccountFolder: folder });
  expect([access.server, access.namespace]).toEqual(['https://10.96.0.1:443', 'shop']);
});

test('KUBECONFIG beats the file in the home folder', async () => {
  const HOME = await makeFolder();
  await mkdir(join(HOME, '.kube'));
  await writeFile(join(HOME, '.kube', 'config'), kubeconfig({ server: 'https://home' }));
  const KUBECONFIG = await writeKubeconfig(kubeconfig({ server: 'https://named' }));
  const options = { serviceAccountFolder: NOWHERE };
  expect((await loadKubeAccess({ HOME, KUBECONFIG }, options)).server).toBe('https://named');
  expect((await loadKubeAccess({ HOME, KUBECONFIG: '' }, options)).server).toBe('https://home');
});

test('of several files the first counts, and those that do not exist are passed over', async () => {
  const first = await writeKubeconfig(kubeconfig({ server: 'https://first', context: { namespace: 'one' } }));
  const second = await writeKubeconfig(
    kubeconfig({ server: 'https://second', context: { namespace: 'two' } }),
  );
  const KUBECONFIG = ['/nowhere/config', first, second].join(':');
  const access = await loadKubeAccess({ KUBECONFIG }, { serviceAccountFolder: NOWHERE });
  expect([access.server, access.namespace]).toEqual(['https://first', 'one']);
});

test('all that was tried is named where there is no cluster', async () => {
  const options = { serviceAccountFolder: NOWHERE };
  await expect(loadKubeAccess({ HOME: '/nowhere' }, options)).rejects.toThrow(
    'cannot find a Kubernetes cluster: KUBERNETES_SERVICE_HOST is not set, so this is no pod; ' +
      '/nowhere/.kube/config does not exist',
  );
  await expect(loadKubeAccess({ KUBECONFIG: '/nowhere/a:/nowhere/b' }, options)).rejects.toThrow(
    '/nowhere/a does not exist; /nowhere/b does not exist',
  );
  await expect(loadKubeAccess({ KUBERNETES_SERVICE_HOST: '10.96.0.1' }, options)).rejects.toThrow(
    "cannot read the service account's token: ENOENT: no such file or directory, open '/nowhere/serviceaccount/token'; neither KUBECONFIG nor HOME is set",
  );
});
