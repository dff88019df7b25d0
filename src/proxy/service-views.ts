import type { Problem } from '../model/problem.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';
import { toWorkloadRef, workloadRefKey } from '../model/workload.ts';
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
      views.push(createView(entry, { ...parts, maxClients: 1, lost: lost.get(name) ?? [] }));
  return views;
}

/** What the API shows of one service; undefined where there is none of that name. */
export function collectServiceDetail(
  name: string,
  {
    table,
    maxClients,
    problemsOf,
    ...parts
  }: Parts & {
    readonly table: ServiceTable;
    readonly maxClients: number;
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
    ...createView(entry, { ...parts, maxClients, lost }),
    hubs: listHubs(name, table),
    problems: [...ofLabels, ...problemsOf(entry)],
  };
}

function createView(
  { service }: TableEntry,
  {
    lifecycle,
    doors,
    relay,
    schedules,
    maxClients,
    lost,
  }: Parts & {
    readonly maxClients: number;
    readonly lost: ServiceTable['conflicts'];
  },
): ServiceView {
  const controller = lifecycle.find(service.name);
  const report = controller?.report;
  const own = doors.of(service).map((listener): ListenerReport => {
    const { drops, refusals, error, ...status } = doors.status(listener, service);
    return {
      ...{ listener, ...status, dropped: drops, refused: refusals },
      error: error ?? (controller && explainUnserved(controller, listener)),
      relay: listener.protocol === 'tcp' ? (listener.mode ?? relay.kind) : undefined,
      clients: doors.listClients(listener, { service, max: maxClients }),
    };
  });
  const others = lost.map(({ listener, winner }): ListenerReport => {
    return {
      ...{ listener, condition: 'lost', error: `${describeHolder(winner)} listens there` },
      ...{ activeConnections: 0, blocked: 0, refused: {}, dropped: {}, clients: [] },
      relay: listener.protocol === 'tcp' ? relay.kind : undefined,
    };
  });
  return {
    ...{ service, report, listeners: [...own, ...others] },
    schedule: schedules.nextFires(service.name),
    timeline: () => controller?.timeline ?? [],
  };
}

/** The services that have this one as their dependant. */
function listHubs(name: string, table: ServiceTable): readonly string[] {
  const hubs = [...table.entries.values()].filter(({ service }) => service.dependants.includes(name));
  return hubs.map(({ service }) => service.name);
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
