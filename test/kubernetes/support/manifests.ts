/** The objects that tests create, in the API's own form. */
import type { KubernetesResource } from '../../../src/model/workload.ts';
import type { KubeObject } from './admin-client.ts';

export interface ServicePort {
  /** Default: none, which only a single port may have. */
  readonly name?: string;
  /** The Service's own. */
  readonly port: number;
  /** The pods'; default: the same. */
  readonly targetPort?: number;
  /** Default: TCP. */
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
}

export interface WorkloadSpec {
  readonly name: string;
  /** Default: deployment. */
  readonly resource?: KubernetesResource;
  /** Default: 0. */
  readonly replicas?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** From a pod's start to its readiness, as Go writes durations; default `0.2s`. */
  readonly readyAfter?: string;
  /** From a pod's deletion to its end; default `0.2s`. */
  readonly deleteAfter?: string;
  /** The same for all its pods; default: one for each out of .1 to .127. */
  readonly podAddress?: string;
  /** Of its Service; none = there is no Service. */
  readonly ports?: readonly ServicePort[];
  /** The Service's name; default: the workload's. */
  readonly service?: string;
}

const PLURALS: Readonly<Record<KubernetesResource, string>> = {
  deployment: 'deployments',
  statefulset: 'statefulsets',
};

/** The path of all workloads of one kind. */
export function workloadsPath(namespace: string, resource: KubernetesResource = 'deployment'): string {
  return `/apis/apps/v1/namespaces/${namespace}/${PLURALS[resource]}`;
}

export function servicesPath(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/services`;
}

export function endpointSlicesPath(namespace: string): string {
  return `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
}

export function toWorkload(spec: WorkloadSpec): KubeObject {
  const { name, resource = 'deployment', replicas = 0, labels = {}, annotations = {} } = spec;
  const { readyAfter = '0.2s', deleteAfter = '0.2s', podAddress } = spec;
  const isSet = resource === 'statefulset';
  return {
    apiVersion: 'apps/v1',
    kind: isSet ? 'StatefulSet' : 'Deployment',
    metadata: { name, labels, annotations },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      ...(isSet && { serviceName: spec.service ?? name, podManagementPolicy: 'Parallel' }),
      template: {
        metadata: {
          labels: { app: name },
          annotations: {
            'ready-after': readyAfter,
            'delete-after': deleteAfter,
            ...(podAddress && { 'pod-ip': podAddress }),
          },
        },
        spec: { containers: [{ name: 'app', image: 'app' }] },
      },
    },
  };
}

export function toService({ name, service = name, ports = [] }: WorkloadSpec): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: service },
    spec: {
      selector: { app: name },
      ports: ports.map(({ port, targetPort = port, protocol = 'TCP', name: portName }) => ({
        ...{ port, targetPort, protocol },
        ...(portName && { name: portName }),
      })),
    },
  };
}
