import { findCycles } from '../config/cycles.ts';
import type { Problem } from '../model/problem.ts';
import type { TableEntry } from '../model/table.ts';
import { workloadName } from '../model/workload.ts';

/**
 * Makes dependants name services wherever they name a service or the container of one, each once; other names mean
 * unmanaged containers and stay. A link that closes a cycle is left out and reported.
 */
export function linkDependants(entries: readonly TableEntry[]): {
  readonly entries: readonly TableEntry[];
  readonly problems: readonly Problem[];
} {
  const names = new Set(entries.map(({ service }) => service.name));
  const byContainer = new Map(entries.map(({ service }) => [workloadName(service.workload), service.name]));
  const resolve = (name: string) => (names.has(name) ? name : (byContainer.get(name) ?? name));
  const edges = new Map(
    entries.map(({ service }) => [service.name, [...new Set(service.dependants.map(resolve))]] as const),
  );
  const cycles = findCycles(edges);
  const dropped = new Map<string, Set<string>>();
  for (const { from, to } of cycles) dropped.set(from, (dropped.get(from) ?? new Set()).add(to));
  const linked = entries.map((entry) => {
    const { name } = entry.service;
    const dependants = (edges.get(name) ?? []).filter((to) => dropped.get(name)?.has(to) !== true);
    return { ...entry, service: { ...entry.service, dependants } };
  });
  const origins = new Map(entries.map(({ service, origins }) => [service.name, origins['dependants']]));
  const problems = cycles.map(({ from, to, path }): Problem => {
    const message = `dependants: ${path.join(' → ')} is a cycle; the link from "${from}" to "${to}" is left out`;
    return {
      code: 'dependency-cycle',
      severity: 'error',
      message,
      origin: origins.get(from) ?? { kind: 'default' },
    };
  });
  return { entries: linked, problems };
}
