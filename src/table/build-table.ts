/**
 * Input: what the sources say, as drafts, and who listens now. Output: the service table: total, merged field by
 * field, each value with its origin. Guarantees: pure, nothing thrown for any drafts, deeply frozen, linear in the
 * number of services and listeners. Precedence per field: file service > label > file defaults > environment > built-in.
 */
import { V1_IS_FOR_TCP } from '../config/checks/check-proxies.ts';
import { findUselessLabels } from '../config/checks/useless-options.ts';
import type { Environment } from '../config/environment.ts';
import { fieldSpec, labelSuffix } from '../config/fields.ts';
import type { FileConfig } from '../config/file.ts';
import type { LabelReading } from '../config/labels.ts';
import { resolveSettings } from '../config/resolve-settings.ts';
import type { ComposeOrder } from '../config/rules/compose-order.ts';
import { describeDoorless, describeUncertified, listFronts } from '../config/rules/listen-claims.ts';
import { explainUnknownGroup, findMisfits } from '../config/rules/room.ts';
import { describeUnguarded, findUnguardedPart } from '../config/rules/login.ts';
import { toEngineDefaults, workloadFieldOf } from '../config/rules/workload-of.ts';
import type { SettingsFlags } from '../config/settings.ts';
import { hasSchedule } from '../model/availability.ts';
import type { Sourced } from '../model/origin.ts';
import { boundProblems, type Problem } from '../model/problem.ts';
import type { Service } from '../model/service.ts';
import type { Settings } from '../model/settings.ts';
import { EMPTY_TABLE, type ServiceTable, type TableEntry } from '../model/table.ts';
import { asksForLogin, hasRoutes } from '../model/web.ts';
import {
  compareServiceNames,
  describeWorkloadRef,
  toWorkloadRef,
  type WorkloadRef,
  workloadKey,
  workloadRefKey,
} from '../model/workload.ts';
import { type Holders, settleConflicts } from './conflicts.ts';
import { linkServices } from './link-services.ts';
import { mergeService } from './merge-service.ts';
import { pairSources } from './pair-sources.ts';
import { shareUnchanged } from './share-unchanged.ts';

export interface TableInput {
  readonly file: FileConfig | undefined;
  /** One reading per workload. */
  readonly labelled: readonly LabelReading[];
  readonly environment: Environment;
  readonly flags: SettingsFlags;
  /** By listen key, the name of the service that listens there now; whoever listens keeps it. */
  readonly holders: Holders;
  /** Where the status server listens now; absent = where the settings say. */
  readonly status?: Sourced<Settings['status']> | undefined;
  /** The workloads that the proxy itself runs in; default: none. */
  readonly own?: readonly WorkloadRef[];
  /** Tells what Compose says of the order of its containers, where that matters; absent where nobody has asked the engine. */
  readonly compose?: () => ComposeOrder | undefined;
  /** The table in force; entries that stay the same are taken from it. Default: none. */
  readonly before?: ServiceTable;
}

/** Builds the service table from whole snapshots of every source. */
export function buildTable(input: TableInput): ServiceTable {
  const { settings, origins } = resolveSettings(input);
  const engine = toEngineDefaults(settings);
  const labelled = input.labelled.filter(({ ref }) => countsLabels(ref, settings));
  const paired = pairSources({ ...input, labelled, engine });
  const merged = paired.sources.map(mergeService).toSorted(byName);
  const own = input.own ?? [];
  const linked = linkServices(merged, { own, compose: input.compose });
  const served = leaveOutOwn(linked.entries, own);
  const guarded = leaveOutUnguarded(served.entries);
  const told = leaveOutUntold(guarded.entries);
  const { certificates, selfSignedDomains, redirect, acceptProxyProtocol } = settings.http;
  const status = input.status ?? { value: settings.status, origin: origins.status };
  const settled = settleConflicts(told.entries, {
    createdMs: new Map(paired.sources.map(({ name, createdMs }) => [name, createdMs])),
    ...{ holders: input.holders, status, fronts: listFronts(settings.http, origins) },
    ...(input.before !== undefined && { before: input.before }),
  });
  const entries = shareUnchanged(settled.entries, input.before ?? EMPTY_TABLE);
  return deepFreeze({
    entries: new Map(entries.map((entry) => [entry.service.name, entry])),
    fronts: settled.fronts,
    frontPolicy: { certificates, selfSignedDomains, redirect, acceptProxyProtocol },
    conflicts: settled.conflicts,
    problems: boundProblems([
      ...paired.problems,
      ...linked.problems,
      ...served.problems,
      ...guarded.problems,
      ...told.problems,
      ...settled.problems,
      ...findWithoutRoom(entries, settings),
      ...findSilent(guarded.entries, () => true),
      ...findMain(guarded.entries).flatMap(({ service, origins }) => findUselessLabels(service, origins)),
      ...guarded.entries.flatMap((entry) => findDoorlessLabels(entry, settings)),
    ]),
  });
}

