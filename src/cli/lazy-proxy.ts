/**
 * The composition of the running proxy: sources → config → table → plan → apply, and what goes on beside them.
 */
import { ListenerSet } from '../apply/listener-set.ts';
import { Reconciler } from '../apply/reconciler.ts';
import { createServiceListener } from '../apply/service-listener.ts';
import type { BackendSink } from '../backends/backend.ts';
import { createDockerBackend, type DockerBackend } from '../backends/docker/docker-backend.ts';
import { ProcessBackend } from '../backends/process/process-backend.ts';
import type { Environment } from '../config/environment.ts';
import { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { Problem } from '../model/problem.ts';
import type { Settings } from '../model/settings.ts';
import { buildStatusRows } from '../status/status-rows.ts';
import { StatusServer } from '../status/status-server.ts';
import type { Clock } from '../system/clock.ts';
import { LogLimiter } from '../system/log-limiter.ts';
import type { Logger } from '../system/logger.ts';
import { buildTable } from '../table/build-table.ts';
import { type ResolvedSettings, resolveSettings, type SettingsFlags } from '../table/resolve-settings.ts';
import type { FileInput } from './file-input.ts';
import { LabelInput } from './label-input.ts';
import { logPlan, ProblemLog } from './proxy-log.ts';
import { collectViews } from './status-content.ts';

/** At most one line a second about refused clients of a service. */
const REFUSAL_LOG_INTERVAL_MS = 1_000;

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
  readonly #lifecycle: Lifecycle;
  readonly #listeners: ListenerSet;
  readonly #reconciler: Reconciler;
  #status: StatusServer | undefined;
  #settings: Settings;
  #dockerOpened = false;
  #started = false;

  constructor(options: ProxyOptions) {
    const { clock, logger, env } = options;
    this.#options = options;
    this.#logger = logger;
    this.#problemLog = new ProblemLog(logger);
    this.#settings = this.#resolveSettings().settings;
    this.#docker = createDockerBackend({ ...this.#settings.docker, env, clock, logger });
    this.#process = new ProcessBackend({ clock, logger, env });
    this.#lifecycle = new Lifecycle({ backends: [this.#docker, this.#process], clock, logger });
    const refusals = new LogLimiter(clock, REFUSAL_LOG_INTERVAL_MS);
    const lifecycle = this.#lifecycle;
    this.#listeners = new ListenerSet({
      create: (spec, service, onDrained) =>
        createServiceListener(spec, { service, lifecycle, logger, refusals, onDrained }),
      clock,
      logger,
    });
    this.#reconciler = new Reconciler({ lifecycle, listeners: this.#listeners });
  }

  /** Takes up its work; resolves when every listener was bound or found not bindable. @throws where it can't begin. */
  async start(): Promise<void> {
    await this.#openStatus();
    await this.#process.open(this.#createSink());
    if (this.#needsDocker()) await this.#openDocker();
    this.#started = true;
    this.#reconcile(this.#options.file.path ?? 'no configuration file');
    await this.#listeners.settled();
    const services = this.#reconciler.current.entries.size;
    const listeners = this.#reconciler.holders.size;
    const status = this.#settings.status === 'off' ? 'off' : `on port ${this.#settings.status.port}`;
    const message = `ready: ${services} services, ${listeners} listeners, status ${status}`;
    this.#logger.info({ event: 'ready', services, listeners }, message);
  }

  /** The file has changed: puts it in force where it is good, and says what is wrong where it is not. */
  fileChanged(): void {
    const { path, problems } = this.#options.file;
    this.#reconcile(path ?? 'configuration file');
    if (problems.some(({ severity }) => severity === 'error')) {
      this.#logger.error(
        { event: 'reload-refused' },
        `${path} is refused; the last good configuration stays in force`,
      );
    }
  }

  /** Stops accepting and lets connections finish; no workload is put to sleep any more. Resolves when all have ended. */
  drain(): Promise<void> {
    this.#lifecycle.keepAwake();
    return this.#listeners.drain();
  }

  /** Ends every connection now. */
  destroy(): void {
    this.#listeners.destroy();
    this.#process.destroy();
  }

  /** Frees everything; ends local processes, leaves other workloads as they are. */
  async close(): Promise<void> {
    this.#lifecycle.close();
    this.#status?.close();
    await Promise.all([this.#docker.close(), this.#process.close(), this.#options.file.close()]);
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
    await this.#docker.open({
      ...this.#createSink(),
      labelled: (snapshot) => {
        this.#labels.take(snapshot, this.#settings.docker.labelPrefix);
        if (this.#started) this.#reconcile('container labels');
      },
      reachable: (reachable, reason) => this.#logReachable(reachable, reason),
    });
  }

  #createSink(): BackendSink {
    return {
      observed: (key, observation) => this.#lifecycle.observe(key, observation),
      labelled: () => {},
      reachable: () => {},
    };
  }

  #reconcile(cause: string): void {
    const { file, environment, flags } = this.#options;
    this.#applySettings();
    const labelled = this.#labels.readings;
    const { holders } = this.#reconciler;
    const table = buildTable({ file: file.config, labelled, environment, flags, holders });
    const plan = this.#reconciler.apply(table);
    logPlan(plan, { logger: this.#logger, cause });
    this.#problemLog.show(this.#problems());
  }

  #applySettings(): void {
    const before = this.#settings;
    this.#settings = this.#resolveSettings().settings;
    const { status, docker } = this.#settings;
    this.#docker.setLabelOptions(docker);
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
    return [...this.#options.file.problems, ...this.#reconciler.current.problems];
  }

  async #openStatus(): Promise<void> {
    if (this.#settings.status === 'off') return;
    const server = new StatusServer({
      status: () => {
        const parts = { lifecycle: this.#lifecycle, listeners: this.#listeners };
        return buildStatusRows(collectViews(this.#reconciler.current, parts), this.#options.clock.nowMs());
      },
      problems: () => this.#problems(),
    });
    await server.open(this.#settings.status);
    this.#status = server;
  }

  #logReachable(reachable: boolean, reason: string | undefined): void {
    if (reachable) return this.#logger.info({ event: 'engine-reached' }, 'the Docker engine answers');
    const message = `the Docker engine does not answer${reason === undefined ? '' : `: ${reason}`}; trying again`;
    this.#logger.warn({ event: 'engine-lost' }, message);
  }
}
