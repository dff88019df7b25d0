/** An edge that closes a cycle, and the cycle from its start back to it. */
export interface Cycle {
  readonly from: string;
  readonly to: string;
  /** The names along the cycle, the first one again at the end; of a long one, the first few and the last. */
  readonly path: readonly string[];
}

/** Names of a cycle that are told. */
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

/** Cut short in the middle: a file of thousands of long cycles must not give a message of their product. */
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
