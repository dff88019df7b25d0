import { findCycles } from '../config/cycles.ts';
import {
  canBeWorkload,
  createDependantResolver,
  describeUnmanaged,
  qualifyDependant,
} from '../config/resolve-dependant.ts';
import type { Problem } from '../model/problem.ts';
import type { TableEntry } from '../model/table.ts';
import { toWorkloadRef, type WorkloadRef } from '../model/workload.ts';

/**
 * Makes dependants name services wherever they name a service or the workload of one, each once; other names mean
 * workloads without a service, of the hub's engine, in Kubernetes as `namespace/name`. A link that closes a cycle, and a
 * name that the engine can't have, is left out and reported.
 */
export function linkDependants(entries: readonly TableEntry[]): {
  readonly entries: readonly TableEntry[];
  readonly problems: readonly Problem[];
} {
  if (entries.every(({ service }) => service.dependants.length === 0)) return { entries, problems: [] };
  const hubs = entries.map((entry) => ({
    name: entry.service.name,
    ref: toWorkloadRef(entry.service.workload),
    dependants: entry.service.dependants,
    origin: entry.origins['dependants'] ?? ({ kind: 'default' } as const),
  }));
  const resolve = createDependantResolver(hubs);
  const problems: Problem[] = [];
  const edges = new Map<string, readonly string[]>();
  for (const { name, ref, dependants, origin } of hubs) {
    const linked = dependants.map((text) => resolve(text, ref) ?? qualifyDependant(text, ref));
    const unfit = new Set(
      linked.filter((text) => resolve(text, ref) === undefined && !canBeWorkload(text, ref)),
    );
    edges.set(name, [...new Set(linked.filter((text) => !unfit.has(text)))]);
    for (const text of unfit) problems.push(describeUnfit(text, { ref, origin }));
  }
  const cycles = findCycles(edges);
  const dropped = new Map<string, Set<string>>();
  for (const { from, to } of cycles) dropped.set(from, (dropped.get(from) ?? new Set()).add(to));
  const linked = entries.map((entry) => {
    const { name } = entry.service;
    const dependants = (edges.get(name) ?? []).filter((to) => dropped.get(name)?.has(to) !== true);
    return { ...entry, service: { ...entry.service, dependants } };
  });
  const origins = new Map(hubs.map(({ name, origin }) => [name, origin]));
  for (const { from, to, path } of cycles) {
    const message = `dependants: ${path.join(' → ')} is a cycle; the link from "${from}" to "${to}" is left out`;
    const origin = origins.get(from) ?? { kind: 'default' };
    problems.push({ code: 'dependency-cycle', severity: 'error', message, origin });
  }
  return { entries: linked, problems };
}

function describeUnfit(
  name: string,
  { ref, origin }: { readonly ref: WorkloadRef; readonly origin: Problem['origin'] },
): Problem {
  const message = `dependants: "${name}" is no service, and can't be the name of ${describeUnmanaged(ref)}; it is left out`;
  return { code: 'unknown-dependant', severity: 'error', message, origin };
}
