/**
 * Access as a kubeconfig says: contexts, client certificates, tokens, credential plugins, OIDC, proxies. The one place
 * where the Kubernetes client library begins: a proxy without a kubeconfig never loads it.
 */
import type { RequestOptions } from 'node:https';
import type { Cluster, User } from '@kubernetes/client-node';
// Not the package as a whole, whose classes for every kind of object take a third of a second and 70 MB.
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { describeError } from '../../../system/message-of.ts';
import type { KubeAccess } from './kube-transport.ts';

/**
 * The access of the current context. Where several files name the same thing, the first counts, as for kubectl.
 * @param files that exist, at least one.
 * @throws {Error} where one can't be read, or the context isn't complete.
 */
export function createKubeconfigAccess(files: readonly string[]): KubeAccess {
  let config = loadConfig(files);
  const { cluster, namespace } = chooseContext(config, files);
  let pending: Promise<RequestOptions> | undefined;
  return {
    server: cluster.server,
    namespace,
    authorize() {
      // A credential plugin that asks the user, or the network, must not be run by everybody at once.
      pending ??= authorize(config).finally(() => {
        pending = undefined;
      });
      return pending;
    },
    forget() {
      try {
        config = loadConfig(files);
      } catch {
        // Somebody is writing the file: what was read before goes on to count.
      }
    },
  };
}

function loadConfig(files: readonly string[]): KubeConfig {
  const parts = files.map((file) => {
    const part = new KubeConfig();
    try {
      part.loadFromFile(file);
    } catch (cause) {
      throw new Error(`cannot read the kubeconfig ${file}: ${describeError(cause)}`, { cause });
    }
    return part;
  });
  const merged = new KubeConfig();
  merged.loadFromOptions({
    clusters: firstOfEachName(parts.map((part) => part.clusters)).map(allowPlain),
    users: firstOfEachName(parts.map((part) => part.users)).map(tellPlugin),
    contexts: firstOfEachName(parts.map((part) => part.contexts)),
    currentContext: parts.find((part) => part.currentContext)?.currentContext,
  });
  return merged;
}

function firstOfEachName<T extends { readonly name: string }>(lists: readonly (readonly T[])[]): T[] {
  const found = new Map<string, T>();
  for (const item of lists.flat()) if (!found.has(item.name)) found.set(item.name, item);
  return [...found.values()];
}

/** Without encryption there is no certificate to verify, but the library wants that said. */
function allowPlain(cluster: Cluster): Cluster {
  return cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster;
}

/** Some credential plugins refuse to run where this variable doesn't say what they are asked for. */
function tellPlugin(user: User): User {
  if (!user.exec) return user;
  const request = {
    apiVersion: user.exec.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false },
  };
  const variable = { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(request) };
  return { ...user, exec: { ...user.exec, env: [...(user.exec.env ?? []), variable] } };
}

function chooseContext(
  config: KubeConfig,
  files: readonly string[],
): { readonly cluster: Cluster; readonly namespace: string | undefined } {
  const where = files.join(', ');
  const name = config.getCurrentContext();
  if (!name) throw new Error(`the kubeconfig ${where} has no current-context`);
  const context = config.getContextObject(name);
  if (!context) throw new Error(`the kubeconfig ${where} has no context "${name}", its current-context`);
  const cluster = config.getCluster(context.cluster);
  if (!cluster)
    throw new Error(`the kubeconfig ${where} has no cluster "${context.cluster}", as its context says`);
  if (!config.getUser(context.user))
    throw new Error(`the kubeconfig ${where} has no user "${context.user}", as its context says`);
  return { cluster, namespace: context.namespace || undefined };
}

async function authorize(config: KubeConfig): Promise<RequestOptions> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  // The library makes a new agent each time, which would mean a new connection each time.
  if (!config.getCurrentCluster()?.proxyUrl) delete options.agent;
  return options;
}