/** Whether the labels of a workload count: those of the backend in force, unless they are switched off. */
function countsLabels(ref: WorkloadRef, { backend, docker, kubernetes }: Settings): boolean {
  return ref.kind === 'kubernetes'
    ? backend === 'kubernetes' && kubernetes.labels
    : backend === 'docker' && docker.labels;
}

/** Leaves out services that stand for what the proxy itself runs in: to put it to sleep would end the proxy. */
function leaveOutOwn(
  entries: readonly TableEntry[],
  own: readonly WorkloadRef[],
): { readonly entries: readonly TableEntry[]; readonly problems: readonly Problem[] } {
  if (own.length === 0) return { entries, problems: [] };
  const keys = new Set(own.map(workloadRefKey));
  const isOwn = ({ service }: TableEntry) => keys.has(workloadKey(service.workload));
  const problems = entries.filter(isOwn).map(({ service, origins }): Problem => {
    const ref = toWorkloadRef(service.workload);
    const message = `service "${service.name}": the proxy itself runs in ${describeWorkloadRef(ref)}; it can't be a service of its own`;
    const origin = origins[workloadFieldOf(ref)] ?? { kind: 'default' };
    return { code: 'own-container', severity: 'error', message, origin };
  });
  return { entries: entries.filter((entry) => !isOwn(entry)), problems };
}

/** The main service of each workload, which has all of its labels. */
function findMain(entries: readonly TableEntry[]): readonly TableEntry[] {
  const mains = new Map<string, TableEntry>();
  for (const entry of entries) {
    const { name, workload } = entry.service;
    const key = workloadKey(workload);
    const before = mains.get(key)?.service.name;
    if (before === undefined || compareServiceNames(toWorkloadRef(workload))(name, before) < 0)
      mains.set(key, entry);
  }
  return [...mains.values()];
}

/** Leaves out services whose login would guard only a part of them, as when file and labels each give one half. */
function leaveOutUnguarded(entries: readonly TableEntry[]): {
  readonly entries: readonly TableEntry[];
  readonly problems: readonly Problem[];
} {
  const problems = new Map(
    entries.flatMap(({ service, origins }): readonly (readonly [string, Problem])[] => {
      if (!asksForLogin(service.web)) return [];
      const found = findUnguardedPart((field) => fieldSpec(field).of(service));
      if (found === undefined) return [];
      const { name } = service;
      const message = `${found.login}: ${describeUnguarded(found, (field) => field)}; until then "${name}" is refused as a whole`;
      const origin = origins[found.login] ?? { kind: 'default' };
      return [[name, { code: 'exclusive-keys', severity: 'error', message, origin }]];
    }),
  );
  if (problems.size === 0) return { entries, problems: [] };
  return {
    entries: entries.filter(({ service }) => !problems.has(service.name)),
    problems: [...problems.values()],
  };
}

/** Warns of hosts by label where there is no front door at which somebody could name them, or no certificate for them. */
function findDoorlessLabels({ service, origins }: TableEntry, { http }: Settings): readonly Problem[] {
  return (['hosts', 'tls_hosts'] as const).flatMap((field): readonly Problem[] => {
    const origin = origins[field];
    const hosts = field === 'hosts' ? service.web.hosts : service.web.tlsHosts;
    if (hosts.length === 0 || origin?.kind !== 'label') return [];
    const why =
      describeDoorless(field, http) ?? (field === 'hosts' ? describeUncertified(hosts, http) : undefined);
    if (why === undefined) return [];
    const message = `${labelSuffix(field)}: ${why}`;
    return [{ code: 'option-without-effect', severity: 'warning', message, origin }];
  });
}

/**
 * Leaves out the UDP ports of services that are to be told of each client by a PROXY header of version 1, which UDP has not: the
 * one comes from the file, say, and the other from a label.
 */
