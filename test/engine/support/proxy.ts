/** The built program as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '../../support/free-ports.ts';
import { type CliResult, PROGRAM, runProgram } from '../../support/run-program.ts';
import { type ConfigFolder, createConfigFolder, type EditStyle } from './config-folder.ts';
import { engineHost } from './engine-address.ts';
import { collectLogLines, type LogLine, type LogLines } from './log-lines.ts';

const STOP_TIMEOUT_MS = 20_000;

export interface ProxyOptions {
  /** Text of the configuration file; undefined = none, label-only mode. */
  readonly config?: string;
  /** More arguments for `run`. */
  readonly args?: readonly string[];
  /** On top of the defaults; undefined unsets one of them. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For the log line with the event `ready`; default 30 s. */
  readonly readyTimeoutMs?: number;
}

export interface ProxyProcess {
  readonly pid: number;
  readonly folder: string;
  readonly configFile: string;
  /** `http://127.0.0.1:<port>`, without a path. */
  readonly statusUrl: string;
  logs(): readonly LogLine[];
  /**
   * The first line already there or still to come that matches; a string is the name of an event.
   * @param options.from number of lines to skip: `logs().length` beforehand = only new ones.
   */
  waitForLog(
    matches: string | ((line: LogLine) => boolean),
    options?: { readonly timeoutMs?: number; readonly from?: number },
  ): Promise<LogLine>;
  edit(text: string, style?: EditStyle): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit status, or the name of the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Ends it and removes its folder; resolves as `exited`. Idempotent. */
  stop(name?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** Starts the proxy and resolves once it is ready; the caller stops it. */
export async function startProxy(options: ProxyOptions = {}): Promise<ProxyProcess> {
  const statusPort = await freePort();
  const files = await createConfigFolder(options.config);
  const configArgs = options.config === undefined ? [] : ['--config', files.configFile];
  const child = spawn(process.execPath, [PROGRAM, 'run', ...configArgs, ...(options.args ?? [])], {
    cwd: files.folder,
    env: proxyEnv({ STATUS_PORT: String(statusPort), ...options.env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines = collectLogLines(child.stdout);
  let errorText = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errorText += text;
  });
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  void exited.then((status) => lines.end(`the proxy ended with ${status}: ${errorText}`));
  const proxy = wrapProxy(child, { files, lines, exited, statusPort });
  try {
    await proxy.waitForLog('ready', { timeoutMs: options.readyTimeoutMs ?? 30_000 });
  } catch (error) {
    await proxy.stop('SIGKILL');
    throw error;
  }
  return proxy;
}

function wrapProxy(
  child: ChildProcess,
  parts: {
    readonly files: ConfigFolder;
    readonly lines: LogLines;
    readonly exited: ProxyProcess['exited'];
    readonly statusPort: number;
  },
): ProxyProcess {
  const { files, lines, exited, statusPort } = parts;
  return {
    pid: child.pid ?? 0,
    folder: files.folder,
    configFile: files.configFile,
    statusUrl: `http://127.0.0.1:${statusPort}`,
    logs: lines.all,
    waitForLog: (matches, options) =>
      lines.waitFor(typeof matches === 'string' ? (line) => line.event === matches : matches, options),
    edit: files.edit,
    signal: (name) => void child.kill(name),
    exited,
    async stop(name = 'SIGTERM') {
      const status = await endChild(child, { exited, name });
      await files.remove();
      return status;
    },
  };
}

/** Runs the program with any arguments to its end; kills it after `timeoutMs` (default 30 s). */
export function runCli(
  args: readonly string[],
  options: Pick<ProxyOptions, 'env'> & { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<CliResult> {
  return runProgram(args, { ...options, env: proxyEnv(options.env ?? {}) });
}

/** Only what the program is meant to see: nothing of the developer's own settings. */
function proxyEnv(extra: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const defaults = {
    PATH: process.env['PATH'],
    LOG_FORMAT: 'json',
    LOG_LEVEL: 'debug',
    LAZY_PROXY_STATE_DIR: 'off',
    DOCKER_HOST: engineHost(),
  };
  const entries = Object.entries({ ...defaults, ...extra }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries);
}

async function endChild(
  child: ChildProcess,
  { exited, name }: { readonly exited: Promise<number | NodeJS.Signals>; readonly name: NodeJS.Signals },
): Promise<number | NodeJS.Signals> {
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  child.kill(name);
  const status = await exited;
  clearTimeout(timer);
  return status;
}
