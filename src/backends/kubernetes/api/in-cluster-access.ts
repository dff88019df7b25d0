import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { describeError } from '../../../system/message-of.ts';
import type { ScalableRef } from './api-paths.ts';
import type { KubeAccess } from './kube-transport.ts';

/** Where the kubelet puts a pod's credentials. */
export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The access of the pod's own service account, from its files and what `env` says of the API server. Both files are
 * read for each request: the kubelet renews them. `POD_NAME`, else `HOSTNAME`, says which pod this is.
 * @throws {Error} where `env` doesn't say, or there is no token.
 */
export async function createInClusterAccess(
  env: Readonly<Record<string, string | undefined>>,
  folder: string,
): Promise<KubeAccess> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  if (!host) throw new Error('KUBERNETES_SERVICE_HOST is not set, so this is no pod');
  await readToken(folder);
  const port = env['KUBERNETES_SERVICE_PORT'] || '443';
  const namespace = (await readFile(join(folder, 'namespace'), 'utf8').catch(() => '')).trim() || undefined;
  // The host's name is the pod's, unless the pod uses the node's network or has been given one.
  const pod = env['POD_NAME'] || env['HOSTNAME'];
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    namespace,
    own: namespace && pod ? findOwnWorkload({ namespace, pod }) : undefined,
    async authorize() {
      const [token, ca] = await Promise.all([readToken(folder), readAuthorities(folder)]);
      return { headers: { authorization: `Bearer ${token}` }, ...(ca && { ca }) };
    },
    // Each request reads the files anew, so there is nothing to forget; the token may have changed by now.
    forget() {},
  };
}

async function readToken(folder: string): Promise<string> {
  const file = join(folder, 'token');
  const token = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(`cannot read the service account's token: ${describeError(cause)}`, { cause });
  });
  if (token.trim() === '') throw new Error(`the service account's token ${file} is empty`);
  return token.trim();
}

/** Undefined = the system's own. */
async function readAuthorities(folder: string): Promise<Buffer | undefined> {
  try {
    return await readFile(join(folder, 'ca.crt'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The characters of generated names: no vowels, and none that looks like another. */
const RANDOM = '[bcdfghjklmnpqrstvwxz2456789]';
const OF_DEPLOYMENT = new RegExp(`^(.+)-${RANDOM}{1,10}-${RANDOM}{5}$`);
const OF_STATEFUL_SET = /^(.+)-\d+$/;

/**
 * The workload that a pod belongs to, by the name that its controller gave it: `<deployment>-<hash>-<random>` or
 * `<statefulset>-<number>`. No right is needed for that, and nothing is asked. Undefined where it is neither; the names of
 * Deployments of more than 46 characters are cut short in those of their pods, and are not recognised.
 */
export function findOwnWorkload({
  namespace,
  pod,
}: {
  readonly namespace: string;
  readonly pod: string;
}): ScalableRef | undefined {
  const [, deployment] = OF_DEPLOYMENT.exec(pod) ?? [];
  if (deployment !== undefined) return { resource: 'deployment', namespace, name: deployment };
  const [, statefulSet] = OF_STATEFUL_SET.exec(pod) ?? [];
  return statefulSet === undefined ? undefined : { resource: 'statefulset', namespace, name: statefulSet };
}
