/**
 * One look at a workload. Input: what the API server says of the Deployment or StatefulSet, its Service and that one's
 * EndpointSlices. Output: the observation. Pure.
 *
 *   replicas wanted   pods and endpoints                                   state
 *   -                 there is no such workload                            missing
 *   0                 some are left, or its controller hasn't looked yet   stopping
 *   0                 none; of a Deployment, none that doesn't terminate   stopped
 *   1 and more        none is ready                                        starting
 *   1 and more        one is ready                                         running
 */
import { type EngineState, MISSING, type Observation } from '../../model/running/observation.ts';
import { describeWorkloadRef, type KubernetesWorkload, toWorkloadRef } from '../../model/workload.ts';
import {
  hasPort,
  hasReadyEndpoint,
  mapToName,
  mapToNothing,
  mapToPods,
  type ServicePorts,
} from './service-ports.ts';
import type { ServiceRecord, SliceEndpoint, SliceRecord } from './service-record.ts';
import type { WorkloadRecord } from './workload-record.ts';

export interface WorkloadView {
  readonly workload: KubernetesWorkload;
  readonly record: WorkloadRecord | undefined;
  readonly service: ServiceRecord | undefined;
  /** Those of that Service. */
  readonly slices: readonly SliceRecord[];
  /** For `upstream: service`; for example `cluster.local`. */
  readonly clusterDomain: string;
}

