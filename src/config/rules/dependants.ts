import {
  compareServiceNames,
  type WorkloadRef,
  workloadRefKey,
  workloadRefName,
} from '../../model/workload.ts';
import { isKubernetesWorkload } from '../values/kubernetes-names.ts';
import { isName } from '../values/text.ts';

/** A service and what it stands for. */
export interface NamedWorkload {
  readonly name: string;
  readonly ref: WorkloadRef;
}

/** Finds the service that a hub means by a name; undefined = the name means a workload that no service stands for. */
export type ResolveDependant = (name: string, hub: WorkloadRef) => string | undefined;

/**
 * Makes a resolver of dependants' names. A name means the service of that name, if there is one. Else it means the service
 * whose workload has that name: for a hub of Kubernetes a workload in the hub's namespace, or that of `namespace/name`;
 * for any other hub a workload of the hub's own kind before one of another kind. If several fit, the first by key counts.
 */
export function createDependantResolver(services: readonly NamedWorkload[]): ResolveDependant {
  const names = new Set(services.map(({ name }) => name));
  const byKindAndName = new FirstByKey();
  const byName = new FirstByKey();
  for (const service of services) {
    const workloadName = workloadRefName(service.ref);
    byKindAndName.add(`${service.ref.kind} ${workloadName}`, service);
    byName.add(workloadName, service);
  }
  return (name, hub) => {
    if (names.has(name)) return name;
    const wanted = qualifyDependant(name, hub);
    const ofOwnKind = byKindAndName.find(`${hub.kind} ${wanted}`);
    return hub.kind === 'kubernetes' ? ofOwnKind : (ofOwnKind ?? byName.find(wanted));
  };
}

/** Whether the engine of a hub can have a workload of this name, as `qualifyDependant()` gives it. */
export function canBeWorkload(name: string, hub: WorkloadRef): boolean {
  return hub.kind === 'kubernetes' ? isKubernetesWorkload(name) : isName(name);
}

/** For messages: the kind of workload that a name means if no service has it. */
export function describeUnmanaged(hub: WorkloadRef): string {
  switch (hub.kind) {
    case 'kubernetes':
      return 'a Deployment';
    case 'swarm':
      return 'a Swarm service';
    case 'docker':
    case 'process':
      return 'a container';
  }
}

/** Whether a workload can run to its end, and tell how it went. */
export function canComplete({ kind }: WorkloadRef): boolean {
  return kind === 'docker' || kind === 'process';
}

/** Why a dependency can't be `completed`, in words. */
export function explainEndless(name: string): string {
  return `"${name}" is no container and no process, so it has no exit status and is never completed; write healthy or started`;
}

/** A dependant's name as the engine of its hub knows it: in Kubernetes `namespace/name`. */
export function qualifyDependant(name: string, hub: WorkloadRef): string {
  return hub.kind === 'kubernetes' && !name.includes('/') ? `${hub.namespace}/${name}` : name;
}

/** By the name of each service, that of its workload's main service, which stands for the workload; any other name stands for itself. */
export function createMainNames(services: readonly NamedWorkload[]): (name: string) => string {
  const mains = new Map<string, string>();
  for (const { name, ref } of services) {
    const key = workloadRefKey(ref);
    const before = mains.get(key);
    if (before === undefined || compareServiceNames(ref)(name, before) < 0) mains.set(key, name);
  }
  const byName = new Map(services.map(({ name, ref }) => [name, mains.get(workloadRefKey(ref)) ?? name]));
  return (name) => byName.get(name) ?? name;
}

/** A cycle of links, and the first link of those that close it. */
export interface LinkCycle<L> extends Cycle {
  readonly link: L;
}

/**
 * Finds the links without which there is no cycle, and leaves the rest. Services of one workload are one in this: what one of them
 * needs, all need. So the names of a cycle are those of main services.
 */
