import { onTestFinished } from 'vitest';
import {
  createKubernetesBackend,
  type KubernetesBackend,
  type KubernetesBackendOptions,
} from '../../../src/backends/kubernetes/kubernetes-backend.ts';
import { type KubernetesWorkload, workloadKey } from '../../../src/model/workload.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { ScriptedKubeApi } from '../../support/scripted-kube/scripted-kube-api.ts';
import { ClusterSink } from './cluster-sink.ts';

export const DB: KubernetesWorkload = {
  kind: 'kubernetes',
  resource: 'deployment',
  namespace: 'shop',
  name: 'db',
  service: 'db',
  upstream: 'endpoints',
};
export const KEY = workloadKey(DB);
export const ENABLED = { 'lazy-tcp-proxy.enabled': 'true' };
export const REPLICAS = 'lazy-tcp-proxy.replicas';

/** Requests that change the number of replicas of `shop/db`, and all that change it itself. */
export const SCALE = /^PATCH \/apis\/apps\/v1\/namespaces\/shop\/deployments\/db\/scale\?/;
export const PATCH = /^PATCH \/apis\/apps\//;
/** Everything but what the replicas of the proxy tell each other. */
export const CALLS = /^(?!\S+ \/apis\/coordination\.k8s\.io\/)/;

export interface Bench {
  readonly api: ScriptedKubeApi;
  readonly backend: KubernetesBackend;
  readonly sink: ClusterSink;
  readonly logger: ReturnType<typeof createRecordingLogger>;
}

/** A whole cluster, discovered by label and by annotation. */
export const OPTIONS = {
  ...{ env: {}, clock: systemClock, logger: silentLogger },
  ...{ namespaces: [], discover: 'all', labels: true, labelPrefixes: ['lazy-tcp-proxy'] },
  ...{ clusterDomain: 'cluster.local', leaseDurationMs: 15_000, leaseNamespace: 'proxy' },
} as const satisfies KubernetesBackendOptions;

/** An API server, a backend that isn't opened yet, and a sink; all are closed when the test ends. */
export async function setUp(options: Partial<KubernetesBackendOptions> = {}): Promise<Bench> {
  const api = await ScriptedKubeApi.start();
  const logger = createRecordingLogger();
  const { access } = api;
  const backend = createKubernetesBackend({ ...OPTIONS, access, logger, identity: 'a', ...options });
  onTestFinished(async () => {
    await backend.close();
    await api.close();
  });
  return { api, backend, sink: new ClusterSink(), logger };
}

/** The same, with `shop/db` there and watched, the backend open, and this proxy the one that puts to sleep. */
export async function setUpOpen(
  app: AppOptions,
  options: Partial<KubernetesBackendOptions> = {},
): Promise<Bench> {
  const bench = await setUp(options);
  const { api, backend, sink } = bench;
  createApp(api, app);
  backend.watch(DB);
  await backend.open(sink);
  await sink.until(() => sink.views.at(-1)?.isSleeper === true);
  return bench;
}

export interface AppOptions {
  readonly replicas: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly resource?: 'deployments' | 'statefulsets';
  /** Default: `db`. */
  readonly name?: string;
}

/** A workload at rest, with its Service; with replicas it has one pod, which is ready. */
export function createApp(api: ScriptedKubeApi, options: AppOptions): void {
  const { replicas, annotations = {}, labels = {}, resource = 'deployments', name = 'db' } = options;
  api.put(resource, { metadata: { namespace: 'shop', name, labels, annotations }, spec: { replicas } });
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 }];
  api.put('services', { metadata: { namespace: 'shop', name }, spec: { selector: { app: name }, ports } });
  setPods(api, { name, resource, pods: replicas > 0 ? ['ready'] : [] });
}

/** What its controllers make of a workload: whether they have seen it, and the pods that there are. */
export function setPods(
  api: ScriptedKubeApi,
  options: {
    readonly pods: readonly ('ready' | 'unready')[];
    readonly name?: string;
    readonly resource?: 'deployments' | 'statefulsets';
    /** Default: the pods that are wanted. */
    readonly currentReplicas?: number;
  },
): void {
  const { pods, name = 'db', resource = 'deployments' } = options;
  setEndpoints(api, { name, pods });
  api.change(resource, `shop/${name}`, (object) => {
    object.status = {
      observedGeneration: object.metadata.generation,
      replicas: options.currentReplicas ?? object.spec.replicas,
      readyReplicas: pods.filter((pod) => pod === 'ready').length,
    };
  });
}

/** The EndpointSlice alone; `undefined` pods: `endpoints: null`, as the API server has it where there are none. */
export function setEndpoints(
  api: ScriptedKubeApi,
  { name = 'db', pods }: { readonly name?: string; readonly pods: readonly ('ready' | 'unready')[] },
): void {
  const endpoints = pods.map((pod, index) => ({
    addresses: [`10.0.0.${index + 1}`],
    conditions: { ready: pod === 'ready', serving: true, terminating: pod !== 'ready' },
  }));
  api.put('endpointslices', {
    metadata: {
      namespace: 'shop',
      name: `${name}-1`,
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints: endpoints.length === 0 ? null : endpoints,
  });
}

/** How many replicas of `shop/db` the API server wants. */
export function wanted(api: ScriptedKubeApi): number {
  return api.get('deployments', 'shop/db')?.spec.replicas;
}

export function within(ms: number): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(ms) };
}

export const POLITELY = { graceMs: undefined, evenInUse: false } as const;
