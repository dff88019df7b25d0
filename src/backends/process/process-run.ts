import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { StoppedBy } from '../../model/running/observation.ts';
import type { ProcessWorkload } from '../../model/workload.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { WakeError } from '../backend.ts';
import { LineSplitter } from '../output-lines.ts';
import { isGroupEmpty, signalGroup } from './process-group.ts';
import { type CountOomKills, createOomKillCount } from './oom-kills.ts';

export interface ProcessRunOptions {
  /** The environment that the workload's variables are added to. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** One line of what the process prints. */
  readonly printed: (line: string) => void;
}

const MAX_LINE_CHARS = 16 * 1024;
/** How much is passed on of each stream of a process in each interval: 5,000 lines and 2.5 MiB a second. */
const PACE = { intervalMs: 100, lines: 500, bytes: 256 * 1024 } as const;

/**
 * Starts a process in a group of its own, and resolves when it runs. Whoever starts it ends it.
 * @throws {WakeError} where it can't be started.
 */
export async function startProcess(
  workload: ProcessWorkload,
  options: ProcessRunOptions,
): Promise<ProcessRun> {
  const [program = '', ...args] = workload.command;
  const { clock } = options;
  const countOomKills = createOomKillCount();
  const oomKillsBefore = countOomKills();
  let child: ChildProcess;
  try {
    child = spawn(program, args, {
      cwd: workload.cwd,
      env: { ...options.env, ...workload.env },
      // A group of its own, so that what it starts ends with it, and Ctrl-C in a terminal reaches only the proxy.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (cause) {
    throw refused(workload, cause as NodeJS.ErrnoException);
  }
  // It listens from the start: the process may end before anybody waits for it.
  const run = new ProcessRun({ child, clock, countOomKills, oomKillsBefore });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => reject(refused(workload, cause)));
  });
  // Later errors are about signals that could not be sent; the exit says more.
  child.on('error', () => {});
  readLines(child.stdout, options);
  readLines(child.stderr, options);
  return run;
}

/** How a run has ended. */
export interface ProcessEnd {
  /** `exit code 1`, `signal SIGABRT`, `killed by SIGKILL`. */
  readonly detail: string;
  readonly stoppedBy: StoppedBy;
  /** Absent where a signal has ended it. */
  readonly exitCode?: number;
}

/** Signals with which others end a process; all others come from faults of the program itself. */
const STOP_SIGNALS: ReadonlySet<NodeJS.Signals> = new Set([
  'SIGTERM',
  'SIGKILL',
  'SIGINT',
  'SIGHUP',
  'SIGQUIT',
]);

function describeEnd(code: number | null, signal: NodeJS.Signals | null): ProcessEnd {
  if (signal === null)
    return { detail: `exit code ${code}`, stoppedBy: 'itself', ...(code !== null && { exitCode: code }) };
  return { detail: `signal ${signal}`, stoppedBy: STOP_SIGNALS.has(signal) ? 'others' : 'itself' };
}

/** Nothing tells who sent a SIGKILL. One that came because memory ran out counts as the workload's own end. */
function describeKill(oomKillsBefore: number | undefined, oomKills: number | undefined): ProcessEnd {
  const detail = 'killed by SIGKILL';
  if (oomKills === undefined || oomKillsBefore === undefined)
    return { detail: `${detail}, perhaps because memory ran out`, stoppedBy: 'others' };
  if (oomKills === oomKillsBefore) return { detail, stoppedBy: 'others' };
  return { detail: `${detail}, out of memory`, stoppedBy: 'itself' };
}

/** How often to look whether the group is empty, once its leader has exited. */
const GROUP_POLL = { firstMs: 10, maxMs: 250 };
/** A process that has not ended so long after SIGKILL hangs in the system. */
const KILL_DEADLINE_MS = 10_000;

/** A process and the group it leads. */
export class ProcessRun {
  /**
   * Resolves when the leader has exited and its group is empty. After a `stop()`, the other processes may use the rest of the
   * grace; where the leader ended by itself, they are killed at once.
   */
  readonly exited: Promise<ProcessEnd>;
  /** Resolves when its output has ended too, or was closed by `release()`. */
  readonly closed: Promise<void>;
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  #killAtMs = Number.POSITIVE_INFINITY;
  #cancelKill: Cancel | undefined;
  #isOver = false;
  /** Whether the proxy itself has killed it. */
  #isKilled = false;
  #isPaused = false;

