/**
 * The composition of the running proxy: sources → config → table → plan → apply, and what goes on beside them.
 */
import type { BackendSink } from '../backends/backend.ts';
import { createDockerBackend, type DockerBackend } from '../backends/docker/docker-backend.ts';
import { ProcessBackend } from '../backends/process/process-backend.ts';
import type { Environment } from '../config/environment.ts';
import type { Problem } from '../model/problem.ts';
import type { Settings } from '../model/settings.ts';
import { buildStatusRows } from '../status/status-rows.ts';
import type { StatusServer } from '../status/status-server.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/logger.ts';
import { repeat } from '../system/repeat.ts';
import { buildTable } from '../table/build-table.ts';
import { type ResolvedSettings, resolveSettings, type SettingsFlags } from '../table/resolve-settings.ts';
import type { FileInput } from './file-input.ts';
import { LabelInput } from './label-input.ts';
import { openStatusServer } from './open-status-server.ts';
import { logPlan, logReachable, logReady, ProblemLog } from './proxy-log.ts';
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
  readonly #labels = new LabelInput();
  readonly #problemLog: ProblemLog;
  readonly #docker: DockerBackend;
  readonly #process: ProcessBackend;
  readonly #runtime: Runtime;
  #status: StatusServer | undefined;
  #settings: Settings;
  #dockerOpened = false;
  #endRechecks: Cancel | undefined;
  #phase: 'starting' | 'serving' | 'draining' = 'starting';

  constructor(options: ProxyOptions) {
    const { clock, logger, env } = options;
    this.#options = options;
    this.#logger = logger;
    this.#problemLog = new ProblemLog(logger);
    this.#settings = this.#resolveSettings().settings;
    this.#docker = createDockerBackend({ ...this.#settings.docker, env, clock, logger });
    this.#process = new ProcessBackend({ clock, logger, env });
    this.#runtime = createRuntime({ backends: [this.#docker, this.#process], clock, logger });
  }

  /** Takes up its work; resolves when every listener was bound or found not bindable. @throws where it can't begin. */
  async start(): Promise<void> {
    await this.#openStatus();
    await this.#process.open(this.#createSink());
    if (this.#needsDocker()) await this.#openDocker();
    this.#phase = 'serving';
    this.#reconcile(this.#options.file.shownPath ?? 'no configuration file');
    await this.#runtime.listeners.settled();
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

  /** Stops accepting and lets connections finish; no workload is put to sleep any more. Resolves when all have ended. */
  drain(): Promise<void> {
    this.#phase = 'draining';
    this.#runtime.lifecycle.keepAwake();
    return this.#runtime.listeners.drain();
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
    this.#endRechecks?.();
    this.#status?.close();
    await Promise.all([
      this.#runtime.close(),
      this.#docker.close(),
      this.#process.close(),
      this.#options.file.close(),
    ]);
  }

  #resolveSettings(): ResolvedSettings {
    const { file, environment, flags } = this.#options;
    return resolveSettings({ file: file.config, environment, flags });
  }

  #needsDocker(): boolean {
    const { services } = this.#options.file.config ?? { services: [] };
    return this.#settings.docker.labels || services.some(({ draft }) => draft.command === undefined);
  }

  async #openDocker(): Promise<void> {
    this.#dockerOpened = true;
    const { clock, environment } = this.#options;
    const everyMs = environment.pollIntervalMs;
    if (everyMs !== undefined) this.#endRechecks = repeat(() => this.#docker.recheck(), { clock, everyMs });
    await this.#docker.open({
      ...this.#createSink(),
      labelled: (snapshot) => {
        this.#labels.take(snapshot, this.#settings.docker.labelPrefix);
        this.#reconcile('container labels');
      },
      started: (container) => this.#repeatRefusal(container),
      reachable: (reachable, reason) => logReachable({ reachable, reason }, this.#logger),
    });
  }

  #createSink(): BackendSink {
    return {
      observed: (key, observation) => this.#runtime.lifecycle.observe(key, observation),
      labelled: () => {},
      reachable: () => {},
    };
  }

  /** Before the start is complete there is more to come; after the end has begun, nothing may be opened again. */
  #reconcile(cause: string): void {
    if (this.#phase !== 'serving') return;
    const { file, environment, flags } = this.#options;
    this.#applySettings();
    const labelled = this.#labels.readings;
    const { holders } = this.#runtime.reconciler;
    const table = buildTable({ file: file.config, labelled, environment, flags, holders });
    const plan = this.#runtime.reconciler.apply(table);
    logPlan(plan, { logger: this.#logger, cause });
    this.#problemLog.show(this.#problems());
  }

  #applySettings(): void {
    const before = this.#settings;
    this.#settings = this.#resolveSettings().settings;
    const { status, docker } = this.#settings;
    this.#docker.setLabelOptions(docker);
    this.#docker.setJoinNetworks(docker.joinNetworks);
    if (!this.#dockerOpened && this.#needsDocker()) void this.#openDocker();
    const moved = JSON.stringify(status) !== JSON.stringify(before.status);
    if (moved || docker.socket !== before.docker.socket) {
      this.#logger.warn(
        { event: 'restart-needed' },
        'status.listen and docker.socket take effect at the next start',
      );
    }
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
      problems: () => this.#problems(),
    });
  }

  /** Whoever starts a container by hand and wonders why it is not served finds the reason where he looks. */
  #repeatRefusal(container: string): void {
    if (!this.#labels.isRefused(container)) return;
    const { problems } = this.#runtime.reconciler.current;
    this.#problemLog.repeat(
      problems.filter(({ origin }) => origin.kind === 'label' && origin.container === container),
    );
  }
}
