import { portField } from '../config/fields.ts';
import {
  claimStatus,
  createListenClaims,
  describeFront,
  type FrontClaim,
  type ListenClaims,
} from '../config/rules/listen-claims.ts';
import { describeStatusPlace } from '../config/values/ports.ts';
import type { Origin, Sourced } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import { formatListenAddress, type ListenerSpec, listenKey } from '../model/service.ts';
import type { Settings } from '../model/settings.ts';
import type { Conflict, ServiceTable, TableEntry } from '../model/table.ts';
import { type FrontDoor, hasRoutes, NO_WEB, type WebPolicy } from '../model/web.ts';

/** Which service listens on a listen key now. */
export type Holders = ReadonlyMap<string, string>;

const STATUS_SERVER = Symbol('status server');

/** Who has a place: a service by its name, a front door, or the status server. */
type Owner = string | FrontClaim | typeof STATUS_SERVER;

/** What a service asks for, and others may ask for, too. */
interface Claim<T> {
  readonly wanted: T;
  readonly name: string;
  readonly origin: Origin;
  /** 0 = listens already, 1 = from the file, 2 = from labels. */
  readonly rank: number;
  /** When the workload was made; infinite where that isn't known. */
  readonly createdMs: number;
}

export interface ConflictContext {
  readonly holders: Holders;
  readonly status: Sourced<Settings['status']>;
  /** The front doors that are wanted; default: none. */
  readonly fronts?: readonly FrontClaim[];
  /** The table in force: its front doors and hosts are kept. */
  readonly before?: Pick<ServiceTable, 'entries' | 'fronts'>;
  /** When the workload of a service was made, ms since the epoch, by the service's name. */
  readonly createdMs?: ReadonlyMap<string, number | undefined>;
}

export interface Settled {
  readonly entries: readonly TableEntry[];
  readonly fronts: readonly FrontDoor[];
  readonly conflicts: readonly Conflict[];
  readonly problems: readonly Problem[];
}

/**
 * Gives each listener to one service. The service that listens already keeps it; else the file beats labels; else the
 * service with the older workload gets it; else the first by name. Age comes before the name, so that nobody can take a
 * port by naming a container well. No service gets the place of the status server, and a front door counts as the file's
 * first. Hosts are given likewise. What a service loses is taken out of its entry and reported.
 */
export function settleConflicts(entries: readonly TableEntry[], context: ConflictContext): Settled {
  const settled = settleListeners(entries, context);
  const hosts = settleHosts(settled.entries, context);
  return { ...settled, entries: hosts.entries, problems: [...settled.problems, ...hosts.problems] };
}

function settleListeners(entries: readonly TableEntry[], context: ConflictContext): Settled {
  const { holders, status } = context;
  const claims = createListenClaims<Owner>();
  claimStatus(claims, { status: status.value, owner: STATUS_SERVER });
  const conflicts: Conflict[] = [];
  const problems: Problem[] = [];
  const lost = new Set<ListenerSpec>();
  const who = (winner: Owner, name: string | undefined) => describeOwner(winner, { name, status });
  const wanted = listClaims(entries, {
    ...context,
    listOf: ({ service, origins }) =>
      service.listeners.map((wanted) => ({
        ...{ wanted, origin: origins[portField(wanted)] ?? DEFAULT_ORIGIN },
        isHeld: holders.get(listenKey(wanted)) === service.name,
      })),
  });
  const claimAll = (chosen: readonly Claim<ListenerSpec>[]) => {
    for (const { wanted: listener, name, origin } of chosen) {
      const winner = claims.claim(listener, name);
      if (winner === undefined) continue;
      lost.add(listener);
      if (winner !== name)
        conflicts.push({ listener, loser: name, winner: typeof winner === 'string' ? winner : undefined });
      const where = `${listener.protocol} ${formatListenAddress(listener)}`;
      const message = `${portField(listener)}: "${name}" can't listen on ${where}: ${who(winner, name)}`;
      problems.push({ code: 'listen-conflict', severity: 'error', message, origin });
    }
  };
  // Who listens already comes first, be it a front door or a service.
  const held = new Set((context.before?.fronts ?? []).map(frontKey));
  const [old, young] = splitBy(context.fronts ?? [], ({ front }) => held.has(frontKey(front)));
  const fronts = claimFronts(old, claims);
  claimAll(wanted.filter(({ rank }) => rank === 0));
  fronts.push(...claimFronts(young, claims));
  claimAll(wanted.filter(({ rank }) => rank > 0));
  problems.push(
    ...fronts.flatMap(({ claim, winner }): readonly Problem[] => {
      if (winner === undefined) return [];
      const where = `tcp ${formatListenAddress(claim.front)}`;
      const message = `${claim.setting}: the front door can't listen on ${where}: ${who(winner, undefined)}`;
      return [{ code: 'listen-conflict', severity: 'error', message, origin: claim.origin }];
    }),
  );
  const open = new Set(fronts.flatMap(({ claim, winner }) => (winner === undefined ? [claim.front] : [])));
  return {
    ...{
      conflicts,
      problems,
      fronts: (context.fronts ?? []).map(({ front }) => front).filter((front) => open.has(front)),
    },
    entries: takeOut(entries, lost),
  };
}

