import { randomBytes } from 'node:crypto';
import { onTestFinished as onCurrentTestFinished, type TestContext } from 'vitest';
import { type ProxyOptions, type ProxyProcess, startProxy } from '../../engine/support/proxy.ts';
import { type ServiceFields, writeConfig, writeLabels } from '../../engine/support/test-bed.ts';
import { AdminClient, type KubeObject } from './admin-client.ts';
import { type AuditLog, openAuditLog } from './audit-log.ts';
import { type ControlPlane, findControlPlane } from './control-plane.ts';
import { followObjects, type ObjectFollower, type ObservedChange } from './follow-objects.ts';
import {
  endpointSlicesPath,
  servicesPath,
  toService,
  toWorkload,
  type WorkloadSpec,
  workloadsPath,
} from './manifests.ts';
import { type PodServer, type PodSpec, playPod } from './pods.ts';
import { createIdentity, type ProxyIdentity, type Rights, readExampleRights } from './proxy-identity.ts';

/** It reads the cluster's client library first, which takes a machine that has much to do a while. */
const READY_TIMEOUT_MS = 30_000;

export interface BedProxyOptions extends ProxyOptions {
  /** The `services` of the configuration file; undefined = no file. */
  readonly services?: Readonly<Record<string, ServiceFields>>;
  /** Default: one of its own, with the example's rights. */
  readonly identity?: ProxyIdentity;
}

/** A Deployment or StatefulSet of a test, with its Service. */
export interface TestWorkload {
  readonly name: string;
  read(): Promise<KubeObject>;
  /** As somebody else than the proxy. */
  scale(replicas: number): Promise<void>;
  /** Resolves as soon as its specification says so. */
  untilReplicas(replicas: number, options?: { readonly timeoutMs?: number }): Promise<void>;
  /** How often it was scaled from 0 to more so far, by whomever. */
  countStarts(): Promise<number>;
  /** Removes the workload, not its Service. */
  remove(): Promise<void>;
}

/** Makes a namespace for one test. What runs in it goes when the test has finished, with all else that the bed has made. */
export async function openKubeBed(
  options: { readonly onTestFinished?: TestContext['onTestFinished'] } = {},
): Promise<KubeBed> {
  const { onTestFinished = onCurrentTestFinished } = options;
  const plane = findControlPlane();
  const admin = new AdminClient(plane);
  onTestFinished(() => admin.close());
  const namespace = `lpt-${randomBytes(4).toString('hex')}`;
  await admin.create('/api/v1/namespaces', { metadata: { name: namespace } });
  onTestFinished(() => endWorkloads(admin, namespace));
  return new KubeBed({ plane, admin, namespace, onTestFinished });
}

/**
 * Nothing runs in the namespace any more. It stays until its control plane goes: to remove one, the cluster asks for, and
 * removes, every kind of object that it knows, which keeps a processor busy for a tenth of a second.
 */
async function endWorkloads(admin: AdminClient, namespace: string): Promise<void> {
  for (const resource of ['deployment', 'statefulset'] as const)
    await admin.delete(workloadsPath(namespace, resource));
}

/** One test's namespace, and what it makes beyond it. */
export class KubeBed {
  readonly plane: ControlPlane;
  readonly admin: AdminClient;
  readonly namespace: string;
  readonly endpointSlices: ObjectFollower;
  readonly #followers: Readonly<Record<'deployment' | 'statefulset', ObjectFollower>>;
  readonly #onTestFinished: TestContext['onTestFinished'];
  #lastAddress = 127;
  #proxies = 0;

