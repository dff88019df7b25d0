import { findCycles } from '../config/rules/dependants.ts';
import {
  canBeWorkload,
  createDependantResolver,
  createMainNames,
  describeUnmanaged,
  qualifyDependant,
} from '../config/rules/dependants.ts';
import { optInLabelBeside } from '../model/label-names.ts';
import type { Origin } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import type { Service } from '../model/service.ts';
import type { TableEntry } from '../model/table.ts';
import {
  describeWorkloadRef,
  toWorkloadRef,
  unmanagedRef,
  type WorkloadRef,
  workloadRefKey,
} from '../model/workload.ts';

interface Hub {
  readonly name: string;
  readonly ref: WorkloadRef;
  readonly dependants: readonly string[];
  readonly dependantsBy: Service['dependantsBy'];
  readonly origin: Origin;
}

/**
 * Replaces the names of dependants by the names of the services that they mean, each once. A name that means no service
 * stands for a workload of the hub's engine, in Kubernetes as `namespace/name`. Some links are left out and reported: one
 * that closes a cycle, a name that the engine can't have, the workload that the proxy itself runs in, and, if labels name
 * the dependants, a workload that has not opted in to that.
 * @param options.own the workloads that the proxy itself runs in.
 */
export function linkDependants(
  entries: readonly TableEntry[],
  { own }: { readonly own: readonly WorkloadRef[] },
): {
  readonly entries: readonly TableEntry[];
  readonly problems: readonly Problem[];
} {
  if (entries.every(({ service }) => service.dependants.length === 0)) return { entries, problems: [] };
  const services = new Map(entries.map(({ service }) => [service.name, service]));
  const hubs = entries.map(({ service, origins }): Hub => {
    const { name, workload, dependants, dependantsBy } = service;
    const origin = origins['dependants'] ?? ({ kind: 'default' } as const);
    return { name, ref: toWorkloadRef(workload), dependants, dependantsBy, origin };
  });
  const resolve = createDependantResolver(hubs);
  const ownKeys = new Set(own.map(workloadRefKey));
  const problems: Problem[] = [];
  const edges = new Map<string, readonly string[]>();
  for (const hub of hubs) {
    const { name, ref, dependants } = hub;
    const kept = new Set<string>();
    const refused = new Set<string>();
    for (const text of dependants) {
      const meant = resolve(text, ref);
      const to = meant ?? qualifyDependant(text, ref);
      if (kept.has(to) || refused.has(to)) continue;
      const service = meant === undefined ? undefined : services.get(meant);
      const problem = findRefusal(to, { hub, service, ownKeys });
      (problem === undefined ? kept : refused).add(to);
      if (problem !== undefined) problems.push(problem);
    }
    edges.set(name, [...kept]);
  }
  // Services of one workload are one in this: what one of them needs, all need.
  const mainOf = createMainNames(hubs);
  const sharers = new Map<string, Hub[]>();
  for (const hub of hubs) {
    const main = mainOf(hub.name);
    const others = sharers.get(main);
    if (others === undefined) sharers.set(main, [hub]);
    else others.push(hub);
  }
  const linksOf = ({ name }: Hub) => (edges.get(name) ?? []).map(mainOf);
  const links = new Map([...sharers].map(([main, all]) => [main, [...new Set(all.flatMap(linksOf))]]));
  const cycles = findCycles(links);
  const dropped = new Map<string, Set<string>>();
  for (const { from, to } of cycles) dropped.set(from, (dropped.get(from) ?? new Set()).add(to));
  const linked = entries.map((entry) => {
    const { name } = entry.service;
    const dependants = (edges.get(name) ?? []).filter(
      (to) => dropped.get(mainOf(name))?.has(mainOf(to)) !== true,
    );
    return { ...entry, service: { ...entry.service, dependants } };
  });
  for (const { from, to, path } of cycles) {
    const message = `dependants: ${path.join(' → ')} is a cycle; the link from "${from}" to "${to}" is left out`;
    const writer = sharers.get(from)?.find((hub) => linksOf(hub).includes(to));
    const origin = writer?.origin ?? { kind: 'default' };
    problems.push({ code: 'dependency-cycle', severity: 'error', message, origin });
  }
  return { entries: linked, problems };
}

/** Says why a hub can't have a dependant; undefined = it can. */
function findRefusal(
  name: string,
  {
    hub: { ref, origin, dependantsBy },
    service,
    ownKeys,
  }: {
    readonly hub: Hub;
    /** Undefined where no service is meant. */
    readonly service: Service | undefined;
    readonly ownKeys: ReadonlySet<string>;
  },
): Problem | undefined {
  if (service === undefined && !canBeWorkload(name, ref)) {
    const message = `dependants: "${name}" is no service, and can't be the name of ${describeUnmanaged(ref)}; it is left out`;
    return { code: 'unknown-dependant', severity: 'error', message, origin };
  }
  const meant = service === undefined ? unmanagedRef(name, ref) : toWorkloadRef(service.workload);
  if (ownKeys.has(workloadRefKey(meant))) {
    const message = `dependants: the proxy itself runs in ${describeWorkloadRef(meant)}; it is left out`;
    return { code: 'own-container', severity: 'error', message, origin };
  }
  if (dependantsBy === 'file' || service?.dependantOfLabels === true) return undefined;
  const message =
    service?.isOfFile === true
      ? `dependants: service "${name}" of the file isn't open to hubs by label; write dependant_of_labels: true there if it is to be`
      : `dependants: "${name}" does not exist or has not opted in, so a hub by label can't reach it; give it ${describeOptIn(origin)}, or name the dependants in the file`;
  return { code: 'refused-dependant', severity: 'warning', message, origin };
}

/** The label beside the one that names the dependants. */
function describeOptIn(origin: Origin): string {
  if (origin.kind !== 'label') return 'the label that opts in';
  const noun = origin.workload.kind === 'kubernetes' ? 'annotation' : 'label';
  return `the ${noun} ${optInLabelBeside(origin.label)}=true`;
}
