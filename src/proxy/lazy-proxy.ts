/**
 * The composition of the running proxy: sources → config → table → plan → apply, and what goes on beside them.
 */
import { randomInt } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import type { IsBound } from '../apply/describe-plan.ts';
import type { Backend } from '../backends/backend.ts';
import { parseEngineAddress } from '../backends/engine/engine-address.ts';
import { ProcessBackend } from '../backends/process/process-backend.ts';
import type { Environment } from '../config/environment.ts';
import {
  findWaitingSettings,
  listChangedSettings,
  type ResolvedSettings,
  resolveSettings,
} from '../config/resolve-settings.ts';
import type { SettingsFlags } from '../config/settings.ts';
import { hasErrors, type Problem } from '../model/problem.ts';
import type { Settings } from '../model/settings.ts';
import type { ServiceTable } from '../model/table.ts';
import { type WorkloadRef, workloadRefKey } from '../model/workload.ts';
import { Admission } from '../relay/access/admission.ts';
import { createClientCounts } from '../relay/access/client-counts.ts';
import { loadTrim } from '../relay/native/load-trim.ts';
import { RELAY_THREAD_FILE } from '../relay/splice/thread-file.ts';
import { createTcpRelay } from '../relay/tcp/create-tcp-relay.ts';
import type { TcpRelay } from '../relay/tcp/tcp-relay.ts';
import { createDatagramsLoader } from '../relay/udp/create-datagrams-loader.ts';
import { UdpBudget } from '../relay/udp/udp-budget.ts';
import type { ConfigFile } from '../sources/config-file.ts';
import { Access } from '../status/access.ts';
import type { Api } from '../status/api/api.ts';
import type { MetricsPage } from '../status/metrics/metrics-page.ts';
import { buildStatusRows } from '../status/status-rows.ts';
import { openStatusServer, type StatusServer } from '../status/status-server.ts';
import type { Clock } from '../system/clock.ts';
import { Descriptors, readDescriptorLimit } from '../system/descriptors.ts';
import { Happenings } from '../system/happenings.ts';
import type { Logger } from '../system/log/logger.ts';
import { HeapKeeper } from '../system/memory/heap-keeper.ts';
import { LabelUrlGuard } from '../system/net/label-url-guard.ts';
import { StateFolder } from '../system/state/state-folder.ts';
import { buildTable } from '../table/build-table.ts';
import { describeConfig } from './effective-config.ts';
import { Engines, findNeededEngines } from './engines.ts';
import { Keeping } from './keeping/keeping.ts';
import { logPlan, logReady, type PlanCause, ProblemLog } from './proxy-log.ts';
import { describeReload } from './reload-view.ts';
import { createRuntime, type Runtime } from './runtime.ts';
import { collectViews } from './status-content.ts';
import {
  collectWorkloadProblems,
  findForbiddenUrls,
  findRefusedWebhooks,
  findUnboundFronts,
  findWorkloadProblems,
} from './workload-problems.ts';

/** What messages call the configuration file while none has been found. */
const THE_FILE = 'the configuration file';
/** Workloads that start wait for disks and networks, too. */
const STARTS_PER_CORE = 4;

export interface ProxyOptions {
  readonly file: ConfigFile;
  readonly environment: Environment;
  readonly flags: SettingsFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the program, for the API. */
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The running proxy. `start()`, then `drain()` or `destroy()`, then `close()`. */
export class LazyProxy {
  readonly #options: ProxyOptions;
  readonly #logger: Logger;
  readonly #problemLog: ProblemLog;
  readonly #engines: Engines;
  readonly #process: ProcessBackend;
  readonly #runtime: Runtime;
  readonly #admission: Admission;
  readonly #heapKeeper: HeapKeeper;
  readonly #labelUrls: LabelUrlGuard;
  readonly #backends: readonly Backend[];
  readonly #stateFolder: StateFolder;
  readonly #keeping: Keeping;
  readonly #access: Access;
  readonly #happenings = new Happenings();
  readonly #sinceMs: number;
  /** How often a configuration that changed something was put in force. */
  #generation = 0;
  #changedAtMs = 0;
  /** How often a changed file was put in force. */
  #reloads = 0;
  /** Since when the content of the file is refused, ms since the epoch. */
  #refusedAtMs: number | undefined;
  #status: StatusServer | undefined;
  /** The settings at the start. Some of them stay in force until the end, whatever the file says later. */
  readonly #atStart: ResolvedSettings;
  #settings: Settings;
  /** Settings that wait for the next start. */
  #waiting: readonly Problem[] = [];
  /** Resolves when all lines so far are logged. Each is logged once it has become true, in the order of the events. */
  #logged: Promise<void> = Promise.resolve();
  #phase: 'starting' | 'serving' | 'draining' = 'starting';
  /** The listeners of the first table are bound. */
  #isUp = false;

