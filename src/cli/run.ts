import { type Environment, parseEnvironment } from '../config/environment.ts';
import { type SettingsFlags, TOKEN_VARIABLE } from '../config/settings.ts';
import { configCandidates, FOREIGN_CONFIG_PATH } from '../sources/config-candidates.ts';
import { formatProblemForLog, hasErrors, type Problem } from '../model/problem.ts';
import { LazyProxy } from '../proxy/lazy-proxy.ts';
import { createSignalQueue, runUntilSignal, type SignalQueue } from '../proxy/shutdown.ts';
import { isMountedAlone } from '../sources/bind-mount.ts';
import { ConfigFile } from '../sources/config-file.ts';
import { parseApart } from '../sources/parse-apart.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { EXIT_OK, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import { createLogger, type LogFormat, type Logger, type LogLevel } from '../system/log/logger.ts';
import { messageOf } from '../system/message-of.ts';
import type { ProgramIo } from '../system/program-io.ts';
import { readVersion } from './version.ts';

/** The least time between two reloads by SIGHUP, in ms. */
const RELOAD_INTERVAL_MS = 1_000;

export interface RunOptions {
  readonly config: string | undefined;
  readonly logLevel: LogLevel | undefined;
  readonly logFormat: LogFormat | undefined;
  readonly settings: SettingsFlags;
}

/** Runs the proxy until SIGTERM or SIGINT; SIGHUP reads the file again. Returns the exit status. */
export async function run(options: RunOptions, io: ProgramIo): Promise<number> {
  const { environment, problems } = parseEnvironment(io.env);
  // No process that is started from here on gets it.
  delete (io.env as Record<string, string | undefined>)[TOKEN_VARIABLE];
  const logger = createLogger({
    level: options.logLevel ?? environment.logLevel ?? 'info',
    format: options.logFormat ?? environment.logFormat ?? 'pretty',
    color: io.isTerminal && !environment.noColor,
    time: environment.logTime ?? (io.isTerminal ? 'time' : 'datetime'),
    onBroken: (message) => io.stderr(`lazy-proxy: ${message}`),
  });
  logger.info({ event: 'start' }, `lazy-proxy ${readVersion()} on Node ${process.version}`);
  logProblems(problems, logger);
  // From the beginning: a signal that nobody takes would end the program as it stands, or, in a container, do nothing.
  const signals = createSignalQueue(io);
  try {
    return await serve(options, { io, environment, logger, signals });
  } finally {
    signals.close();
    await io.settleOutput();
  }
}

async function serve(
  options: RunOptions,
  parts: {
    readonly io: ProgramIo;
    readonly environment: Environment;
    readonly logger: Logger;
    readonly signals: SignalQueue;
  },
): Promise<number> {
  const { io, environment, logger, signals } = parts;
  const clock = systemClock;
  let proxy: LazyProxy | undefined;
  const file = new ConfigFile({
    candidates: configCandidates({ flag: options.config, env: io.env, cwd: io.cwd }),
    cwd: io.cwd,
    parse: (input, signal) =>
      parseApart({ input, layers: { environment, flags: options.settings } }, { signal, clock }),
    clock,
    onChange: () => proxy?.fileChanged(),
  });
  const forgetHangup = takeHangups(io, {
    ...{ logger, clock },
    // During the start, the lines of the start are the answer.
    reload: () => (proxy === undefined ? file.reload() : proxy.reload()),
  });
  const start = async () => {
    await file.start();
    if (signals.first() !== undefined) return file.close();
    await checkFile(file, { logger, labels: options.settings.labels !== false });
    if (signals.first() !== undefined) return file.close();
    proxy = await LazyProxy.create({
      file,
      environment,
      logger,
      flags: options.settings,
      env: io.env,
      version: readVersion(),
      clock,
    });
    if (signals.first() !== undefined) return proxy.close();
    await proxy.start();
  };
  const serveUntilEnd = async () => {
    try {
      const started = start();
      if ((await Promise.race([started, signals.arrival])) !== undefined && proxy?.isUp !== true) {
        // A start that is under way ends by itself, whether it fails or not.
        started.catch(() => {});
        logger.info({ event: 'shutdown' }, `${signals.first()}: shutting down before the start is complete`);
        await (proxy?.close() ?? file.close());
        logger.info({ event: 'end' }, 'lazy-proxy has ended');
        return EXIT_OK;
      }
    } catch (error) {
      logger.error({ event: 'start-failed' }, `can't start: ${messageOf(error)}`);
      await (proxy?.close() ?? file.close());
      return EXIT_UNUSABLE;
    }
    if (proxy !== undefined) await runUntilSignal({ proxy, signals, logger, clock });
    return EXIT_OK;
  };
  try {
    return await serveUntilEnd();
  } finally {
    forgetHangup();
  }
}

