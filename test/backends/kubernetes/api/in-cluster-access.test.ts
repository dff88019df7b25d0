import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import {
  createInClusterAccess,
  findOwnWorkload,
} from '../../../../src/backends/kubernetes/api/in-cluster-access.ts';
import { listNames, makeFolder, startTlsApi } from '../access-fixture.ts';
import { type Certificates, makeCertificates } from '../certificates.ts';

let certificates: Certificates;
let others: Certificates;

beforeAll(async () => {
  [certificates, others] = await Promise.all([makeCertificates(), makeCertificates()]);
});

test('the service account’s token and authority open the API server', async () => {
  const { api, access } = await setUpPod(certificates);
  api.put('deployments', { metadata: { name: 'db', namespace: 'shop' } });
  expect(await listNames(access)).toEqual(['db']);
});

test('a token that was renewed is used from then on', async () => {
  const { api, access, folder } = await setUpPod(certificates);
  await listNames(access);
  api.requireToken('second');
  await expect(listNames(access)).rejects.toThrow('does not accept the credentials (401): Unauthorized');
  await writeFile(join(folder, 'token'), 'second\n');
  expect(await listNames(access)).toEqual([]);
});

test('a server whose authority is another is not trusted with the token', async () => {
  const { api, access } = await setUpPod(others);
  await expect(listNames(access)).rejects.toThrow(
    /^cannot reach https:\/\/127\.0\.0\.1:\d+: (self-signed certificate|unable to verify|certificate signature)/,
  );
  expect(api.requests).toEqual([]);
});

test('a token that can not be read any more is named', async () => {
  const { access, folder } = await setUpPod(certificates);
  await writeFile(join(folder, 'token'), '\n');
  await expect(listNames(access)).rejects.toThrow(`token ${folder}/token is empty`);
});

test('an IPv6 address stands in brackets, and the port defaults to 443', async () => {
  const folder = await makeFolder();
  await writeFile(join(folder, 'token'), 'x');
  const access = await createInClusterAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1' }, folder);
  expect([access.server, access.namespace]).toEqual(['https://[fd00::1]:443', undefined]);
});

/** An API server that wants the token `first`, and the files of a pod that trusts `trusted`'s authority. */
async function setUpPod(trusted: Certificates) {
  const api = await startTlsApi(certificates);
  api.requireToken('first');
  const folder = await makeFolder();
  await writeFile(join(folder, 'token'), 'first\n');
  await writeFile(join(folder, 'ca.crt'), trusted.authority.cert);
  const { hostname, port } = new URL(api.server);
  const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
  return { api, folder, access: await createInClusterAccess(env, folder) };
}

const namespace = 'lazy-proxy';

test.each([
  ['lazy-proxy-7d9f8c6b5d-x2v4q', 'deployment', 'lazy-proxy'],
  ['proxy-6c-bcdfg', 'deployment', 'proxy'],
  ['my.proxy-66b6c48dd5-7xk2p', 'deployment', 'my.proxy'],
  ['lazy-proxy-0', 'statefulset', 'lazy-proxy'],
  ['lazy-proxy-12', 'statefulset', 'lazy-proxy'],
])('the pod %s is of the %s %s', (pod, resource, name) => {
  expect(findOwnWorkload({ namespace, pod })).toEqual({ resource, namespace, name });
});

test.each(['laptop', 'my-laptop', 'lazy-proxy-aeiou', 'ip-10-0-0-1.ec2.internal', ''])(
  'the host name %j is of no workload',
  (pod) => {
    expect(findOwnWorkload({ namespace, pod })).toBeUndefined();
  },
);
