import { type LabelPrefixes, recallReplicas, rememberReplicas } from '../../model/label-names.ts';
import type { ServiceSpec } from './swarm-shapes.ts';

/** How a service is scaled. */
export type ServiceMode =
  | { readonly kind: 'replicated'; readonly replicas: number }
  | { readonly kind: 'unscalable'; readonly problem: string };

export function readMode({ Mode: mode = {} }: ServiceSpec): ServiceMode {
  if (mode.Replicated) return { kind: 'replicated', replicas: mode.Replicated.Replicas ?? 1 };
  const name = mode.Global ? 'global' : 'a job';
  return { kind: 'unscalable', problem: `only replicated services can be scaled, and this one is ${name}` };
}

/**
 * The spec of a service that is to run; undefined where it is to already.
 * @param options.scale how many replicas it is to have; undefined: as many as are remembered.
 */
export function toAwakeSpec(
  spec: ServiceSpec,
  { prefixes, scale }: { readonly prefixes: LabelPrefixes; readonly scale: number | undefined },
): ServiceSpec | undefined {
  const mode = readMode(spec);
  if (mode.kind === 'unscalable' || mode.replicas > 0) return undefined;
  return withReplicas(spec, scale ?? recallReplicas(spec.Labels ?? {}, prefixes));
}

/** The same spec for a new run: all tasks are made anew, and can be told from those of the run before. */
export function toNextRun(spec: ServiceSpec): ServiceSpec {
  const { TaskTemplate: template } = spec;
  return { ...spec, TaskTemplate: { ...template, ForceUpdate: (template?.ForceUpdate ?? 0) + 1 } };
}

/** The spec of a service that is to sleep, with its replicas remembered in labels; undefined where it is to already. */
export function toAsleepSpec(spec: ServiceSpec, prefixes: LabelPrefixes): ServiceSpec | undefined {
  const mode = readMode(spec);
  if (mode.kind === 'unscalable' || mode.replicas === 0) return undefined;
  const before = spec.Labels ?? {};
  const labels = { ...before, ...rememberReplicas(before, { replicas: mode.replicas, prefixes }) };
  return { ...withReplicas(spec, 0), Labels: labels };
}

/** Nothing else changes: another field that did would replace the tasks. */
function withReplicas(spec: ServiceSpec, replicas: number): ServiceSpec {
  return { ...spec, Mode: { ...spec.Mode, Replicated: { ...spec.Mode?.Replicated, Replicas: replicas } } };
}