export function observeWorkload(view: WorkloadView): Observation {
  const { workload, record, service } = view;
  if (record === undefined) {
    return { ...MISSING, detail: `${describeWorkloadRef(toWorkloadRef(workload))} does not exist` };
  }
  const problem = findServiceProblem(workload, service);
  const state = problem === undefined ? readState(view, record) : readStateWithoutService(record);
  const { hosts, ports } = locate(view, state);
  const detail = describeState(view, { record, state });
  return {
    state,
    id: `${record.namespace}/${record.name}`,
    ...(record.replicas > 0 && { run: `${record.createdMs ?? 0}-${record.generation}` }),
    hosts,
    ports,
    ...(service === undefined ? {} : { portsOf: describeService(workload) }),
    health: 'none',
    ...(detail === undefined ? {} : { detail }),
    ...(record.graceMs === undefined ? {} : { ownGraceMs: record.graceMs }),
    ...(record.losesVolumes && !workload.allowDataLoss ? { staysAwake: LOSES_VOLUMES } : {}),
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Why a workload must not be put to sleep. */
export const LOSES_VOLUMES =
  'its sleep would delete its volumes (persistentVolumeClaimRetentionPolicy.whenScaled is Delete); ' +
  'set that to Retain, or allow_data_loss: true for the service in the file';

/** What it waits for, as far as its controllers say so; undefined where it answers. */
function describeState(
  view: WorkloadView,
  { record, state }: { readonly record: WorkloadRecord; readonly state: EngineState },
): string | undefined {
  switch (state) {
    case 'stopped':
      return 'scaled to 0';
    case 'stopping':
      return describeStop(view, record);
    case 'starting': {
      const { trouble, replicas, currentReplicas } = record;
      return trouble ?? `no pod is ready, ${currentReplicas} of ${replicas} are there`;
    }
    default:
      return describeMissingPorts(view);
  }
}

function describeStop(view: WorkloadView, record: WorkloadRecord): string {
  const left = listLeft(view, record).flatMap(({ pod }) => pod ?? []);
  if (left.length > 0) return `it waits for the end of pod ${left.join(', ')}`;
  const { isObserved, currentReplicas } = record;
  if (isObserved && currentReplicas > 0)
    return `it waits for the end of its pods, ${currentReplicas} are left`;
  return isObserved
    ? 'an endpoint of its Service is still ready'
    : 'its controller has not scaled it down yet';
}

/** A port may be named that the containers don't have: the pods are ready then, but not for it. */
function describeMissingPorts({ workload, service, slices }: WorkloadView): string | undefined {
  const named = (service?.ports ?? []).filter(({ targetName }) => targetName !== undefined);
  const missing = named.find(({ name, protocol }) => !hasPort(slices, { name, protocol }));
  if (missing === undefined) return undefined;
  return `no ready pod has the port "${missing.targetName}" to which ${describeService(workload)} leads`;
}

/** Why nobody can tell where the workload answers. */
function findServiceProblem(
  workload: KubernetesWorkload,
  service: ServiceRecord | undefined,
): string | undefined {
  if (service === undefined) return `${describeService(workload)} does not exist`;
  if (service.hasSelector) return undefined;
  return `${describeService(workload)} has no selector, so it doesn't say which pods are behind it`;
}

function describeService({ namespace, service }: KubernetesWorkload): string {
  return `Service ${namespace}/${service}`;
}

function readState(view: WorkloadView, record: WorkloadRecord): EngineState {
  if (record.replicas > 0) return hasReadyEndpoint(view.slices) ? 'running' : 'starting';
  const isLeft = listLeft(view, record).length > 0;
  return isLeft || isScalingDown(record) ? 'stopping' : 'stopped';
}

/** The endpoints that stand in the way of the next run. */
function listLeft({ workload, slices }: WorkloadView, record: WorkloadRecord): readonly SliceEndpoint[] {
  return slices.flatMap(({ endpoints }) =>
    endpoints.filter((endpoint) => isOfThisRun(endpoint, { workload, record })),
  );
}

/**
 * Whether an endpoint stands in the way of the next run. The new pods of a Deployment don't wait for those that
 * terminate, which may never end: on a lost node, or by a finalizer. No client goes to one, unless the Service's own
 * name is connected to: the cluster sends it to pods that terminate, as long as they serve and no other is ready.
 */
function isOfThisRun(
  { pod, isReady, isTerminating, isServing }: SliceEndpoint,
  { workload, record }: { readonly workload: KubernetesWorkload; readonly record: WorkloadRecord },
): boolean {
  if (pod === undefined) return isReady;
  if (!mayBePodOf(record, pod)) return false;
  if (!isTerminating || record.resource === 'statefulset') return true;
  return workload.upstream === 'service' && isServing;
}

/** The workload's own count of ready pods stands in for the endpoints that aren't there. */
function readStateWithoutService(record: WorkloadRecord): EngineState {
  if (record.replicas > 0) return record.readyReplicas > 0 ? 'running' : 'starting';
  return isScalingDown(record) ? 'stopping' : 'stopped';
}

function isScalingDown({ isObserved, currentReplicas }: WorkloadRecord): boolean {
  return !isObserved || currentReplicas > 0;
}

/**
 * Whether a pod may belong to a workload, by its name. One Service may select the pods of several workloads, such as a
 * canary's: those stay when this one sleeps, and must not keep it `stopping` for ever.
 */
function mayBePodOf({ resource, name }: WorkloadRecord, pod: string): boolean {
  if (resource === 'statefulset')
    return pod.startsWith(`${name}-`) && /^\d+$/.test(pod.slice(name.length + 1));
  // The names of pods are cut to 63 characters, five of which are drawn by lot.
  if (name.length > MAX_UNCUT_NAME) return pod.startsWith(name.slice(0, MAX_UNCUT_NAME));
  return pod.startsWith(`${name}-`) && /^[^-]+-[^-]+$/.test(pod.slice(name.length + 1));
}

/** 63 less the lots of the pod, its ReplicaSet's hash of up to ten characters, and two hyphens. */
const MAX_UNCUT_NAME = 46;

function locate(view: WorkloadView, state: EngineState): ServicePorts {
  const { workload, service, slices, clusterDomain } = view;
  if (service === undefined) return { hosts: [], ports: {} };
  if (state !== 'running' || !service.hasSelector) return mapToNothing(service);
  if (workload.upstream === 'endpoints') return mapToPods(service, slices);
  return mapToName(service, `${workload.service}.${workload.namespace}.svc.${clusterDomain}`);
}
