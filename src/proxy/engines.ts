import { statSync } from 'node:fs';
import type { Backend, BackendSink, LabelledWorkload, SharedView } from '../backends/backend.ts';
import { DockerBackend } from '../backends/docker/docker-backend.ts';
import { EngineConnection } from '../backends/engine/engine-connection.ts';
import { createKubernetesBackend } from '../backends/kubernetes/kubernetes-backend.ts';
import { SwarmBackend } from '../backends/swarm/swarm-backend.ts';
import { type LabelReading, parseLabels } from '../config/labels.ts';
import { type ComposeOrder, readComposeOrder } from '../config/rules/compose-order.ts';
import type { LabelPrefixes } from '../model/label-names.ts';
import type { Problem } from '../model/problem.ts';
import type { Observation } from '../model/running/observation.ts';
import { isSameData } from '../model/same-data.ts';
import type { Settings } from '../model/settings.ts';
import type { ServiceTable } from '../model/table.ts';
import { type WorkloadKind, type WorkloadRef, workloadRefKey } from '../model/workload.ts';
import type { CallCounts } from '../system/call-counts.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';
import { repeat } from '../system/waiting/repeat.ts';
import { logReachable } from './proxy-log.ts';

/** Receives what the engines report. */
export interface EnginesListener {
  observed(key: string, observation: Observation): void;
  runEnded(key: string, how: { readonly byOthers: boolean }): void;
  /** The labels of an engine's workloads have changed; `cause` is for the log. */
  labelled(cause: string): void;
  /** Containers have appeared, gone or got other names. */
  populated(): void;
  /** The proxy has found out which container it runs in itself, or another one than before. */
  ownChanged(): void;
  /** The kinds of workloads that services have now. */
  servedKinds(): ReadonlySet<WorkloadKind>;
  /** An engine can, or can't, be asked. */
  reached(kind: EngineKind, said: { readonly reachable: boolean; readonly reason: string }): void;
  /** A workload whose labels were refused was started. */
  refusedStarted(ref: WorkloadRef): void;
  shared(kind: WorkloadKind, view: SharedView): void;
  /** Keys of a workload before and after it got another name. */
  renamed(from: string, to: string): void;
}

export interface EnginesOptions {
  readonly settings: Settings;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How often the state of all workloads is asked for again, in ms; undefined = never. */
  readonly pollIntervalMs: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly listener: EnginesListener;
}

interface Engine {
  readonly backend: Backend;
  readonly labels: LabelInput;
  /** The workloads that the proxy itself runs in, by this engine's account. */
  own: readonly WorkloadRef[];
  opened: boolean;
  hasAnswered?: boolean;
  /** Why it doesn't answer now. */
  unreachable?: string | undefined;
}

/** The engines whose workloads are served: each is opened when it is first needed, and from then on until `close()`. */
export class Engines {
  readonly #options: EnginesOptions;
  readonly #engines: Readonly<Record<EngineKind, Engine>>;
  readonly #rechecks: Cancel[] = [];
  readonly #calls: () => Readonly<Record<'docker' | 'kubernetes', CallCounts | undefined>>;
  #settings: Settings;

