/**
 * The composition of the running proxy: sources → config → table → plan → apply, and what goes on beside them.
 */
import { ProcessBackend } from '../backends/process/process-backend.ts';
import type { Environment } from '../config/environment.ts';
import type { Sourced } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import type { Settings } from '../model/settings.ts';
import type { ServiceTable } from '../model/table.ts';
import { type WorkloadRef, workloadRefKey } from '../model/workload.ts';
import { createDatagramsLoader } from '../relay/create-datagrams-loader.ts';
import { createTcpRelay } from '../relay/create-tcp-relay.ts';
import { RELAY_THREAD_FILE } from '../relay/splice/thread-file.ts';
import type { TcpRelay } from '../relay/tcp-relay.ts';
import { UdpBudget } from '../relay/udp-budget.ts';
import { buildStatusRows } from '../status/status-rows.ts';
import type { StatusServer } from '../status/status-server.ts';
import { Descriptors } from '../system/descriptors.ts';
import type { Clock } from '../system/clock.ts';
import { readDescriptorLimit } from '../system/descriptor-limit.ts';
import type { Logger } from '../system/logger.ts';
import { buildTable } from '../table/build-table.ts';
import { type ResolvedSettings, resolveSettings, type SettingsFlags } from '../table/resolve-settings.ts';
import { findNeededEngines } from './engine-kinds.ts';
import { Engines } from './engines.ts';
import type { FileInput } from './file-input.ts';
import { needsRestart, RESTART_MESSAGE } from './fixed-settings.ts';
import { openStatusServer } from './open-status-server.ts';
import { logPlan, logReady, ProblemLog } from './proxy-log.ts';
import { createRuntime, type Runtime } from './runtime.ts';
import { collectViews } from './status-content.ts';

export interface ProxyOptions {
  readonly file: FileInput;
  readonly environment: Environment;
  readonly flags: SettingsFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
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
  #status: StatusServer | undefined;
  /** Where the status server listens until the end, whatever the file says later. */
  readonly #statusPlace: Sourced<Settings['status']>;
  #settings: Settings;
  #phase: 'starting' | 'serving' | 'draining' = 'starting';
  /** The listeners of the first table are bound. */
  #isUp = false;

  private constructor(
    options: ProxyOptions,
    {
      settings,
      origins,
      relay,
      descriptors,
    }: ResolvedSettings & { readonly relay: TcpRelay; readonly descriptors: Descriptors },
  ) {
    const { clock, logger, env } = options;
    this.#options = options;
    this.#logger = logger;
    this.#problemLog = new ProblemLog(logger);
    this.#statusPlace = { value: settings.status, origin: origins.status };
    this.#settings = settings;
    this.#engines = this.#createEngines();
    this.#process = new ProcessBackend({ clock, logger, env });
    const backends = [...this.#engines.backends, this.#process];
    const loadDatagrams = createDatagramsLoader(settings.relay, { logger });
    const udpBudget = new UdpBudget({
      maxQueuedBytes: settings.udpQueueTotalBytes,
      descriptors: readDescriptorLimit(),
    });
    const parts = { backends, relay, descriptors, loadDatagrams, udpBudget, clock, logger };
    this.#runtime = createRuntime(parts);
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
    const relay = await createTcpRelay(resolved.settings.relay, {
      ...{ clock, logger, descriptors },
      threadFile: RELAY_THREAD_FILE,
    });
    return new LazyProxy(options, { ...resolved, relay, descriptors });
  }

  /** Takes up its work; resolves when every listener was bound or found not bindable. @throws where it can't begin. */
  async start(): Promise<void> {
    await this.#openStatus();
    const { lifecycle } = this.#runtime;
    await this.#process.open({
      observed: (key, observation) => lifecycle.observe(key, observation),
      labelled: () => {},
      reachable: () => {},
    });
    await this.#engines.open(findNeededEngines(this.#settings, this.#buildTable()));
    this.#phase = 'serving';
    this.#reconcile(this.#options.file.shownPath ?? 'no configuration file');
    await this.#runtime.listeners.settled();
    this.#isUp = true;
    const services = this.#runtime.reconciler.current.entries.size;
    const listeners = this.#runtime.reconciler.holders.size;
    logReady({ services, listeners, status: this.#settings.status }, this.#logger);
  }

  /** The file has changed: puts it in force where it is good, and says what is wrong where it is not. */
  fileChanged(): void {
    const { shownPath = 'the configuration file', problems } = this.#options.file;
    this.#reconcile(shownPath);
    if (problems.some(({ severity }) => severity === 'error')) {
      this.#logger.error(
        { event: 'reload-refused' },
        `${shownPath} is refused; the last good configuration stays in force`,
      );
    }
  }

