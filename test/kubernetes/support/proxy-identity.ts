/** Who a proxy is to the API server: a ServiceAccount with the rights that the example gives it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import type { AdminClient, KubeObject } from './admin-client.ts';
import type { ControlPlane } from './control-plane.ts';

const EXAMPLE = path.resolve(import.meta.dirname, '../../../examples/kubernetes');
const RBAC = 'rbac.authorization.k8s.io';
const TOKEN_SECONDS = 3_600;

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** What a proxy may do: in every namespace, and in its own. */
export interface Rights {
  readonly cluster: readonly Rule[];
  readonly own: readonly Rule[];
}

export interface ProxyIdentity {
  /** As the API server knows it. */
  readonly user: string;
  /** A kubeconfig with its token; its namespace is the proxy's own. */
  readonly kubeconfig: string;
  remove(): Promise<void>;
}

/** The rights that the example's manifests give. */
export async function readExampleRights(): Promise<Rights> {
  const rulesOf = async (file: string) =>
    (parse(await readFile(path.join(EXAMPLE, file), 'utf8')) as { readonly rules: readonly Rule[] }).rules;
  return { cluster: await rulesOf('cluster-role.yaml'), own: await rulesOf('role.yaml') };
}

/** Creates a ServiceAccount in `namespace` with these rights, and a kubeconfig for it; the caller removes it. */
export async function createIdentity(
  parts: { readonly plane: ControlPlane; readonly admin: AdminClient },
  options: { readonly namespace: string; readonly name: string; readonly rights: Rights },
): Promise<ProxyIdentity> {
  const { admin, plane } = parts;
  const { namespace, name, rights } = options;
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await admin.create(accounts, { metadata: { name } });
  const clusterName = `${namespace}-${name}`;
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  await grant(admin, {
    base: `/apis/${RBAC}/v1`,
    kind: 'ClusterRole',
    name: clusterName,
    rules: rights.cluster,
    subjects,
  });
  await grant(admin, {
    base: `/apis/${RBAC}/v1/namespaces/${namespace}`,
    kind: 'Role',
    name,
    rules: rights.own,
    subjects,
  });
  const { status } = await admin.create(`${accounts}/${name}/token`, {
    spec: { expirationSeconds: TOKEN_SECONDS },
  });
  const folder = await mkdtemp(path.join(tmpdir(), 'lpt-kubeconfig-'));
  const kubeconfig = path.join(folder, 'kubeconfig');
  await writeFile(kubeconfig, writeKubeconfig(plane, { namespace, token: status.token }));
  return {
    user: `system:serviceaccount:${namespace}:${name}`,
    kubeconfig,
    async remove() {
      await rm(folder, { recursive: true, force: true });
      await admin.delete(`/apis/${RBAC}/v1/clusterrolebindings/${clusterName}`);
      await admin.delete(`/apis/${RBAC}/v1/clusterroles/${clusterName}`);
    },
  };
}

/** A kubeconfig, which may be JSON. */
export function writeKubeconfig(
  { server, ca }: Pick<ControlPlane, 'server' | 'ca'>,
  { namespace, token }: { readonly namespace: string; readonly token: string },
): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      { name: 'test', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
  });
}

async function grant(
  admin: AdminClient,
  role: {
    readonly base: string;
    readonly kind: 'Role' | 'ClusterRole';
    readonly name: string;
    readonly rules: readonly Rule[];
    readonly subjects: readonly KubeObject[];
  },
): Promise<void> {
  const { base, kind, name, rules, subjects } = role;
  const plural = `${kind.toLowerCase()}s`;
  const metadata = { name };
  const roleRef = { apiGroup: RBAC, kind, name };
  await admin.create(`${base}/${plural}`, { metadata, rules });
  await admin.create(`${base}/${kind.toLowerCase()}bindings`, { metadata, roleRef, subjects });
}