  private constructor(
    options: ProxyOptions,
    {
      resolved,
      stateFolder,
      keeping,
      relay,
      admission,
      heapKeeper,
    }: {
      readonly resolved: ResolvedSettings;
      readonly stateFolder: StateFolder;
      readonly keeping: Keeping;
      readonly relay: TcpRelay;
      readonly admission: Admission;
      readonly heapKeeper: HeapKeeper;
    },
  ) {
    const { clock, logger, env } = options;
    this.#options = options;
    this.#sinceMs = clock.monotonicMs();
    this.#admission = admission;
    this.#heapKeeper = heapKeeper;
    this.#stateFolder = stateFolder;
    this.#keeping = keeping;
    this.#logger = logger;
    this.#problemLog = new ProblemLog(logger, clock);
    const { settings } = resolved;
    this.#atStart = resolved;
    this.#settings = settings;
    this.#access = new Access({ settings: () => this.#settings.access, hostName: hostname() });
    this.#engines = this.#createEngines();
    this.#process = new ProcessBackend({ clock, logger, env });
    const backends = [...this.#engines.backends, this.#process];
    this.#backends = backends;
    const loadDatagrams = createDatagramsLoader(settings.relay, { logger });
    const udpBudget = new UdpBudget({
      maxQueuedBytes: settings.udpQueueTotalBytes,
      descriptors: readDescriptorLimit(),
    });
    this.#labelUrls = createLabelUrlGuard(settings, env);
    const maxStarting = countStarts(settings);
    const parts = {
      backends,
      relay,
      admission,
      loadDatagrams,
      udpBudget,
      maxStarting,
      keeping,
      clock,
      logger,
    };
    const happenings = this.#happenings;
    this.#runtime = createRuntime({
      ...{ ...parts, happenings, webhooks: settings.webhooks, state: stateFolder },
      checkLabelUrl: this.#labelUrls.check,
      explainEngine: (kind) => this.#engines.explain(kind),
    });
    this.#runtime.trustedProxies.trust(settings.trustedProxies);
  }

  /** Makes a proxy that does nothing yet. @throws where a setting asks for what this machine doesn't have. */
  static async create(options: ProxyOptions): Promise<LazyProxy> {
    const resolved = resolve(options);
    const { clock, logger } = options;
    const descriptors = new Descriptors({
      limit: readDescriptorLimit() ?? Number.POSITIVE_INFINITY,
      clock,
      logger,
    });
    const counts = createClientCounts(randomInt(2 ** 32));
    const heapKeeper = new HeapKeeper({ clock, trim: await loadTrim() });
    const onLeft = () => heapKeeper.note();
    const admission = new Admission({ descriptors, counts, clock, logger, onLeft });
    const relay = await createTcpRelay(resolved.settings.relay, {
      ...{ clock, logger, admission },
      threadFile: RELAY_THREAD_FILE,
    });
    const stateFolder = await StateFolder.open(resolved.settings.stateDir, {
      ...{ clock, logger, isNamed: resolved.origins.state_dir.kind !== 'default' },
    });
    const keeping = await Keeping.load({ folder: stateFolder, clock, logger });
    return new LazyProxy(options, { resolved, stateFolder, keeping, relay, admission, heapKeeper });
  }