  constructor(options: {
    readonly child: ChildProcess;
    readonly clock: Clock;
    readonly countOomKills: CountOomKills;
    /** The count before it was started. */
    readonly oomKillsBefore: number | undefined;
  }) {
    const { child, countOomKills, oomKillsBefore } = options;
    this.#child = child;
    this.#clock = options.clock;
    this.closed = new Promise((resolve) => child.once('close', () => resolve()));
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const end =
          signal === 'SIGKILL'
            ? describeKill(oomKillsBefore, this.#isKilled ? oomKillsBefore : countOomKills())
            : describeEnd(code, signal);
        void this.#endGroup().then(() => resolve(end));
      });
    });
  }

  get id(): string {
    return String(this.#child.pid);
  }

  /**
   * Asks the group to end, and kills it after `graceMs`; of several calls, the earliest kill counts. Resolves when it has
   * ended. @throws {Error} where it has not ended although it was killed.
   */
  async stop(graceMs: number, signal = 'SIGTERM'): Promise<void> {
    if (this.#isOver) return;
    if (this.#cancelKill === undefined) this.#signal(signal);
    // It takes the signal when it goes on.
    this.resume();
    const killAtMs = this.#clock.monotonicMs() + graceMs;
    if (killAtMs < this.#killAtMs) {
      this.#killAtMs = killAtMs;
      this.#cancelKill?.();
      this.#cancelKill = this.#clock.schedule(graceMs, () => this.#signal('SIGKILL'));
    }
    await this.#untilExited(graceMs + KILL_DEADLINE_MS);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Stops the whole group where it is, until `resume()`. */
  pause(): void {
    if (this.#isOver) return;
    this.#isPaused = true;
    this.#signal('SIGSTOP');
  }

  resume(): void {
    if (this.#isOver || !this.#isPaused) return;
    this.#isPaused = false;
    this.#signal('SIGCONT');
  }

  /** Kills the group at once, and closes its output. */
  destroy(): void {
    this.#cancelKill?.();
    if (!this.#isOver) this.#signal('SIGKILL');
    this.release();
  }

  /** Closes the output, even where a process still holds its other end. */
  release(): void {
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  async #untilExited(deadlineMs: number): Promise<void> {
    const over = new AbortController();
    const deadline = this.#clock.sleep(deadlineMs, over.signal).then(() => {
      throw new Error(`process ${this.id} has not ended within ${deadlineMs / 1000} s`);
    });
    try {
      await Promise.race([this.exited, deadline]);
    } finally {
      deadline.catch(() => {});
      over.abort();
    }
  }

  /** After the leader's exit: the other processes may use what is left of the grace, if there is one; then they are killed. */
  async #endGroup(): Promise<void> {
    const { pid } = this.#child;
    const isStopping = this.#cancelKill !== undefined;
    for (let polls = 1; isStopping && pid !== undefined && !(await isGroupEmpty(pid)); polls++) {
      const leftMs = this.#killAtMs - this.#clock.monotonicMs();
      if (leftMs <= 0) break;
      await this.#clock.sleep(Math.min(leftMs, backoffMs(polls, GROUP_POLL)));
    }
    this.#cancelKill?.();
    this.#signal('SIGKILL');
    this.#isOver = true;
  }

  #signal(signal: string): void {
    if (signal === 'SIGKILL') this.#isKilled = true;
    if (this.#child.pid !== undefined) signalGroup(this.#child.pid, signal);
  }
}

/**
 * Reads what a process prints, but only as fast as the proxy can log it beside its other work. A process that prints faster
 * has to wait, as with a slow terminal.
 */
function readLines(
  stream: Readable | null,
  { clock, printed }: Pick<ProcessRunOptions, 'clock' | 'printed'>,
): void {
  if (stream === null) return;
  const splitter = new LineSplitter({ maxLineChars: MAX_LINE_CHARS });
  let waiting: readonly string[] = [];
  let beganMs = Number.NEGATIVE_INFINITY;
  let left = { lines: 0, bytes: 0 };
  let cancel: Cancel | undefined;
  const goOn = () => {
    cancel = undefined;
    tell();
    if (cancel === undefined) stream.resume();
  };
  const tell = () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - beganMs >= PACE.intervalMs) {
      beganMs = nowMs;
      left = { lines: PACE.lines, bytes: PACE.bytes };
    }
    const told = waiting.slice(0, left.lines);
    waiting = waiting.slice(told.length);
    left.lines -= told.length;
    told.forEach(printed);
    if (waiting.length === 0 && left.bytes > 0) return;
    stream.pause();
    cancel ??= clock.schedule(beganMs + PACE.intervalMs - nowMs, goOn);
  };
  stream.on('data', (chunk: Uint8Array) => {
    waiting = [...waiting, ...splitter.push(chunk)];
    left.bytes -= chunk.length;
    tell();
  });
  stream.on('end', () => {
    waiting = [...waiting, ...splitter.end()];
  });
  stream.on('close', () => {
    cancel?.();
    // The end of the output: nothing is held back any more, since somebody may wait for the last lines.
    waiting.slice(-PACE.lines).forEach(printed);
    waiting = [];
  });
  stream.on('error', () => {});
}

function refused(workload: ProcessWorkload, cause: NodeJS.ErrnoException): WakeError {
  return new WakeError(`cannot start "${workload.command[0]}": ${explain(workload, cause)}`, { cause });
}

/** The system says "no such file" both where the program and where the folder doesn't exist. */
function explain(workload: ProcessWorkload, cause: NodeJS.ErrnoException): string {
  if (cause.code === 'EACCES') return 'not allowed to run it';
  if (cause.code !== 'ENOENT') return cause.message;
  if (workload.cwd !== undefined && !existsSync(workload.cwd)) return `no such folder: ${workload.cwd}`;
  return 'no such program';
}

/**
 * Runs a command to its end, and resolves with its exit status; what it prints is thrown away. When the signal aborts, it is killed
 * with all that it has started.
 * @throws where it can't be started, or ends by a signal; the signal's reason.
 */
export function runCommand(options: {
  readonly command: readonly string[];
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}): Promise<number> {
  const { command, cwd, env, signal } = options;
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const child = spawn(program, args, { cwd, env: { ...env }, detached: true, stdio: 'ignore' });
    const kill = () => {
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
      reject(signal.reason);
    };
    signal.addEventListener('abort', kill, { once: true });
    child.once('error', (error) => {
      signal.removeEventListener('abort', kill);
      reject(error);
    });
    child.once('exit', (code, killer) => {
      signal.removeEventListener('abort', kill);
      if (code === null) reject(new Error(`it was ended by ${killer}`));
      else resolve(code);
    });
  });
}
