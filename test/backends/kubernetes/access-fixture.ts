import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { KubeAccess } from '../../../src/backends/kubernetes/api/kube-transport.ts';
import { KubeClient } from '../../../src/backends/kubernetes/api/kube-client.ts';
import { type Clock, systemClock } from '../../../src/system/clock.ts';
import { ScriptedKubeApi } from '../../support/scripted-kube/scripted-kube-api.ts';
import type { Certificates } from './certificates.ts';

export const DEPLOYMENTS = '/apis/apps/v1/namespaces/shop/deployments';
export const DB = `${DEPLOYMENTS}/db`;

/** An empty folder, until the test ends. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kube-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Until the test ends. Asks callers for a certificate, and refuses those whose authority is another. */
export async function startTlsApi(certificates: Certificates): Promise<ScriptedKubeApi> {
  const { authority, server } = certificates;
  const tls = { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: false };
  const api = await ScriptedKubeApi.start({ tls });
  onTestFinished(() => api.close());
  return api;
}

export async function startApi(): Promise<ScriptedKubeApi> {
  const api = await ScriptedKubeApi.start();
  onTestFinished(() => api.close());
  return api;
}

/** Until the test ends. */
export function connect(access: KubeAccess): KubeClient {
  const client = new KubeClient({ access, clock: systemClock });
  onTestFinished(() => client.close());
  return client;
}

/** A client of an API server that has the deployment {@link DB}, and a signal that aborts when the test ends. */
export async function setUpClient(options: { readonly clock?: Clock } = {}) {
  const api = await startApi();
  api.put('deployments', { metadata: { name: 'db', namespace: 'shop' }, spec: { replicas: 0 } });
  const asking = new AbortController();
  const { clock = systemClock } = options;
  const client = new KubeClient({ access: api.access, clock });
  onTestFinished(() => {
    asking.abort();
    client.close();
  });
  return { api, client, signal: asking.signal };
}

/** What there is, as a client with that access sees it. */
export async function listNames(access: KubeAccess): Promise<readonly string[]> {
  const { signal } = new AbortController();
  const list = await connect(access).request<{
    readonly items: readonly { readonly metadata: { readonly name: string } }[];
  }>({ method: 'GET', path: DEPLOYMENTS, signal });
  return list.items.map(({ metadata }) => metadata.name);
}

export interface KubeconfigParts {
  readonly server: string;
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
}

/** JSON is YAML, too. */
export function kubeconfig({ server, cluster, user = {}, context }: KubeconfigParts): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u', ...context } }],
    clusters: [{ name: 'c', cluster: { server, ...cluster } }],
    users: [{ name: 'u', user }],
  });
}

/** The path of a file with that text, until the test ends. */
export async function writeKubeconfig(text: string): Promise<string> {
  const file = join(await makeFolder(), 'config');
  await writeFile(file, text);
  return file;
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