function claimFronts(
  fronts: readonly FrontClaim[],
  claims: ListenClaims<Owner>,
): { readonly claim: FrontClaim; readonly winner: Owner | undefined }[] {
  return fronts.map((claim) => ({ claim, winner: claims.claim({ protocol: 'tcp', ...claim.front }, claim) }));
}

function takeOut(entries: readonly TableEntry[], lost: ReadonlySet<ListenerSpec>): readonly TableEntry[] {
  if (lost.size === 0) return entries;
  return entries.map((entry) => {
    const kept = entry.service.listeners.filter((listener) => !lost.has(listener));
    if (kept.length === entry.service.listeners.length) return entry;
    return { ...entry, service: { ...entry.service, listeners: kept } };
  });
}

const HOST_FIELDS = ['hosts', 'tls_hosts'] as const;
type HostField = (typeof HOST_FIELDS)[number];

/** Gives each host to one service, for both ways in which a client can name it. */
function settleHosts(
  entries: readonly TableEntry[],
  context: ConflictContext,
): Pick<Settled, 'entries' | 'problems'> {
  const wanting = entries.filter(({ service }) => hasRoutes(service.web));
  const owners = new Map<string, string>();
  const lost = new Map<string, Set<string>>();
  const problems: Problem[] = [];
  const wanted = listClaims(wanting, {
    ...context,
    listOf: ({ service, origins }) => {
      const before = context.before?.entries.get(service.name)?.service.web ?? NO_WEB;
      return HOST_FIELDS.flatMap((field) =>
        hostsOf(service.web, field).map((host) => ({
          ...{ wanted: { field, host }, origin: origins[field] ?? DEFAULT_ORIGIN },
          isHeld: before.hosts.includes(host) || before.tlsHosts.includes(host),
        })),
      );
    },
  });
  for (const {
    wanted: { field, host },
    name,
    origin,
  } of wanted) {
    const owner = owners.get(host);
    if (owner === undefined) owners.set(host, name);
    if (owner === undefined || owner === name) continue;
    lost.set(name, (lost.get(name) ?? new Set()).add(host));
    const message = `${field}: "${host}" can't lead to "${name}": "${owner}" has it; it is taken over once free`;
    problems.push({ code: 'host-conflict', severity: 'error', message, origin });
  }
  if (lost.size === 0) return { entries, problems };
  const settled = entries.map((entry) => {
    const gone = lost.get(entry.service.name);
    if (gone === undefined) return entry;
    const { web } = entry.service;
    const [hosts, tlsHosts] = [web.hosts, web.tlsHosts].map((all) => all.filter((host) => !gone.has(host)));
    return {
      ...entry,
      service: { ...entry.service, web: { ...web, hosts: hosts ?? [], tlsHosts: tlsHosts ?? [] } },
    };
  });
  return { entries: settled, problems };
}

function hostsOf(web: WebPolicy, field: HostField): readonly string[] {
  return field === 'hosts' ? web.hosts : web.tlsHosts;
}

const DEFAULT_ORIGIN: Origin = { kind: 'default' };

/** What all services ask for, in the order in which they get it. */
function listClaims<T>(
  entries: readonly TableEntry[],
  {
    listOf,
    createdMs = new Map(),
  }: Pick<ConflictContext, 'createdMs'> & {
    readonly listOf: (entry: TableEntry) => readonly {
      readonly wanted: T;
      readonly origin: Origin;
      /** Whether the service has it already. */
      readonly isHeld: boolean;
    }[];
  },
): readonly Claim<T>[] {
  const claims = entries.flatMap((entry) => {
    const { name } = entry.service;
    const madeMs = createdMs.get(name) ?? Number.POSITIVE_INFINITY;
    return listOf(entry).map(({ wanted, origin, isHeld }): Claim<T> => {
      const rank = isHeld ? 0 : origin.kind === 'label' ? 2 : 1;
      return { wanted, name, origin, rank, createdMs: rank === 2 ? madeMs : 0 };
    });
  });
  return claims.toSorted(
    (a, b) => a.rank - b.rank || compareAges(a, b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

/** Compares, and doesn't subtract: the difference of two infinite ages is not a number. */
function compareAges(a: Claim<unknown>, b: Claim<unknown>): number {
  return Number(a.createdMs > b.createdMs) - Number(a.createdMs < b.createdMs);
}

function describeOwner(
  owner: Owner,
  { name, status }: { readonly name: string | undefined; readonly status: Sourced<Settings['status']> },
): string {
  if (owner === STATUS_SERVER)
    return `the status server does already (${describeStatusPlace(status.origin)})`;
  if (typeof owner !== 'string') return `${describeFront(owner)} does already`;
  return owner === name
    ? `"${name}" already listens there itself`
    : `"${owner}" has it; it is taken over once free`;
}

function frontKey({ address, port, tls }: FrontDoor): string {
  return `${tls} ${port} ${address}`;
}

function splitBy<T>(all: readonly T[], is: (one: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [all.filter(is), all.filter((one) => !is(one))];
}
