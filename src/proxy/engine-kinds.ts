import type { Settings } from '../model/settings.ts';
import type { ServiceTable } from '../model/table.ts';
import type { WorkloadKind } from '../model/workload.ts';

/** The kinds of workloads that an engine runs; the proxy itself runs processes. */
export type EngineKind = Exclude<WorkloadKind, 'process'>;

/** What messages call them. */
export const ENGINE_NAMES: Readonly<Record<EngineKind, string>> = {
  docker: 'the Docker engine',
  swarm: 'Docker Swarm',
  kubernetes: 'the Kubernetes API server',
};

/** Whose labels count: those of the backend that the settings name. */
export function labelOptionsOf(
  kind: EngineKind,
  { backend, docker, kubernetes }: Settings,
): { readonly labels: boolean; readonly labelPrefix: string; readonly imageLabels?: boolean } {
  const isInForce = backend === (kind === 'kubernetes' ? 'kubernetes' : 'docker');
  const { labels, labelPrefix } = kind === 'kubernetes' ? kubernetes : docker;
  const own = { labels: labels && isInForce, labelPrefix };
  return kind === 'docker' ? { ...own, imageLabels: docker.imageLabels } : own;
}

/** The engines that have to be asked: whose labels count, and whose workloads the table has. */
export function findNeededEngines(settings: Settings, table: ServiceTable): readonly EngineKind[] {
  const kinds = new Set([...table.entries.values()].map(({ service }) => service.workload.kind));
  return (['docker', 'swarm', 'kubernetes'] as const).filter(
    (kind) => kinds.has(kind) || labelOptionsOf(kind, settings).labels,
  );
}