  /** Stops accepting and lets connections finish; no workload is started or stopped any more. Resolves when all have ended. */
  drain(): Promise<void> {
    this.#phase = 'draining';
    return this.#runtime.drain();
  }

  /** Ends every connection now. */
  cutConnections(): void {
    this.#runtime.listeners.destroy();
  }

  /** Ends every connection and local process now. */
  destroy(): void {
    this.cutConnections();
    this.#process.destroy();
  }

  /** Frees everything; ends local processes, leaves other workloads as they are. */
  async close(): Promise<void> {
    this.#status?.close();
    await Promise.all([
      this.#runtime.close(),
      this.#engines.close(),
      this.#process.close(),
      this.#options.file.close(),
    ]);
  }

  #createEngines(): Engines {
    const { environment, env, clock, logger } = this.#options;
    return new Engines({
      settings: this.#settings,
      ...{ env, clock, logger, pollIntervalMs: environment.pollIntervalMs },
      listener: {
        observed: (key, observation) => this.#runtime.lifecycle.observe(key, observation),
        labelled: (cause) => this.#reconcile(cause),
        refusedStarted: (ref) => this.#repeatRefusal(ref),
        shared: (kind, view) => this.#runtime.lifecycle.share(kind, view),
      },
    });
  }

  #buildTable(): ServiceTable {
    const { file, environment, flags } = this.#options;
    const { readings: labelled } = this.#engines;
    const { holders, current: before } = this.#runtime.reconciler;
    const status = this.#statusPlace;
    return buildTable({ file: file.config, labelled, environment, flags, holders, before, status });
  }

  /** Before the start is complete there is more to come; after the end has begun, nothing may be opened again. */
  #reconcile(cause: string): void {
    if (this.#phase !== 'serving') return;
    this.#applySettings();
    const table = this.#buildTable();
    const plan = this.#runtime.reconciler.apply(table);
    void this.#engines.open(findNeededEngines(this.#settings, table));
    logPlan(plan, { logger: this.#logger, cause });
    this.#problemLog.show(this.#problems());
  }

  #applySettings(): void {
    const before = this.#settings;
    this.#settings = resolve(this.#options).settings;
    this.#engines.setSettings(this.#settings);
    if (!needsRestart(before, this.#settings)) return;
    this.#logger.warn({ event: 'restart-needed' }, RESTART_MESSAGE);
  }

  #problems(): readonly Problem[] {
    return [...this.#options.file.problems, ...this.#runtime.reconciler.current.problems];
  }

  async #openStatus(): Promise<void> {
    if (this.#settings.status === 'off') return;
    this.#status = await openStatusServer(this.#settings.status, {
      status: () => {
        const views = collectViews(this.#runtime.reconciler.current, this.#runtime);
        return buildStatusRows(views, this.#options.clock.nowMs());
      },
      problems: () => [...this.#engines.problems, ...this.#problems()],
      phase: () => (this.#isUp ? this.#phase : 'starting'),
    });
  }

  /** Whoever starts a workload by hand and wonders why it is not served finds the reason where he looks. */
  #repeatRefusal(ref: WorkloadRef): void {
    const key = workloadRefKey(ref);
    const { problems } = this.#runtime.reconciler.current;
    this.#problemLog.repeat(
      problems.filter(({ origin }) => origin.kind === 'label' && workloadRefKey(origin.workload) === key),
    );
  }
}

function resolve({ file, environment, flags }: ProxyOptions): ResolvedSettings {
  return resolveSettings({ file: file.config, environment, flags });
}
