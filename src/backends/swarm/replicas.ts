import type { ServiceSpec } from './swarm-shapes.ts';

/** How a service is scaled. */
export type ServiceMode =
  | { readonly kind: 'replicated'; readonly replicas: number }
  | { readonly kind: 'unscalable'; readonly problem: string };

/** The label in which the number of replicas is kept while a service sleeps. */
export function replicasLabel(labelPrefix: string): string {
  return `${labelPrefix}.replicas`;
}

export function readMode({ Mode: mode = {} }: ServiceSpec): ServiceMode {
  if (mode.Replicated) return { kind: 'replicated', replicas: mode.Replicated.Replicas ?? 1 };
  const name = mode.Global ? 'global' : 'a job';
  return { kind: 'unscalable', problem: `only replicated services can be scaled, and this one is ${name}` };
}

/** The spec of a service that is to run; undefined where it is to already. */
export function toAwakeSpec(spec: ServiceSpec, labelPrefix: string): ServiceSpec | undefined {
  const mode = readMode(spec);
  if (mode.kind === 'unscalable' || mode.replicas > 0) return undefined;
  const remembered = Number(spec.Labels?.[replicasLabel(labelPrefix)] ?? '');
  const replicas = Number.isSafeInteger(remembered) && remembered > 0 ? remembered : 1;
  return withReplicas(spec, replicas);
}

/** The same spec for a new run: all tasks are made anew, and can be told from those of the run before. */
export function toNextRun(spec: ServiceSpec): ServiceSpec {
  const { TaskTemplate: template } = spec;
  return { ...spec, TaskTemplate: { ...template, ForceUpdate: (template?.ForceUpdate ?? 0) + 1 } };
}

/** The spec of a service that is to sleep, with the number of replicas remembered; undefined where it is to already. */
export function toAsleepSpec(spec: ServiceSpec, labelPrefix: string): ServiceSpec | undefined {
  const mode = readMode(spec);
  if (mode.kind === 'unscalable' || mode.replicas === 0) return undefined;
  const labels = { ...spec.Labels, [replicasLabel(labelPrefix)]: String(mode.replicas) };
  return { ...withReplicas(spec, 0), Labels: labels };
}

/** Nothing else changes: another field that did would replace the tasks. */
function withReplicas(spec: ServiceSpec, replicas: number): ServiceSpec {
  return { ...spec, Mode: { ...spec.Mode, Replicated: { ...spec.Mode?.Replicated, Replicas: replicas } } };
}
