import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { createKubeconfigAccess } from '../../../../src/backends/kubernetes/api/kubeconfig-access.ts';
import {
  base64,
  connect,
  DEPLOYMENTS,
  kubeconfig,
  listNames,
  makeFolder,
  startApi,
  startTlsApi,
  writeKubeconfig,
} from '../access-fixture.ts';
import { type Certificates, makeCertificates } from '../certificates.ts';

let certificates: Certificates;

beforeAll(async () => {
  certificates = await makeCertificates();
});

test('a client certificate in the kubeconfig is shown to the API server', async () => {
  const api = await startTlsApi(certificates);
  const file = await writeKubeconfig(
    kubeconfig({
      server: api.server,
      cluster: { 'certificate-authority-data': base64(certificates.authority.cert) },
      user: {
        'client-certificate-data': base64(certificates.user.cert),
        'client-key-data': base64(certificates.user.key),
      },
      context: { namespace: 'shop' },
    }),
  );
  const access = createKubeconfigAccess([file]);
  expect(await listNames(access)).toEqual([]);
  expect(api.requests[0]?.user).toBe('anna');
  expect(access.namespace).toBe('shop');
});

test('files beside the kubeconfig are found, and several requests share a connection', async () => {
  const api = await startTlsApi(certificates);
  const user = { 'client-certificate': 'anna.crt', 'client-key': 'anna.key' };
  const cluster = { 'certificate-authority': 'ca.crt' };
  const file = await writeKubeconfig(kubeconfig({ server: api.server, cluster, user }));
  await writeFile(join(dirname(file), 'ca.crt'), certificates.authority.cert);
  await writeFile(join(dirname(file), 'anna.crt'), certificates.user.cert);
  await writeFile(join(dirname(file), 'anna.key'), certificates.user.key);
  const client = connect(createKubeconfigAccess([file]));
  const { signal } = new AbortController();
  for (let count = 0; count < 3; count++) await client.request({ method: 'GET', path: DEPLOYMENTS, signal });
  expect(api.requests.map(({ user }) => user)).toEqual(['anna', 'anna', 'anna']);
  expect(api.connections).toBe(1);
});

test('a server whose authority is another is refused, unless the kubeconfig says not to look', async () => {
  const api = await startTlsApi(certificates);
  const wary = await writeKubeconfig(kubeconfig({ server: api.server }));
  await expect(listNames(createKubeconfigAccess([wary]))).rejects.toThrow(/certificate/);
  const cluster = { 'insecure-skip-tls-verify': true };
  const rash = await writeKubeconfig(kubeconfig({ server: api.server, cluster }));
  expect(await listNames(createKubeconfigAccess([rash]))).toEqual([]);
});

test('a server without TLS is taken as it is', async () => {
  const api = await startApi();
  const file = await writeKubeconfig(kubeconfig({ server: api.server }));
  expect(await listNames(createKubeconfigAccess([file]))).toEqual([]);
});

test('a credential plugin is asked once for many requests, and once more after a 401', async () => {
  const api = await startApi();
  const { file, log } = await setUpPlugin(api.server, 'printf one');
  const client = connect(createKubeconfigAccess([file]));
  const { signal } = new AbortController();
  const list = () => client.request({ method: 'GET', path: DEPLOYMENTS, signal });
  api.requireToken('one');
  await Promise.all([list(), list(), list()]);
  expect(await readFile(log, 'utf8')).toBe('client.authentication.k8s.io/v1\n');
  await writeFile(join(dirname(log), 'token'), 'two');
  api.requireToken('two');
  await list();
  expect((await readFile(log, 'utf8')).split('\n').length).toBe(3);
});

test('a credential plugin that fails is told in its own words', async () => {
  const api = await startApi();
  const { file } = await setUpPlugin(api.server, 'echo "log in first" >&2; exit 1');
  await expect(listNames(createKubeconfigAccess([file]))).rejects.toThrow(
    `cannot get credentials for ${api.server}: log in first`,
  );
});

test('a token that is refused is read again from the file', async () => {
  const api = await startApi();
  const file = await writeKubeconfig(kubeconfig({ server: api.server, user: { token: 'one' } }));
  const access = createKubeconfigAccess([file]);
  await writeFile(file, kubeconfig({ server: api.server, user: { token: 'two' } }));
  api.requireToken('two');
  expect(await listNames(access)).toEqual([]);
});

test.each([
  ['no context', '{}', 'has no current-context'],
  ['no such context', '{"current-context":"x"}', 'has no context "x", its current-context'],
  [
    'no such cluster',
    kubeconfig({ server: 'https://x', context: { cluster: 'y' } }),
    'has no cluster "y", as its context says',
  ],
  ['no such user', kubeconfig({ server: 'https://x', context: { user: 'z' } }), 'has no user "z"'],
  ['no YAML', '{', 'cannot read the kubeconfig'],
])('a kubeconfig with %s is refused by name', async (_, text, message) => {
  const file = await writeKubeconfig(text);
  const load = () => createKubeconfigAccess([file]);
  expect(load).toThrow(message);
  expect(load).toThrow(file);
});

/** A plugin that logs what it is asked for, and tells the token in the file `token`, at first that of `command`. */
async function setUpPlugin(server: string, command: string) {
  const folder = await makeFolder();
  const log = join(folder, 'log');
  const script = `
    echo "$KUBERNETES_EXEC_INFO" | sed 's/.*"apiVersion":"\\([^"]*\\)".*/\\1/' >> log
    token=$(cat token 2>/dev/null || { ${command}; }) || exit 1
    echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
    echo '"status":{"token":"'$token'","expirationTimestamp":"2999-01-01T00:00:00Z"}}'`;
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'sh',
    args: ['-c', `cd ${folder}; ${script}`],
    interactiveMode: 'Never',
  };
  return { log, file: await writeKubeconfig(kubeconfig({ server, user: { exec } })) };
}
