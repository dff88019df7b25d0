import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { describeError } from '../../../system/message-of.ts';
import { createInClusterAccess, SERVICE_ACCOUNT_FOLDER } from './in-cluster-access.ts';
import type { KubeAccess } from './kube-transport.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The access to the cluster: a pod's own service account, else the files of `KUBECONFIG`, else `~/.kube/config`. No
 * connection is made.
 * @throws {Error} naming all that was tried; where a kubeconfig is there and can't be used, its fault alone.
 */
export async function loadKubeAccess(
  env: Environment,
  options: { readonly serviceAccountFolder?: string } = {},
): Promise<KubeAccess> {
  const tried: string[] = [];
  try {
    return await createInClusterAccess(env, options.serviceAccountFolder ?? SERVICE_ACCOUNT_FOLDER);
  } catch (error) {
    tried.push(describeError(error));
  }
  const named = env['KUBECONFIG']?.split(delimiter).filter((file) => file !== '') ?? [];
  const candidates = named.length > 0 ? named : env['HOME'] ? [join(env['HOME'], '.kube', 'config')] : [];
  const found = await whichExist(candidates);
  if (found.length > 0) return (await import('./kubeconfig-access.ts')).createKubeconfigAccess(found);
  for (const file of candidates) tried.push(`${file} does not exist`);
  if (candidates.length === 0) tried.push('neither KUBECONFIG nor HOME is set');
  throw new Error(`cannot find a Kubernetes cluster: ${tried.join('; ')}`);
}

async function whichExist(files: readonly string[]): Promise<readonly string[]> {
  const checked = await Promise.all(
    files.map((file) =>
      access(file).then(
        () => [file],
        (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? [] : [file]),
      ),
    ),
  );
  return checked.flat();
}
