/** The built program while it runs, and its log as it comes. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { describeThreads } from './describe-threads.ts';
import { PROGRAM } from './run-program.ts';

export interface RunningProgram {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  /** What it has printed so far. */
  log(): string;
  /** The lines so far that contain these words. */
  linesWith(words: string): string[];
  /** Resolves with the line that contains these words, once it has come; what stands before index `from` doesn't count. */
  logged(words: string, from?: number): Promise<string>;
}

export interface StartOptions {
  /** Holds the configuration file, as a rule. */
  readonly cwd: string;
  /** The command that is the program; default: the built one, run by this Node. */
  readonly program?: readonly string[];
  /** Default: `run`. */
  readonly args?: readonly string[];
  /** For the Node that runs the built program. */
  readonly nodeArgs?: readonly string[];
  /** Default: the environment of the tests. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** How many descriptors it may have; default: as many as the tests. */
  readonly maxDescriptors?: number;
  /** Words of the log that say that it is up; default: `ready`. Undefined: nothing is waited for. */
  readonly until?: string | undefined;
}

const MAX_WAIT_MS = 30_000;

/** Two signals in a row may be one, and then clients have 8 s; and so have local processes 10 s. */
const MAX_END_MS = 20_000;

/**
 * Starts the program, and follows its log. It is ended in order, with its workloads, when the test ends. If it doesn't end, the test
 * fails with what its threads do.
 */
export async function startProgram(options: StartOptions): Promise<RunningProgram> {
  const { cwd, args = ['run'], nodeArgs = [], env, maxDescriptors } = options;
  const { program = [process.execPath, ...nodeArgs, PROGRAM] } = options;
  const command = [...program, ...args];
  const limited = ['/bin/sh', '-c', `ulimit -n ${maxDescriptors}; exec "$@"`, 'sh', ...command];
  const [file = '', ...rest] = maxDescriptors === undefined ? command : limited;
  const child = spawn(file, rest, {
    cwd,
    // What a proxy keeps may change what the next one says.
    env: { LAZY_PROXY_STATE_DIR: 'off', ...(env ?? process.env) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let log = '';
  onTestFinished(async () => {
    // The second one cuts what is still served.
    for (let count = 0; count < 2; count++) child.kill('SIGTERM');
    if (await hasSettled(exited, MAX_END_MS)) return;
    const threads = child.pid === undefined ? '' : await describeThreads(child.pid);
    child.kill('SIGKILL');
    const message = `the program did not end within ${MAX_END_MS / 1_000} s; its threads:\n${threads}\nIts log:\n${log}`;
    // A second try of the test may pass.
    console.error(message);
    throw new Error(message);
  }, 3 * MAX_END_MS);
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  const find = (words: string, from: number) =>
    log
      .slice(from)
      .split('\n')
      .slice(0, -1)
      .find((line) => line.includes(words));
  const logged = async (words: string, from = 0) => {
    const signal = AbortSignal.timeout(MAX_WAIT_MS);
    for (;;) {
      const line = find(words, from);
      if (line !== undefined) return line;
      await once(child.stdout, 'data', { signal }).catch((cause: unknown) => {
        throw new Error(`"${words}" was not logged within ${MAX_WAIT_MS} ms; the log is:\n${log}`, { cause });
      });
    }
  };
  if (!('until' in options) || options.until !== undefined) await logged(options.until ?? 'ready');
  return {
    child,
    log: () => log,
    linesWith: (words) => log.split('\n').filter((line) => line.includes(words)),
    logged,
  };
}

async function hasSettled(promise: Promise<unknown>, withinMs: number): Promise<boolean> {
  const over = new AbortController();
  const tooLate = sleep(withinMs, false, { signal: over.signal });
  try {
    return await Promise.race([promise.then(() => true), tooLate]);
  } finally {
    over.abort();
    tooLate.catch(() => {});
  }
}