export function cutCycles<L extends { readonly from: string; readonly to: string }>(
  links: readonly L[],
  services: readonly NamedWorkload[],
): { readonly cycles: readonly LinkCycle<L>[]; readonly rest: ReadonlySet<L> } {
  const mainOf = createMainNames(services);
  const edges = new Map<string, Map<string, L[]>>(services.map(({ name }) => [mainOf(name), new Map()]));
  for (const link of links) {
    const [from, to] = [mainOf(link.from), mainOf(link.to)];
    const targets = edges.get(from) ?? new Map<string, L[]>();
    edges.set(from, targets);
    const known = targets.get(to);
    if (known === undefined) targets.set(to, [link]);
    else known.push(link);
  }
  const rest = new Set(links);
  const names = new Map([...edges].map(([from, targets]) => [from, [...targets.keys()]]));
  const cycles = findCycles(names).flatMap((cycle) => {
    const closing = edges.get(cycle.from)?.get(cycle.to) ?? [];
    for (const link of closing) rest.delete(link);
    return closing.slice(0, 1).map((link) => ({ ...cycle, link }));
  });
  return { cycles, rest };
}

/** Keeps one service for each name: the one whose workload's key comes first. */
class FirstByKey {
  readonly #found = new Map<string, NamedWorkload>();

  add(name: string, service: NamedWorkload): void {
    const before = this.#found.get(name);
    if (before === undefined || workloadRefKey(service.ref) < workloadRefKey(before.ref)) {
      this.#found.set(name, service);
    }
  }

  find(name: string): string | undefined {
    return this.#found.get(name)?.name;
  }
}

/** An edge that closes a cycle, and the cycle from its start back to it. */
export interface Cycle {
  readonly from: string;
  readonly to: string;
  /** The names along the cycle, the first one again at the end; of a long one, the first few and the last. */
  readonly path: readonly string[];
}

/** A message shows at most so many names of a cycle. */
const MAX_PATH = 20;

/**
 * The edges without which the graph has no cycle, found depth first in the order of the map; names without edges may be
 * absent from it. Linear, and not recursive: a chain of ten thousand services must not overflow the stack.
 */
export function findCycles(edges: ReadonlyMap<string, readonly string[]>): readonly Cycle[] {
  const cycles: Cycle[] = [];
  const done = new Set<string>();
  for (const start of edges.keys()) {
    if (!done.has(start)) visitFrom(start, { edges, done, cycles });
  }
  return cycles;
}

function visitFrom(
  start: string,
  walk: {
    readonly edges: ReadonlyMap<string, readonly string[]>;
    readonly done: Set<string>;
    readonly cycles: Cycle[];
  },
): void {
  const trail = [{ name: start, next: 0 }];
  const onTrail = new Map([[start, 0]]);
  for (let step = trail.at(-1); step !== undefined; step = trail.at(-1)) {
    const target = walk.edges.get(step.name)?.[step.next];
    step.next += 1;
    if (target === undefined) {
      trail.pop();
      onTrail.delete(step.name);
      walk.done.add(step.name);
      continue;
    }
    const position = onTrail.get(target);
    if (position !== undefined) {
      walk.cycles.push({ from: step.name, to: target, path: describeCycle(trail, position) });
    } else if (!walk.done.has(target)) {
      onTrail.set(target, trail.length);
      trail.push({ name: target, next: 0 });
    }
  }
}

/** Leaves out the middle of a long cycle: thousands of long cycles in one file must not fill the memory with messages. */
function describeCycle(trail: readonly { readonly name: string }[], position: number): readonly string[] {
  const names = (part: readonly { readonly name: string }[]) => part.map(({ name }) => name);
  const first = trail[position]?.name ?? '';
  if (trail.length - position <= MAX_PATH) return [...names(trail.slice(position)), first];
  return [
    ...names(trail.slice(position, position + MAX_PATH / 2)),
    '…',
    ...names(trail.slice(-MAX_PATH / 2)),
    first,
  ];
}