  /** Whether the start is complete. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /**
   * Opens the status server, the engines and the listeners; resolves when every listener is bound or has failed to bind.
   * @throws where the proxy can't run.
   */
  async start(): Promise<void> {
    await this.#openStatus();
    if (this.#phase !== 'starting') return this.#status?.close();
    const { lifecycle } = this.#runtime;
    await this.#process.open({
      observed: (key, observation) => lifecycle.observe(key, observation),
      labelled: () => {},
      reachable: () => {},
    });
    await this.#engines.open(findNeededEngines(this.#settings, this.#buildTable()));
    if (this.#phase !== 'starting') return;
    this.#phase = 'serving';
    this.#reconcile({ what: this.#options.file.shownPath ?? 'no configuration file', isAwaited: false });
    await this.#logged;
    this.#isUp = true;
    this.#heapKeeper.begin();
    const services = this.#runtime.reconciler.current.entries.size;
    const wanted = [...this.#runtime.reconciler.current.entries.values()].flatMap(
      ({ service }) => service.listeners,
    );
    const bound = wanted.filter((listener) => this.#runtime.listeners.status(listener).error === undefined);
    const listeners = { wanted: wanted.length, bound: bound.length };
    const doors = this.#runtime.reconciler.current.fronts;
    const fronts = {
      wanted: doors.length,
      bound: doors.filter((front) => this.#runtime.fronts.isBound(front)).length,
    };
    logReady({ services, listeners, fronts, status: this.#settings.status }, this.#logger);
  }

  /** To be called when the file has changed: puts a valid file in force, and logs the mistakes of any other. */
  fileChanged(): void {
    const { shownPath: what = THE_FILE, problems, isMended } = this.#options.file;
    const isRefused = hasErrors(problems);
    if (!isRefused) this.#reloads++;
    this.#refusedAtMs = isRefused ? (this.#refusedAtMs ?? this.#options.clock.nowMs()) : undefined;
    this.#reconcile({ what, isAwaited: !isRefused, isMended });
    if (isRefused) {
      this.#tellReload('refused');
      this.#runtime.events.reloadRefused(what, problems);
      const message = `${what} is refused; the last good configuration stays in force`;
      this.#tell(() => this.#logger.error({ event: 'reload-refused' }, message));
    }
  }

  /** Reads the file again and logs the result, even if nothing has changed. */
  async reload(): Promise<void> {
    const { file } = this.#options;
    if (await file.reload()) return;
    const { shownPath, problems } = file;
    this.#tell(() => {
      if (hasErrors(problems)) {
        const message = `${shownPath ?? THE_FILE}: nothing changed, and it is still refused; the last good configuration stays in force`;
        return this.#logger.error({ event: 'reload-refused' }, message);
      }
      const message =
        shownPath === undefined ? 'there is no configuration file' : `${shownPath}: nothing changed`;
      this.#logger.info({ event: 'reload', changes: 0 }, message);
    });
  }

  /** Stops accepting and lets connections finish; no workload is started or stopped any more. Resolves when all have ended. */
  drain(): Promise<void> {
    this.#phase = 'draining';
    return this.#runtime.drain();
  }

  /** Ends every connection now. */
  cutConnections(): void {
    this.#runtime.cutConnections();
  }

  /** Ends every connection and local process now. */
  destroy(): void {
    this.cutConnections();
    this.#process.destroy();
  }

  /** Frees everything; ends local processes, leaves other workloads as they are. */
  async close(): Promise<void> {
    // A start that is under way opens nothing more.
    this.#phase = 'draining';
    this.#status?.close();
    this.#heapKeeper.close();
    await Promise.all([
      // Whoever ends the program may not wait until the last connection has ended.
      this.#keeping.close(),
      this.#runtime.close(),
      this.#engines.close(),
      this.#process.close(),
      this.#options.file.close(),
    ]);
    await this.#stateFolder.close();
  }

  #createEngines(): Engines {
    const { environment, env, clock, logger } = this.#options;
    return new Engines({
      settings: this.#settings,
      ...{ env, clock, logger, pollIntervalMs: environment.pollIntervalMs },
      listener: {
        observed: (key, observation) => this.#runtime.lifecycle.observe(key, observation),
        runEnded: (key, how) => this.#runtime.lifecycle.runEnded(key, how),
        labelled: (what) => this.#reconcile({ what, isAwaited: false }),
        populated: () => {
          const { entries } = this.#runtime.reconciler.current;
          const follows = [...entries.values()].some(({ service }) => service.dependsOnBy === 'compose');
          if (follows) this.#reconcile({ what: "Compose's labels", isAwaited: false });
        },
        ownChanged: () => this.#reconcile({ what: "the proxy's own container", isAwaited: false }),
        servedKinds: () => {
          // The engines answer before there is a first table.
          const { entries } =
            this.#phase === 'starting' ? this.#buildTable() : this.#runtime.reconciler.current;
          return new Set([...entries.values()].map(({ service }) => service.workload.kind));
        },
        refusedStarted: (ref) => this.#repeatRefusal(ref),
        reached: (kind, said) => this.#runtime.events.engineReached(kind, said),
        renamed: (from, to) => this.#runtime.lifecycle.renamed(from, to),
        shared: (kind, view) => this.#runtime.lifecycle.share(kind, view),
      },
    });
  }

  #buildTable(): ServiceTable {
    const { file, environment, flags } = this.#options;
    const { readings: labelled, own } = this.#engines;
    const compose = () => this.#engines.composeOrder;
    const { holders, current: before } = this.#runtime.reconciler;
    const { settings, origins } = this.#atStart;
    const status = { value: settings.status, origin: origins.status };
    return buildTable({
      ...{ file: file.config, labelled, own, compose, environment, flags, holders, before, status },
    });
  }

