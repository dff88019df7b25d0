/**
 * What the metrics show, of the proxy's parts. Loaded at the first scrape, from a file of its own.
 */
import { readdir } from 'node:fs/promises';
import type { TableEntry } from '../model/table.ts';
import type {
  ConfigFigures,
  ListenerFigures,
  ProxyFigures,
  ServiceFigures,
} from '../status/metrics/content.ts';
import { createMetricsPage, type MetricsPage } from '../status/metrics/metrics-page.ts';
import type { Clock } from '../system/clock.ts';
import { readDescriptorLimit } from '../system/descriptors.ts';
import type { Engines } from './engines.ts';
import type { Runtime } from './runtime.ts';

export interface MetricsParts {
  readonly runtime: Runtime;
  readonly engines: Pick<Engines, 'standing' | 'calls'>;
  readonly version: string;
  /** When the program was started, ms since the epoch. */
  readonly startedAtMs: number;
  readonly reload: () => ConfigFigures;
  readonly clock: Clock;
}

/** Whoever opens it closes it. */
export function openMetrics(parts: MetricsParts): MetricsPage {
  const { runtime, clock } = parts;
  return createMetricsPage({ proxy: () => readProxy(parts), services: () => readServices(runtime) }, clock);
}

async function readProxy({
  runtime,
  engines,
  version,
  startedAtMs,
  reload,
}: MetricsParts): Promise<ProxyFigures> {
  // In the background: there may be a hundred thousand.
  const openFds = await readdir('/proc/self/fd').then(
    (names) => names.length,
    () => undefined,
  );
  const { user, system } = process.cpuUsage();
  const { relay, lifecycle, fronts, reconciler } = runtime;
  return {
    ...{ version, nodeVersion: process.versions.node, relay: relay.kind, config: reload() },
    services: reconciler.current.entries.size,
    engines: engines.standing.map(({ kind, problem }) => ({ engine: kind, answers: problem === undefined })),
    calls: Object.entries(engines.calls).flatMap(([engine, calls]) =>
      [...(calls?.byKind ?? [])].map(([call, { seconds, errors }]) => ({ engine, call, seconds, errors })),
    ),
    wakeSeconds: lifecycle.tallies.wakes,
    heldSeconds: lifecycle.tallies.held,
    fronts: fronts.list(),
    room: lifecycle.room.figures,
    process: {
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      startSeconds: startedAtMs / 1_000,
      openFds,
      maxFds: readDescriptorLimit(),
    },
  };
}

/** Of the table as it is when the first one is asked for. */
function* readServices(runtime: Runtime): Generator<ServiceFigures> {
  const { current } = runtime.reconciler;
  const lost = new Map<string, ListenerFigures[]>();
  for (const { loser, listener } of current.conflicts)
    lost.set(loser, [...(lost.get(loser) ?? []), lostListener(listener)]);
  for (const entry of current.entries.values()) {
    const { name } = entry.service;
    const controller = runtime.lifecycle.find(name);
    yield {
      name,
      countsWorkload: controller === undefined || controller.policy.name === name,
      report: controller?.account.report,
      listeners: [...readListeners(entry, runtime), ...(lost.get(name) ?? [])],
    };
  }
}

function readListeners(
  { service }: TableEntry,
  { doors }: Pick<Runtime, 'doors'>,
): readonly ListenerFigures[] {
  return doors.of(service).map((listener) => {
    const { condition, activeConnections, blocked, refusals, drops } = doors.status(listener, service);
    return {
      ...{ listener, isBound: condition === 'bound', active: activeConnections, blocked },
      ...{ refused: refusals, dropped: drops },
      totals: doors.readTotals(listener, service) ?? NO_TOTALS,
    };
  });
}

const NO_TOTALS: ListenerFigures['totals'] = { accepted: 0, up: 0, down: 0, unserved: {} };

/** Another service has it. */
function lostListener(listener: ListenerFigures['listener']): ListenerFigures {
  return { listener, isBound: false, active: 0, totals: NO_TOTALS, blocked: 0, refused: {}, dropped: {} };
}
