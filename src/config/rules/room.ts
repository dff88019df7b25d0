/** What can never be awake, since it takes more room than there is. Pure. */
import { formatMemory } from '../../model/text/memory-size.ts';
import type { RoomLimits } from '../../model/settings.ts';

/** What a service, or a workload that no service has, takes of the room. */
export interface RoomClaim {
  readonly name: string;
  /** The names of all that starts with it. */
  readonly links: readonly string[];
  readonly group: string | undefined;
  readonly memoryBytes: number | undefined;
}

export interface Misfit {
  readonly name: string;
  /** `memory`: what it takes itself; `links`: what it takes with what starts with it. */
  readonly of: 'memory' | 'links';
  readonly message: string;
}

/** Finds the services for which there is never room; a name that has no claim stands for a workload that takes one place. */
export function findMisfits(claims: readonly RoomClaim[], limits: RoomLimits): readonly Misfit[] {
  const { maxAwake, memoryBytes, groups } = limits;
  if (maxAwake === undefined && memoryBytes === undefined && Object.keys(groups).length === 0) return [];
  const byName = new Map(claims.map((claim) => [claim.name, claim]));
  return claims.flatMap((claim): readonly Misfit[] => {
    const { name, memoryBytes: own = 0 } = claim;
    if (memoryBytes !== undefined && own > memoryBytes) {
      const message = `${formatMemory(own)} is more than limits.memory, which is ${formatMemory(memoryBytes)}, so it can never be woken`;
      return [{ name, of: 'memory', message }];
    }
    const why = claim.links.length === 0 ? undefined : explainChain(claim, { byName, limits });
    return why === undefined ? [] : [{ name, of: 'links', message: why }];
  });
}

/** Walks along what starts with a service until a limit is passed. */
function explainChain(
  claim: RoomClaim,
  { byName, limits }: { readonly byName: ReadonlyMap<string, RoomClaim>; readonly limits: RoomLimits },
): string | undefined {
  const { maxAwake, memoryBytes, groups } = limits;
  const inGroup = new Map<string, number>();
  const chain = new Set<string>();
  let bytes = 0;
  const tell = (what: string) =>
    `it and what starts with it (${[...chain].slice(1, 6).join(', ')}${chain.size > 6 ? ' …' : ''}) can never be awake together: ${what}`;
  const rest = new Set([claim.name]);
  // A set is walked with what is added to it meanwhile.
  for (const name of rest) {
    const one = byName.get(name);
    chain.add(name);
    bytes += one?.memoryBytes ?? 0;
    if (maxAwake !== undefined && chain.size > maxAwake) return tell(`limits.max_awake is ${maxAwake}`);
    if (memoryBytes !== undefined && bytes > memoryBytes)
      return tell(`they take more than limits.memory, which is ${formatMemory(memoryBytes)}`);
    if (one?.group !== undefined && Object.hasOwn(groups, one.group)) {
      const count = (inGroup.get(one.group) ?? 0) + 1;
      inGroup.set(one.group, count);
      const max = groups[one.group]?.maxAwake ?? count;
      if (count > max) return tell(`groups.${one.group}.max_awake is ${max}`);
    }
    for (const link of one?.links ?? []) rest.add(link);
  }
  return undefined;
}

/** Why a group means nothing, in words that follow its name; undefined where there is one. */
export function explainUnknownGroup(
  group: string,
  { groups }: Pick<RoomLimits, 'groups'>,
): string | undefined {
  if (Object.hasOwn(groups, group)) return undefined;
  const known = Object.keys(groups);
  return known.length === 0
    ? 'is no group, since there are none; name it under groups'
    : `is no group; known are ${known.join(', ')}`;
}