  /** Does nothing before the engines have been asked, since their labels are still missing, and nothing during the shutdown. */
  #reconcile(cause: PlanCause): void {
    if (this.#phase !== 'serving') return;
    const settings = this.#applySettings();
    const table = this.#buildTable();
    const plan = this.#runtime.reconciler.apply(table);
    this.#runtime.events.followConflicts(table);
    if (this.#generation === 0 || plan.length > 0 || settings.length > 0) {
      this.#generation++;
      this.#changedAtMs = this.#options.clock.nowMs();
      this.#tellReload('applied');
    } else if (cause.isMended === true) this.#tellReload('applied');
    void this.#engines.open(findNeededEngines(this.#settings, table));
    const { listeners, fronts } = this.#runtime;
    const isBound: IsBound = (place) =>
      'targetPort' in place ? listeners.status(place).error === undefined : fronts.isBound(place);
    const problems = this.#problems();
    this.#tell(() => {
      logPlan(plan, { logger: this.#logger, cause, isBound, settings });
      this.#problemLog.show([...problems, ...this.#runtime.certificates.findUncovered(table)]);
    });
  }

  #tellReload(result: 'applied' | 'refused'): void {
    const problems = this.#options.file.problems.length;
    this.#happenings.tell({ kind: 'reload', result, generation: this.#generation, problems });
  }

  /** Logs something once all listeners that are being opened are bound or have failed to bind. */
  #tell(log: () => void): void {
    const { listeners, fronts } = this.#runtime;
    const settled = Promise.all([listeners.settled(), fronts.settled()]);
    this.#logged = this.#logged.then(() => settled).then(() => log());
  }

  /** Returns the names of the settings that have changed. */
  #applySettings(): readonly string[] {
    const before = this.#settings;
    const resolved = resolve(this.#options);
    this.#settings = resolved.settings;
    this.#engines.setSettings(this.#settings);
    this.#runtime.lifecycle.setMaxStarting(countStarts(this.#settings));
    this.#runtime.lifecycle.room.setLimits({ ...this.#settings.limits, groups: this.#settings.groups });
    this.#labelUrls.allow(this.#settings.docker.labelUrls);
    this.#runtime.setWebhooks(this.#settings.webhooks);
    this.#runtime.trustedProxies.trust(this.#settings.trustedProxies);
    this.#waiting = findWaitingSettings(this.#atStart.settings, resolved);
    return listChangedSettings(before, resolved.settings);
  }

  #problems(): readonly Problem[] {
    const { file } = this.#options;
    const { current } = this.#runtime.reconciler;
    const forbidden = findForbiddenUrls(current, this.#explainUrl);
    return [...file.problems, ...this.#waiting, ...current.problems, ...forbidden];
  }

  readonly #explainUrl = (url: string): string | undefined => this.#labelUrls.explainUrl(url);

  async #openStatus(): Promise<void> {
    if (this.#settings.status === 'off') return;
    const { clock } = this.#options;
    const admission = this.#admission;
    this.#status = await openStatusServer(this.#settings.status, {
      content: {
        status: () => {
          const views = collectViews(this.#runtime.reconciler.current, this.#runtime);
          return buildStatusRows(views, clock.nowMs());
        },
        problems: () => [
          ...this.#engines.problems,
          ...this.#problems(),
          ...collectWorkloadProblems(this.#runtime.reconciler.current, this.#runtime, this.#explainUrl),
          ...findUnboundFronts(resolve(this.#options), this.#runtime),
          ...findRefusedWebhooks(resolve(this.#options), this.#runtime),
          ...this.#runtime.certificates.findProblems(),
          ...this.#runtime.certificates.findUncovered(this.#runtime.reconciler.current),
        ],
        phase: () => (this.#isUp ? this.#phase : 'starting'),
      },
      clock,
      loadApi: () => this.#loadApi(),
      loadMetrics: () => this.#loadMetrics(),
      access: this.#access,
      // The other half of the descriptors that the proxy keeps for itself is for its engine and its files.
      maxConnections: Math.floor(admission.descriptors.reserve / 2),
      onCrowded: (count) => {
        const message = `the status server has reached its limit of ${count} connections, and closed an old one`;
        admission.tell('the status server', { bound: 'status-connections', message });
      },
    });
    this.#runtime.own.add({ protocol: 'tcp', ...this.#settings.status, service: undefined });
  }

  async #loadApi(): Promise<Api> {
    const { clock, version } = this.#options;
    const { openApi } = await import('./open-api.ts');
    return openApi({
      ...{ runtime: this.#runtime, backends: this.#backends, access: this.#access, clock },
      happenings: this.#happenings,
      proxy: {
        about: () => ({
          version,
          uptimeMs: clock.monotonicMs() - this.#sinceMs,
          fronts: this.#runtime.fronts.list(),
          room: this.#runtime.lifecycle.room.figures,
          phase: this.#isUp ? this.#phase : 'starting',
          engines: this.#engines.standing,
        }),
        config: (options) =>
          describeConfig(
            this.#runtime.reconciler.current,
            { atStart: this.#atStart, newest: resolve(this.#options) },
            options,
          ),
        reload: (options) =>
          describeReload(this.#options.file, {
            ...{ generation: this.#generation, changedAtMs: this.#changedAtMs, waiting: this.#waiting },
            ...{ ...options, refusedAtMs: this.#refusedAtMs },
          }),
      },
      traefik: () => this.#settings.traefik,
      problemsOf: (entry) => findWorkloadProblems(entry, this.#runtime, this.#explainUrl),
    });
  }

  async #loadMetrics(): Promise<MetricsPage> {
    const { clock, version, file } = this.#options;
    const startedAtMs = clock.nowMs() - process.uptime() * 1_000;
    const { openMetrics } = await import('./open-metrics.ts');
    return openMetrics({
      ...{ runtime: this.#runtime, engines: this.#engines, version, startedAtMs, clock },
      reload: () => ({
        ...{ generation: this.#generation, changedAtMs: this.#changedAtMs, applied: this.#reloads },
        ...{ refused: file.refusedReloads, isRefused: hasErrors(file.problems) },
      }),
    });
  }

  /** Logs the refusal again when the workload is started by hand: whoever does that looks at the log for the reason. */
  #repeatRefusal(ref: WorkloadRef): void {
    const key = workloadRefKey(ref);
    const { problems } = this.#runtime.reconciler.current;
    this.#problemLog.repeat(
      key,
      problems.filter(({ origin }) => origin.kind === 'label' && workloadRefKey(origin.workload) === key),
    );
  }
}

function countStarts({ maxStarting }: Settings): number {
  return maxStarting === 'auto' ? STARTS_PER_CORE * availableParallelism() : maxStarting;
}

function resolve({ file, environment, flags }: ProxyOptions): ResolvedSettings {
  return resolveSettings({ file: file.config, environment, flags });
}

/** The places that URLs from labels may not lead to, fixed at the start. */
function createLabelUrlGuard({ status, docker }: Settings, env: ProxyOptions['env']): LabelUrlGuard {
  const engine = parseEngineAddress(docker.socket, env);
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  const guard = new LabelUrlGuard({
    engines: [
      ...(engine.kind === 'tcp' ? [engine] : []),
      ...(host === undefined ? [] : [{ host, port: Number(port) }]),
    ],
    statusPort: status === 'off' ? undefined : status.port,
  });
  guard.allow(docker.labelUrls);
  return guard;
}
