import type { WorkloadController } from '../lifecycle/workload/workload-controller.ts';
import type { Problem } from '../model/problem.ts';
import type { Service } from '../model/service.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';
import { toWorkloadRef, workloadKey, workloadRefKey } from '../model/workload.ts';
import type { ListenerReport, ServiceDetail, ServiceView } from '../status/api/content.ts';
import type { Runtime } from './runtime.ts';
import { describeHolder, explainUnserved } from './status-content.ts';

type Parts = Pick<Runtime, 'lifecycle' | 'doors' | 'relay' | 'schedules'>;

/**
 * What the API shows of the services of the table, with the oldest client of each listener.
 * @param options.only of these names alone; undefined = of all.
 */
export function collectServiceViews(
  table: ServiceTable,
  { only, ...parts }: Parts & { readonly only: ReadonlySet<string> | undefined },
): readonly ServiceView[] {
  const lost = groupBy(table.conflicts, ({ loser }) => loser);
  const views: ServiceView[] = [];
  for (const [name, entry] of table.entries)
    if (only?.has(name) !== false)
      views.push(createView(entry, { ...parts, table, maxClients: 1, lost: lost.get(name) ?? [] }));
  return views;
}

/** What the API shows of one service; undefined where there is none of that name. */
export function collectServiceDetail(
  name: string,
  {
    table,
    maxClients,
    certificates,
    problemsOf,
    ...parts
  }: Parts & {
    readonly table: ServiceTable;
    readonly maxClients: number;
    readonly certificates: Pick<Runtime['certificates'], 'describe'>;
    /** What is wrong with a service at run time. */
    readonly problemsOf: (entry: TableEntry) => readonly Problem[];
  },
): ServiceDetail | undefined {
  const entry = table.entries.get(name);
  if (entry === undefined) return undefined;
  const lost = table.conflicts.filter(({ loser }) => loser === name);
  const key = workloadRefKey(toWorkloadRef(entry.service.workload));
  const ofLabels = table.problems.filter(
    ({ origin }) => origin.kind === 'label' && workloadRefKey(origin.workload) === key,
  );
  return {
    ...createView(entry, { ...parts, table, maxClients, lost }),
    hubs: listHubs(entry, table),
    users: listUsers(name, table),
    certificates: !table.fronts.some(({ tls }) => tls)
      ? []
      : entry.service.web.hosts.flatMap((host) => {
          const certificate = certificates.describe(host);
          return certificate === undefined ? [] : [{ host, ...certificate }];
        }),
    problems: [...ofLabels, ...problemsOf(entry)],
  };
}

function createView(
  { service }: TableEntry,
  parts: Parts & {
    readonly table: ServiceTable;
    readonly maxClients: number;
    readonly lost: ServiceTable['conflicts'];
  },
): ServiceView {
  const { lifecycle, relay, schedules, table, lost } = parts;
  const controller = lifecycle.find(service.name);
  const others = lost.map(({ listener, winner }): ListenerReport => {
    return {
      ...{ listener, condition: 'lost', error: `${describeHolder(winner)} listens there` },
      ...{ activeConnections: 0, blocked: 0, refused: {}, dropped: {}, clients: [] },
      ...{ relay: listener.protocol === 'tcp' ? relay.kind : undefined, web: undefined },
    };
  });
  const names = namesOf(controller).filter((name) => name !== service.name);
  const sharers = names.flatMap((name) => table.entries.get(name)?.service ?? []);
  return {
    ...{ service, report: controller?.account.report },
    listeners: [...reportListeners(service, parts), ...others],
    sharers: { names, listeners: sharers.flatMap((sharer) => reportListeners(sharer, parts)) },
    schedule: schedules.nextFires(service.name),
    timeline: () => controller?.account.timeline ?? [],
  };
}

function reportListeners(
  service: Service,
  { lifecycle, doors, relay, maxClients }: Parts & { readonly maxClients: number },
): readonly ListenerReport[] {
  const controller = lifecycle.find(service.name);
  return doors.of(service).map((listener): ListenerReport => {
    const { drops, refusals, error, ...status } = doors.status(listener, service);
    return {
      ...{ listener, ...status, dropped: drops, refused: refusals },
      error: error ?? (controller && explainUnserved(controller, listener)),
      relay: listener.protocol === 'tcp' ? (listener.mode ?? relay.kind) : undefined,
      web: doors.webAt(listener, service),
      clients: doors.listClients(listener, { service, max: maxClients }),
    };
  });
}

/** The services of a workload. */
function namesOf(controller: WorkloadController | undefined): readonly string[] {
  return controller?.policy.services.map(({ name }) => name) ?? [];
}

/** The services that have this one as their dependant, or another one of the same workload. */
function listHubs({ service: { workload } }: TableEntry, table: ServiceTable): readonly string[] {
  const key = workloadKey(workload);
  const hasWorkload = (name: string) => {
    const meant = table.entries.get(name)?.service.workload;
    return meant !== undefined && workloadKey(meant) === key;
  };
  const hubs = [...table.entries.values()].filter(({ service }) => service.dependants.some(hasWorkload));
  return hubs.map(({ service }) => service.name);
}

/** The services, and other workloads, that depend on this one. */
function listUsers(name: string, table: ServiceTable): readonly string[] {
  const users = [...table.entries.values()].flatMap(({ service }) =>
    service.dependsOn.filter((needed) => needed.name === name).map(({ of = service.name }) => of),
  );
  return [...new Set(users)].sort();
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}
