import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import type { KubeAccess } from './kube-access.ts';
import { describeError } from './kube-errors.ts';
import { findOwnWorkload } from './own-workload.ts';

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
    // Nothing is kept, but the token may be another by now.
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