/** Reloads at SIGHUP, at most once a second; signals that come meanwhile are one further reload. Returns a function that stops this. */
function takeHangups(
  io: ProgramIo,
  parts: { readonly logger: Logger; readonly clock: Clock; readonly reload: () => Promise<unknown> },
): () => void {
  const { logger, clock, reload } = parts;
  const ended = new AbortController();
  let isBusy = false;
  let isWanted = false;
  const take = async () => {
    isWanted = true;
    if (isBusy) return;
    isBusy = true;
    while (isWanted && !ended.signal.aborted) {
      isWanted = false;
      logger.info({ event: 'hangup' }, 'SIGHUP: reading the configuration file again');
      await Promise.all([reload(), clock.sleep(RELOAD_INTERVAL_MS, ended.signal).catch(() => {})]);
    }
    isBusy = false;
  };
  const forget = io.onSignal(['SIGHUP'], () => void take());
  return () => {
    forget();
    ended.abort();
  };
}

async function checkFile(
  file: ConfigFile,
  { logger, labels }: { readonly logger: Logger; readonly labels: boolean },
): Promise<void> {
  if (hasErrors(file.problems)) {
    logProblems(file.problems, logger);
    throw new Error('the configuration file has errors');
  }
  if (file.path === undefined) {
    tellAbsence(file, { logger, labels });
    return;
  }
  if (file.path === FOREIGN_CONFIG_PATH) {
    const message = `the configuration is ${FOREIGN_CONFIG_PATH}, where lazy-tcp-proxy has its own; ./lazy-proxy.yaml and /etc/lazy-proxy/lazy-proxy.yaml come before it`;
    logger.info({ event: 'foreign-path' }, message);
  }
  if (await isMountedAlone(file.path)) {
    const message = `${file.shownPath} is bind-mounted as a single file: editors that save by renaming change another file, which the proxy can't see; mount its folder instead`;
    logger.warn({ event: 'mounted-alone' }, message);
  }
}

function tellAbsence(
  { awaitedPath }: ConfigFile,
  { logger, labels }: { readonly logger: Logger; readonly labels: boolean },
): void {
  if (awaitedPath !== undefined) {
    const meanwhile = labels ? 'services come from labels alone' : 'there is nothing to serve (--no-labels)';
    const message = `CONFIG_PATH names ${awaitedPath}, which is not there yet: it is read as soon as it is; until then ${meanwhile}`;
    logger.info({ event: 'awaiting-file' }, message);
  } else if (labels) {
    logger.info({ event: 'label-only' }, 'no configuration file found: services come from labels alone');
  } else {
    const message = 'neither a configuration file nor labels (--no-labels): there is nothing to serve';
    logger.warn({ event: 'nothing-to-serve' }, message);
  }
}

function logProblems(problems: readonly Problem[], logger: Logger): void {
  for (const problem of problems) {
    const level = problem.severity === 'error' ? 'error' : 'warn';
    logger[level]({ event: 'problem', code: problem.code }, formatProblemForLog(problem));
  }
}