function leaveOutUntold(entries: readonly TableEntry[]): {
  readonly entries: readonly TableEntry[];
  readonly problems: readonly Problem[];
} {
  const isUntold = ({ service: { proxyProtocol, listeners } }: TableEntry) =>
    proxyProtocol === 'v1' && listeners.some(({ protocol }) => protocol === 'udp');
  const problems = entries.filter(isUntold).map(({ service, origins }): Problem => {
    const message = `udp_ports: "${service.name}" does not listen there, because its proxy_protocol is v1: ${V1_IS_FOR_TCP}`;
    const origin = origins['udp_ports'] ?? { kind: 'default' };
    return { code: 'exclusive-keys', severity: 'error', message, origin };
  });
  if (problems.length === 0) return { entries, problems };
  const kept = entries.map((entry) => {
    if (!isUntold(entry)) return entry;
    const listeners = entry.service.listeners.filter(({ protocol }) => protocol === 'tcp');
    return { ...entry, service: { ...entry.service, listeners } };
  });
  return { entries: kept, problems };
}

/** Tells of services for which there is never room, and of groups that don't exist: labels are read without the file. */
function findWithoutRoom(entries: readonly TableEntry[], { limits, groups }: Settings): readonly Problem[] {
  const room = { ...limits, groups };
  const byName = new Map(entries.map((entry) => [entry.service.name, entry]));
  const tell = (name: string, { field, message }: { readonly field: string; readonly message: string }) => {
    const origin = byName.get(name)?.origins[field] ?? ({ kind: 'default' } as const);
    const what = origin.kind === 'label' ? labelSuffix(field) : field;
    return { code: 'invalid-value', severity: 'error', message: `${what}: ${message}`, origin } as const;
  };
  const unknown = entries.flatMap(({ service: { name, group } }) => {
    const why = group === undefined ? undefined : explainUnknownGroup(group, room);
    return why === undefined ? [] : [tell(name, { field: 'group', message: `"${group}" ${why}` })];
  });
  const claims = entries.map(({ service: { name, dependants, dependsOn, group, memoryBytes } }) => ({
    ...{ name, group, memoryBytes },
    links: [...dependants, ...dependsOn.map((needed) => needed.name)],
  }));
  const misfits = findMisfits(claims, room).map(({ name, of, message }) => {
    const hasNeeds = (byName.get(name)?.service.dependsOn.length ?? 0) > 0;
    return tell(name, { field: of === 'memory' ? of : hasNeeds ? 'depends_on' : 'dependants', message });
  });
  return [...unknown, ...misfits];
}

function byName(a: TableEntry, b: TableEntry): number {
  return a.service.name < b.service.name ? -1 : 1;
}

/**
 * Warns of services of the file that nothing can ever wake, whatever labels will say: those that no label can give a port,
 * a schedule or a hub.
 */
export function findSilentOfFile(
  input: Pick<TableInput, 'environment' | 'flags'> & { readonly file: FileConfig },
): readonly Problem[] {
  const { settings } = resolveSettings(input);
  const { entries } = buildTable({ ...input, labelled: [], holders: new Map() });
  const ignoring = input.file.services.filter(({ draft }) => draft.ignore_labels?.value === true);
  const closed = new Set(ignoring.map(({ name }) => name));
  return findSilent([...entries.values()], ({ name, workload, dependantOfLabels }) => {
    const ref = toWorkloadRef(workload);
    const isClosed = closed.has(name) || ref.kind === 'process' || !countsLabels(ref, settings);
    return isClosed && !dependantOfLabels;
  });
}

/** Warns of services that nothing can ever wake, among those that are asked about. */
function findSilent(
  entries: readonly TableEntry[],
  isAsked: (service: Service) => boolean,
): readonly Problem[] {
  const linked = new Set(
    entries.flatMap(({ service: { dependants, dependsOn } }) => [
      ...dependants,
      ...dependsOn.map(({ name }) => name),
    ]),
  );
  // What wakes one service wakes all that have the same workload.
  const woken = new Set(
    entries.flatMap(({ service }) => {
      const { name, listeners, web, workload } = service;
      const isWoken = listeners.length > 0 || hasRoutes(web) || hasSchedule(service) || linked.has(name);
      return isWoken ? [workloadKey(workload)] : [];
    }),
  );
  return entries.flatMap(({ service, origins }): readonly Problem[] => {
    const { name, workload } = service;
    if (woken.has(workloadKey(workload)) || !isAsked(service)) return [];
    const message = `service "${name}" has no port and no schedule, and no other service starts it, so nothing wakes it`;
    const field = workloadFieldOf(toWorkloadRef(service.workload));
    const origin = origins[field] ?? { kind: 'default' };
    return [{ code: 'no-listener', severity: 'warning', message, origin }];
  });
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  const children = value instanceof Map ? value.values() : Object.values(value);
  for (const child of children) deepFreeze(child);
  return value;
}