  constructor(parts: {
    readonly plane: ControlPlane;
    readonly admin: AdminClient;
    readonly namespace: string;
    readonly onTestFinished: TestContext['onTestFinished'];
  }) {
    this.plane = parts.plane;
    this.admin = parts.admin;
    this.namespace = parts.namespace;
    this.#onTestFinished = parts.onTestFinished;
    this.endpointSlices = this.follow(endpointSlicesPath(this.namespace));
    this.#followers = {
      deployment: this.follow(workloadsPath(this.namespace)),
      statefulset: this.follow(workloadsPath(this.namespace, 'statefulset')),
    };
  }

  get deployments(): ObjectFollower {
    return this.#followers.deployment;
  }

  get statefulSets(): ObjectFollower {
    return this.#followers.statefulset;
  }

  /** An address that no other pod of this test has; from .128 up. */
  newPodAddress(): string {
    this.#lastAddress += 1;
    return `${this.plane.podNetwork}.${this.#lastAddress}`;
  }

  async playPod(spec: PodSpec): Promise<PodServer> {
    const pod = await playPod(spec);
    this.#onTestFinished(() => pod.close());
    return pod;
  }

  /** Creates the workload and, where it has ports, its Service. */
  async createWorkload(spec: WorkloadSpec): Promise<TestWorkload> {
    const { admin, namespace } = this;
    const { name, resource = 'deployment' } = spec;
    if (spec.ports !== undefined) await admin.create(servicesPath(namespace), toService(spec));
    await admin.create(workloadsPath(namespace, resource), toWorkload(spec));
    const path = `${workloadsPath(namespace, resource)}/${name}`;
    return wrapWorkload(admin, { name, path, follower: this.#followers[resource] });
  }

  /** Annotations that opt in. */
  annotations(fields: ServiceFields): Record<string, string> {
    return writeLabels('lazy-tcp-proxy', fields);
  }

  /**
   * A ServiceAccount of the namespace.
   * @param options.rights default: the example's.
   * @param options.server where its kubeconfig finds the API server; default: where it is.
   */
  async createIdentity(
    options: { readonly name?: string; readonly rights?: Rights; readonly server?: string } = {},
  ): Promise<ProxyIdentity> {
    const { name = 'proxy', rights = await readExampleRights(), server = this.plane.server } = options;
    const { admin, namespace } = this;
    const identity = await createIdentity(
      { admin, plane: { ...this.plane, server } },
      { namespace, name, rights },
    );
    this.#onTestFinished(() => identity.remove());
    return identity;
  }

  openAuditLog(identity: ProxyIdentity): Promise<AuditLog> {
    return openAuditLog(this.plane, identity.user);
  }

  /** Starts a proxy that serves this namespace, and resolves once it is ready. */
  async startProxy(options: BedProxyOptions = {}): Promise<ProxyProcess> {
    const { services, args = [], env, identity, ...rest } = options;
    this.#proxies += 1;
    const name = `proxy-${this.#proxies}`;
    const { kubeconfig } = identity ?? (await this.createIdentity({ name }));
    const proxy = await startProxy({
      readyTimeoutMs: READY_TIMEOUT_MS,
      ...rest,
      args: ['--backend', 'kubernetes', ...args],
      env: { KUBECONFIG: kubeconfig, K8S_NAMESPACE: this.namespace, ...env },
      ...(services && { config: writeConfig(services) }),
    });
    this.#onTestFinished(async () => void (await proxy.stop()));
    return proxy;
  }

  /** Has something undone when the test has finished, before the bed's own things go. */
  atEnd(undo: () => void | Promise<void>): void {
    this.#onTestFinished(undo);
  }

  /** Follows a collection until the test has finished. */
  follow(path: string): ObjectFollower {
    const follower = followObjects(this.admin, path);
    this.#onTestFinished(() => follower.close());
    return follower;
  }
}

function wrapWorkload(
  admin: AdminClient,
  parts: { readonly name: string; readonly path: string; readonly follower: ObjectFollower },
): TestWorkload {
  const { name, path, follower } = parts;
  return {
    name,
    read: () => admin.get(path),
    scale: async (replicas) => void (await admin.patch(`${path}/scale`, { spec: { replicas } })),
    async untilReplicas(replicas, { timeoutMs = 30_000 } = {}) {
      const what = `${replicas} replicas of ${name}`;
      await follower.until((all) => all.get(name)?.spec.replicas === replicas, { what, timeoutMs });
    },
    async countStarts() {
      const { resourceVersion } = (await admin.get(path)).metadata;
      const isSeen = ({ object }: ObservedChange) => object.metadata.resourceVersion === resourceVersion;
      await follower.until(() => follower.changes.some(isSeen), { what: `version ${resourceVersion}` });
      const versions = follower.changes.filter(({ object }) => object.metadata.name === name);
      const counts = versions.map(({ object }) => object.spec.replicas as number);
      return counts.filter((count, index) => count > 0 && counts[index - 1] === 0).length;
    },
    remove: () => admin.delete(path),
  };
}
