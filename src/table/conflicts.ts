import { claimStatus, createListenClaims } from '../config/rules/listen-claims.ts';
import { describeStatusPlace } from '../config/values/ports.ts';
import type { Origin, Sourced } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import { formatListenAddress, type ListenerSpec, listenKey } from '../model/service.ts';
import type { Settings } from '../model/settings.ts';
import type { Conflict, TableEntry } from '../model/table.ts';

/** Which service listens on a listen key now. */
export type Holders = ReadonlyMap<string, string>;

const STATUS_SERVER = Symbol('status server');

interface Claim {
  readonly listener: ListenerSpec;
  readonly name: string;
  readonly origin: Origin;
  /** 0 = listens already, 1 = from the file, 2 = from labels. */
  readonly rank: number;
  /** When the workload was made; infinite where that isn't known. */
  readonly createdMs: number;
}

/**
 * Gives each listener to one service. The service that listens already keeps it; else the file beats labels; else the
 * service with the older workload gets it; else the first by name. Age comes before the name, so that nobody can take a
 * port by naming a container well. No service gets the place of the status server. Listeners that a service loses are
 * taken out of its entry and reported.
 */
export function settleConflicts(
  entries: readonly TableEntry[],
  {
    holders,
    status,
    createdMs = new Map(),
  }: {
    readonly holders: Holders;
    readonly status: Sourced<Settings['status']>;
    /** When the workload of a service was made, ms since the epoch, by the service's name. */
    readonly createdMs?: ReadonlyMap<string, number | undefined>;
  },
): {
  readonly entries: readonly TableEntry[];
  readonly conflicts: readonly Conflict[];
  readonly problems: readonly Problem[];
} {
  const claims = createListenClaims<string | typeof STATUS_SERVER>();
  claimStatus(claims, { status: status.value, owner: STATUS_SERVER });
  const conflicts: Conflict[] = [];
  const problems: Problem[] = [];
  const lost = new Set<ListenerSpec>();
  for (const { listener, name, origin } of listClaims(entries, { holders, createdMs })) {
    const winner = claims.claim(listener, name);
    if (winner === undefined) continue;
    lost.add(listener);
    const winnerName = winner === STATUS_SERVER ? undefined : winner;
    if (winner !== name) conflicts.push({ listener, loser: name, winner: winnerName });
    const who = winnerName === undefined ? describeStatus(status.origin) : describeWinner(winnerName, name);
    problems.push(describeLoss(listener, { name, who, origin }));
  }
  if (lost.size === 0) return { entries, conflicts, problems };
  const settled = entries.map((entry) => {
    const kept = entry.service.listeners.filter((listener) => !lost.has(listener));
    if (kept.length === entry.service.listeners.length) return entry;
    return { ...entry, service: { ...entry.service, listeners: kept } };
  });
  return { entries: settled, conflicts, problems };
}

function listClaims(
  entries: readonly TableEntry[],
  {
    holders,
    createdMs,
  }: { readonly holders: Holders; readonly createdMs: ReadonlyMap<string, number | undefined> },
): readonly Claim[] {
  const claims = entries.flatMap(({ service, origins }) =>
    service.listeners.map((listener): Claim => {
      const origin = origins[listener.protocol === 'tcp' ? 'ports' : 'udp_ports'] ?? { kind: 'default' };
      const rank = holders.get(listenKey(listener)) === service.name ? 0 : origin.kind === 'label' ? 2 : 1;
      const madeMs = createdMs.get(service.name) ?? Number.POSITIVE_INFINITY;
      return { listener, name: service.name, origin, rank, createdMs: rank === 2 ? madeMs : 0 };
    }),
  );
  return claims.toSorted(
    (a, b) => a.rank - b.rank || compareAges(a, b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

/** Compares, and doesn't subtract: the difference of two infinite ages is not a number. */
function compareAges(a: Claim, b: Claim): number {
  return Number(a.createdMs > b.createdMs) - Number(a.createdMs < b.createdMs);
}

function describeLoss(
  listener: ListenerSpec,
  { name, who, origin }: { readonly name: string; readonly who: string; readonly origin: Origin },
): Problem {
  const field = listener.protocol === 'tcp' ? 'ports' : 'udp_ports';
  const where = `${listener.protocol} ${formatListenAddress(listener)}`;
  const message = `${field}: "${name}" can't listen on ${where}: ${who}`;
  return { code: 'listen-conflict', severity: 'error', message, origin };
}

function describeWinner(winner: string, name: string): string {
  return winner === name
    ? `"${name}" already listens there itself`
    : `"${winner}" has it; it is taken over once free`;
}

function describeStatus(origin: Origin): string {
  return `the status server does already (${describeStatusPlace(origin)})`;
}
