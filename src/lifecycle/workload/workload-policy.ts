/**
 * What the services of one workload ask for together. Input: the services of the table that have the workload. Output: how the
 * workload is started, checked and put to sleep. Pure.
 *
 * | setting                                            | of a workload with several services                          |
 * | -------------------------------------------------- | ------------------------------------------------------------ |
 * | name, in the log                                   | that of its main service: see `compareServiceNames`          |
 * | availability, schedule, health check, the workload | the same for all: the table stage sees to it                 |
 * | idle_timeout, stop_timeout, min_awake, pause_after | the longest of those that set it                             |
 * | sleep                                              | pause where one says so                                      |
 * | stop_signal, busy_check                            | that of the first one that has one                           |
 * | idle_when, idle_ignore_below                       | no_traffic where all say so; everything counts where one says so |
 * | start_timeout                                      | the longest for the start; its own service's for each client |
 * | max_pending                                        | each service has its own places                              |
 * | ports, hosts, webhooks, windows                    | those of all                                                 |
 */
import type { Service } from '../../model/service.ts';
import { DEFAULT_REST, type RestPolicy } from '../../model/running/sleep.ts';
import { compareServiceNames, toWorkloadRef } from '../../model/workload.ts';

/** What the lifecycle of a workload takes from a service of it. */
export type LifecycleService = Pick<
  Service,
  | 'name'
  | 'workload'
  | 'listeners'
  | 'availability'
  | 'idleTimeoutMs'
  | 'startTimeoutMs'
  | 'stopTimeoutMs'
  | 'rest'
  | 'maxPending'
  | 'dependsOn'
  | 'group'
  | 'memoryBytes'
  | 'cronStart'
  | 'cronStop'
  | 'awake'
  | 'timezone'
  | 'httpHealthcheck'
  | 'webhookUrl'
  | 'webhooks'
  | 'httpHealthcheckStatus'
  | 'web'
> & {
  /** True where no service of the table has the workload: it is never idle, only started and stopped by its hubs. */
  readonly unmanaged?: boolean;
};

/** What all services of a workload ask for together. */
export interface WorkloadPolicy
  extends Omit<LifecycleService, 'maxPending' | 'dependsOn' | 'webhookUrl' | 'webhooks' | 'web'> {
  /** At least one, the main one first. */
  readonly services: readonly LifecycleService[];
}

/** @param services at least one, all of the same workload, in any order. @throws RangeError where there is none. */
export function createPolicy(services: readonly LifecycleService[]): WorkloadPolicy {
  const [first] = services;
  if (first === undefined) throw new RangeError('a workload without a service has no policy');
  const compare = compareServiceNames(toWorkloadRef(first.workload));
  const inOrder = services.length === 1 ? services : services.toSorted((a, b) => compare(a.name, b.name));
  const main = inOrder[0] ?? first;
  const { name, workload, availability, cronStart, cronStop, timezone, unmanaged } = main;
  const { httpHealthcheck, httpHealthcheckStatus, group, memoryBytes } = main;
  return {
    ...{
      name,
      workload,
      availability,
      cronStart,
      cronStop,
      timezone,
      httpHealthcheck,
      httpHealthcheckStatus,
      group,
      memoryBytes,
    },
    ...(unmanaged === true && { unmanaged }),
    ...{ awake: inOrder.length === 1 ? main.awake : inOrder.flatMap(({ awake }) => awake) },
    ...{ listeners: inOrder.length === 1 ? main.listeners : inOrder.flatMap(({ listeners }) => listeners) },
    idleTimeoutMs: longest(inOrder, 'idleTimeoutMs') ?? main.idleTimeoutMs,
    startTimeoutMs: longest(inOrder, 'startTimeoutMs') ?? main.startTimeoutMs,
    stopTimeoutMs: longest(inOrder, 'stopTimeoutMs'),
    rest: inOrder.length === 1 ? main.rest : mergeRest(inOrder.map(({ rest }) => rest)),
    services: inOrder,
  };
}

function mergeRest(all: readonly RestPolicy[]): RestPolicy {
  const [first = DEFAULT_REST] = all;
  if (all.every((rest) => rest === first)) return first;
  const pauses = all.flatMap(({ pauseAfterMs }) => pauseAfterMs ?? []);
  const traffic = all.filter(({ idleWhen }) => idleWhen === 'no_traffic');
  return {
    idleWhen: traffic.length === all.length ? 'no_traffic' : 'no_connections',
    ignoreBelow: (traffic.find(({ ignoreBelow }) => ignoreBelow.bytes === 0) ?? first).ignoreBelow,
    busyCheck: all.find(({ busyCheck }) => busyCheck !== undefined)?.busyCheck,
    way: all.some(({ way }) => way === 'pause') ? 'pause' : 'stop',
    pauseAfterMs: pauses.length === 0 ? undefined : Math.max(...pauses),
    stopSignal: all.find(({ stopSignal }) => stopSignal !== undefined)?.stopSignal,
    minAwakeMs: Math.max(...all.map(({ minAwakeMs }) => minAwakeMs)),
  };
}

/** Undefined where none of them has it. */
function longest(
  services: readonly LifecycleService[],
  setting: 'idleTimeoutMs' | 'startTimeoutMs' | 'stopTimeoutMs',
): number | undefined {
  const set = services.flatMap(({ [setting]: ms }) => (ms === undefined ? [] : [ms]));
  return set.length === 0 ? undefined : Math.max(...set);
}