  /** @throws {Error} where the engine's address, or a certificate that it needs, can't be used. */
  constructor(options: EnginesOptions) {
    const { settings, env, clock, logger } = options;
    this.#options = options;
    this.#settings = settings;
    const parts = { env, clock, logger };
    const engine = new EngineConnection({ ...parts, ...settings.docker });
    const kubernetes = { ...parts, ...settings.kubernetes, ...labelOptionsOf('kubernetes', settings) };
    const docker = { engine, clock, logger, ...labelOptionsOf('docker', settings) };
    const cluster = createKubernetesBackend(kubernetes);
    this.#calls = () => ({ docker: engine.client.calls, kubernetes: cluster.calls });
    this.#engines = {
      docker: createEngine(new DockerBackend(docker)),
      swarm: createEngine(new SwarmBackend(docker)),
      kubernetes: createEngine(cluster),
    };
  }

  get backends(): readonly Backend[] {
    return Object.values(this.#engines).map(({ backend }) => backend);
  }

  /** What the labels of all engines' workloads say. */
  get readings(): readonly LabelReading[] {
    return Object.values(this.#engines).flatMap(({ labels }) => labels.readings);
  }

  /** What Compose says of the order of its containers; undefined where no engine has told. */
  get composeOrder(): ComposeOrder | undefined {
    const containers = this.#engines.docker.backend.composed?.();
    return containers && readComposeOrder(containers);
  }

  /** The workloads that the proxy itself runs in. */
  get own(): readonly WorkloadRef[] {
    const all = Object.values(this.#engines).flatMap(({ own }) => own);
    return [...new Map(all.map((ref) => [workloadRefKey(ref), ref])).values()];
  }

  /** The engines that are used and don't answer, and why. */
  get problems(): readonly Problem[] {
    return this.standing.flatMap(({ name, problem }): readonly Problem[] => {
      if (problem === undefined) return [];
      const origin = { kind: 'engine', name } as const;
      return [{ code: 'engine-unreachable', severity: 'error', message: problem, origin }];
    });
  }

  /** The calls of each API that have ended; containers and Swarm services have one API. */
  get calls(): Readonly<Record<'docker' | 'kubernetes', CallCounts | undefined>> {
    return this.#calls();
  }

  /** The engines that are used, and why those that don't answer don't: a swarm only where there is one, or services need it. */
  get standing(): readonly {
    readonly kind: string;
    readonly name: string;
    readonly problem: string | undefined;
  }[] {
    const served = this.#options.listener.servedKinds();
    const used = Object.entries(this.#engines).filter(
      ([kind, { opened, backend }]) =>
        opened && (backend.isThere !== false || served.has(kind as EngineKind)),
    );
    return used.map(([kind, { unreachable: problem }]) => ({
      kind,
      name: ENGINE_NAMES[kind as EngineKind],
      problem,
    }));
  }

  /** Why workloads of a kind can't be started now: `the Docker engine does not answer`; undefined where they can. */
  explain(kind: WorkloadKind): string | undefined {
    if (kind === 'process' || this.#engines[kind].unreachable === undefined) return undefined;
    return `${ENGINE_NAMES[kind]} does not answer`;
  }

  /** Opens the engines that are not open yet; resolves when each has answered or has turned out not to answer. */
  async open(kinds: Iterable<EngineKind>): Promise<void> {
    await Promise.all([...new Set(kinds)].map((kind) => this.#open(kind)));
  }

  /** Takes new settings; an engine's address stays. */
  setSettings(settings: Settings): void {
    this.#settings = settings;
    for (const kind of ['docker', 'swarm', 'kubernetes'] as const) {
      const { backend } = this.#engines[kind];
      backend.setLabelOptions?.(labelOptionsOf(kind, settings));
      backend.setJoinNetworks?.(settings.docker.joinNetworks);
      backend.setNeedsLimits?.(settings.limits.memoryBytes !== undefined);
    }
  }

  /** Leaves the workloads as they are and lets go of the engines. Idempotent. */
  async close(): Promise<void> {
    for (const cancel of this.#rechecks.splice(0)) cancel();
    await Promise.all(this.backends.map((backend) => backend.close()));
  }

  async #open(kind: EngineKind): Promise<void> {
    const engine = this.#engines[kind];
    if (engine.opened) return;
    engine.opened = true;
    const { clock, pollIntervalMs: everyMs } = this.#options;
    const { backend } = engine;
    if (everyMs !== undefined)
      this.#rechecks.push(repeat(async () => backend.recheck?.(), { clock, everyMs }));
    await backend.open(this.#createSink(kind, engine));
  }

  #createSink(kind: EngineKind, engine: Engine): BackendSink {
    const { listener } = this.#options;
    return {
      observed: (key, observation) => listener.observed(key, observation),
      runEnded: (key, how) => listener.runEnded(key, how),
      labelled: (snapshot) => {
        engine.labels.take(snapshot, labelOptionsOf(kind, this.#settings).labelPrefixes);
        listener.labelled(`labels of ${ENGINE_NAMES[kind]}`);
      },
      populated: () => listener.populated(),
      own: (refs) => {
        if (isSameData(engine.own, refs)) return;
        engine.own = refs;
        listener.ownChanged();
      },
      renamed: (from, to) => listener.renamed(workloadRefKey(from), workloadRefKey(to)),
      started: (ref) => {
        if (engine.labels.isRefused(ref)) listener.refusedStarted(ref);
      },
      reachable: (reachable, reason) => this.#reached(kind, { reachable, reason }),
      shared: (view) => listener.shared(kind, view),
    };
  }

  #reached(
    kind: EngineKind,
    said: { readonly reachable: boolean; readonly reason: string | undefined },
  ): void {
    const { reachable } = said;
    const engine = this.#engines[kind];
    engine.hasAnswered ||= reachable;
    const why = said.reason ?? 'no answer';
    const reason = kind === 'kubernetes' ? why : adviseOnSocket(why, { wasThere: engine.hasAnswered });
    const wasAway = engine.unreachable !== undefined;
    engine.unreachable = reachable ? undefined : reason;
    // That it is away is told once; why it still is, the status says.
    if (wasAway && !reachable && kind !== 'kubernetes') return;
    // Containers and Swarm services are behind the same socket: one line tells of both.
    if (kind === 'swarm' && this.#engines.docker.opened) return;
    const advice = reachable ? '' : this.#adviseWithout(kind);
    this.#options.listener.reached(kind, { reachable, reason });
    logReachable({ engine: ENGINE_NAMES[kind], reachable, reason, advice }, this.#options.logger);
  }

  /** An engine that serves nothing may simply not be there. */
  #adviseWithout(kind: EngineKind): string {
    const served = this.#options.listener.servedKinds();
    const isServed = kind === 'kubernetes' ? served.has(kind) : served.has('docker') || served.has('swarm');
    if (served.size === 0 || isServed) return '';
    const section = kind === 'kubernetes' ? kind : 'docker';
    return `; it is asked for labels alone: where there is none, write ${section}: { labels: false }`;
  }
}

/** The usual cause why a socket can't be opened, with what to do. @param options.wasThere whether the engine has answered before. */
function adviseOnSocket(reason: string, { wasThere }: { readonly wasThere: boolean }): string {
  const [, code, socket = ''] = /connect (ENOENT|EACCES|ECONNREFUSED) (\/\S+)/.exec(reason) ?? [];
  if (code === 'ECONNREFUSED' || (code === 'ENOENT' && wasThere))
    return `${reason} (nothing listens there: does the engine run?)`;
  if (code === 'ENOENT')
    return `${reason} (there is no such socket: mount it into the proxy's container, -v ${socket}:${socket}, or name another with DOCKER_SOCK)`;
  if (code === 'EACCES')
    return `${reason} (the proxy's user may not open it: run it with the group of the socket, ${describeUser(socket)}, or as root)`;
  return reason;
}

/** As `docker run --user` and Compose's `user:` take it: the proxy's own user with the socket's group. */
function describeUser(socket: string): string {
  const user = process.getuid?.() ?? '';
  try {
    return `user: "${user}:${statSync(socket).gid}"`;
  } catch {
    // A folder on the way may be closed, too.
    return `user: "${user}:<group>"`;
  }
}

function createEngine(backend: Engine['backend']): Engine {
  return { backend, labels: new LabelInput(), own: [], opened: false };
}

/** The kinds of workloads that an engine runs; the proxy itself runs processes. */
export type EngineKind = Exclude<WorkloadKind, 'process'>;

/** The names of the engines in messages. */
export const ENGINE_NAMES: Readonly<Record<EngineKind, string>> = {
  docker: 'the Docker engine',
  swarm: 'Docker Swarm',
  kubernetes: 'the Kubernetes API server',
};

/** The engine whose labels count: that of the backend in the settings. */
export function labelOptionsOf(
  kind: EngineKind,
  { backend, docker, kubernetes }: Settings,
): { readonly labels: boolean; readonly labelPrefixes: LabelPrefixes; readonly imageLabels?: boolean } {
  const isInForce = backend === (kind === 'kubernetes' ? 'kubernetes' : 'docker');
  const { labels, labelPrefixes } = kind === 'kubernetes' ? kubernetes : docker;
  const own = { labels: labels && isInForce, labelPrefixes };
  return kind === 'docker' ? { ...own, imageLabels: docker.imageLabels } : own;
}

/** The engines that are needed: the one whose labels count, and those that run workloads of the table. */
export function findNeededEngines(settings: Settings, table: ServiceTable): readonly EngineKind[] {
  const kinds = new Set([...table.entries.values()].map(({ service }) => service.workload.kind));
  return (['docker', 'swarm', 'kubernetes'] as const).filter(
    (kind) => kinds.has(kind) || labelOptionsOf(kind, settings).labels,
  );
}

interface ReadLabels {
  readonly workload: LabelledWorkload;
  readonly prefixes: LabelPrefixes;
  readonly reading: LabelReading;
}

/** The labels of an engine's workloads, read; a workload whose labels are the same is not read again. */
class LabelInput {
  #readings = new Map<string, ReadLabels>();

  /** One reading per workload that opts in or tries to. */
  get readings(): readonly LabelReading[] {
    return [...this.#readings.values()].map(({ reading }) => reading);
  }

  /** Whether a mistake in its labels keeps a workload from being served. */
  isRefused(ref: WorkloadRef): boolean {
    return this.#readings.get(workloadRefKey(ref))?.reading.kind === 'refused';
  }

  /** Takes the newest snapshot, whole. */
  take(snapshot: readonly LabelledWorkload[], prefixes: LabelPrefixes): void {
    const known = this.#readings;
    this.#readings = new Map(
      snapshot.map((workload) => {
        const key = workloadRefKey(workload.ref);
        const before = known.get(key);
        const isSame =
          before !== undefined &&
          isSameData(before.prefixes, prefixes) &&
          isSameData(before.workload, workload);
        return [key, isSame ? before : { workload, prefixes, reading: parseLabels(workload, { prefixes }) }];
      }),
    );
  }
}
