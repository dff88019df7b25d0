import { parseEnvironment } from '../config/environment.ts';
import { configCandidates } from '../config/locate.ts';
import { formatProblem, hasErrors, type Problem } from '../model/problem.ts';
import { isMountedAlone } from '../sources/bind-mount.ts';
import { systemClock } from '../system/clock.ts';
import { EXIT_OK, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import { createLogger, type LogFormat, type Logger, type LogLevel } from '../system/logger.ts';
import type { SettingsFlags } from '../table/resolve-settings.ts';
import { FileInput } from './file-input.ts';
import { LazyProxy } from './lazy-proxy.ts';
import type { ProgramIo } from './program-io.ts';
import { runUntilSignal } from './run-until-signal.ts';
import { readVersion } from './version.ts';

export interface RunOptions {
  readonly config: string | undefined;
  readonly logLevel: LogLevel | undefined;
  readonly logFormat: LogFormat | undefined;
  readonly settings: SettingsFlags;
}

/** Runs the proxy until SIGTERM or SIGINT. Returns the exit status. */
export async function run(options: RunOptions, io: ProgramIo): Promise<number> {
  const { environment, problems } = parseEnvironment(io.env);
  const logger = createLogger({
    level: options.logLevel ?? environment.logLevel ?? 'info',
    format: options.logFormat ?? environment.logFormat ?? 'pretty',
    color: io.isTerminal && !environment.noColor,
  });
  logger.info({ event: 'start' }, `lazy-proxy ${readVersion()} on Node ${process.version}`);
  logProblems(problems, logger);
  const parts: { proxy?: LazyProxy } = {};
  const file = new FileInput({
    candidates: configCandidates({ flag: options.config, env: io.env, cwd: io.cwd }),
    cwd: io.cwd,
    clock: systemClock,
    onChange: () => parts.proxy?.fileChanged(),
  });
  try {
    await startFile(file, logger);
    parts.proxy = new LazyProxy({
      ...{ file, environment, logger },
      ...{ flags: options.settings, env: io.env, clock: systemClock },
    });
    await parts.proxy.start();
  } catch (error) {
    logger.error({ event: 'start-failed' }, `can't start: ${error instanceof Error ? error.message : error}`);
    await (parts.proxy?.close() ?? file.close());
    return EXIT_UNUSABLE;
  }
  await runUntilSignal({ proxy: parts.proxy, file, logger, io, clock: systemClock });
  return EXIT_OK;
}

async function startFile(file: FileInput, logger: Logger): Promise<void> {
  await file.start();
  if (hasErrors(file.problems)) {
    logProblems(file.problems, logger);
    throw new Error('the configuration file has errors');
  }
  if (file.path === undefined) {
    logger.info({ event: 'label-only' }, 'no configuration file: container labels alone count');
  } else if (await isMountedAlone(file.path)) {
    const message = `${file.shownPath} is mounted alone: a change made by renaming is not seen; mount its folder instead`;
    logger.warn({ event: 'mounted-alone' }, message);
  }
}

function logProblems(problems: readonly Problem[], logger: Logger): void {
  for (const problem of problems) {
    const level = problem.severity === 'error' ? 'error' : 'warn';
    logger[level]({ event: 'problem', code: problem.code }, formatProblem(problem));
  }
}
