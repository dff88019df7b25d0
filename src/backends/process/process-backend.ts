/**
 * Local processes behind the backend port. Input: calls of the port, exits of children. Output: what the sink is told.
 * Guarantees: at most one run of a workload at a time; no process of a run outlives it; none outlives `close()`.
 */
import type { Observation } from '../../model/running/observation.ts';
import { type ProcessWorkload, type Workload, workloadKey } from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { Backend, BackendSink, OutputRequest } from '../backend.ts';
import { LastLines } from '../output-lines.ts';
import { measureMemory } from './process-group.ts';
import { type ProcessRun, runCommand, startProcess } from './process-run.ts';

export interface ProcessBackendOptions {
  /** The environment that the variables of a workload are added to. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One workload, remembered while it is watched or runs. */
interface Entry {
  spec: ProcessWorkload;
  observation: Observation;
  run: ProcessRun | undefined;
  starting: Promise<void> | undefined;
  /** The last lines of the last run; `closed` resolves when all of its output has come. */
  output: { readonly last: LastLines; readonly closed: Promise<void> } | undefined;
}

/** So many lines of each process are kept. */
const MAX_KEPT_LINES = 50;

/** The same as Docker's. */
const DEFAULT_GRACE_MS = 10_000;
/** How long the last lines may take to arrive when the process has ended. */
const DRAIN_MS = 500;
const HOSTS: readonly string[] = ['127.0.0.1', '::1'];
const NEVER_STARTED: Observation = {
  state: 'stopped',
  id: '',
  hosts: [],
  health: 'none',
  detail: 'never started',
};

/** Whoever opens it closes it, which ends the processes. */
export class ProcessBackend implements Backend {
  readonly kind = 'process';
  readonly ownsWorkloads = true;
  readonly logsOutput = true;
  readonly #options: ProcessBackendOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #watched = new Set<string>();
  /** The runs whose output is still open, even after their end. */
  readonly #runs = new Set<ProcessRun>();
  #sink: BackendSink | undefined;
  #isClosed = false;

  constructor(options: ProcessBackendOptions) {
    this.#options = options;
  }

  async open(sink: BackendSink): Promise<void> {
    this.#sink = sink;
    sink.reachable(true);
  }

  /** Begins to watch. Another command counts from the next start on. */
  watch(workload: Workload): Observation {
    const spec = processOf(workload);
    this.#watched.add(workloadKey(spec));
    const entry = this.#entryOf(spec);
    entry.spec = spec;
    return entry.observation;
  }

  unwatch(workload: Workload): void {
    const key = workloadKey(workload);
    this.#watched.delete(key);
    this.#forget(key);
  }

  /** Starts the command that was watched last, waiting for a run that is still ending. */
  async wake(workload: Workload, options: { readonly signal: AbortSignal }): Promise<void> {
    const { signal } = options;
    const entry = this.#entryOf(processOf(workload));
    for (;;) {
      signal.throwIfAborted();
      if (this.#isClosed) throw new Error(`cannot start process "${entry.spec.name}": the proxy is closing`);
      if (entry.observation.state === 'stopping') await waitFor(entry.run?.exited, signal);
      else if (entry.run !== undefined) return this.#resume(entry, entry.run);
      else {
        entry.starting ??= this.#start(entry).finally(() => {
          entry.starting = undefined;
          this.#forget(workloadKey(entry.spec));
        });
        return waitFor(entry.starting, signal);
      }
    }
  }

  async sleep(
    workload: Workload,
    options: { readonly graceMs: number | undefined; readonly stopSignal?: string | undefined },
  ): Promise<void> {
    const entry = this.#entries.get(workloadKey(processOf(workload)));
    if (entry === undefined) return;
    // Doesn't yield where there is nothing to wait for: the next wake must see that the process is stopping.
    if (entry.starting !== undefined) await entry.starting.catch(ignore);
    await this.#stop(entry, options.graceMs ?? DEFAULT_GRACE_MS, options.stopSignal);
  }

  /** By SIGSTOP to its whole group. The system may then put its memory aside. */
  async pause(workload: Workload): Promise<void> {
    const entry = this.#entries.get(workloadKey(processOf(workload)));
    const { run } = entry ?? {};
    if (entry === undefined || run === undefined || entry.observation.state !== 'running') return;
    run.pause();
    this.#tell(entry, { state: 'paused', id: run.id, hosts: [], health: 'none' });
  }

  /** Where the process has just ended, this waits a moment for its last lines. */
  async readOutput(workload: Workload, { of, lines, signal }: OutputRequest): Promise<readonly string[]> {
    const output = this.#entries.get(workloadKey(processOf(workload)))?.output;
    if (of === 'check' || output === undefined) return [];
    const isOver = this.#entries.get(workloadKey(workload))?.run === undefined;
    if (isOver) await this.#withinDrainTime(output.closed, signal);
    return output.last.lines.slice(-lines);
  }

  async measureMemory(workload: Workload): Promise<number> {
    const run = this.#entries.get(workloadKey(processOf(workload)))?.run;
    if (run === undefined) throw new Error('it does not run');
    return measureMemory(Number(run.id));
  }

  /** With the environment and in the folder of the workload. */
  async runCommand(
    workload: Workload,
    options: { readonly command: readonly string[]; readonly signal: AbortSignal },
  ): Promise<number> {
    const { cwd, env } = processOf(workload);
    return runCommand({ ...options, cwd, env: { ...this.#options.env, ...env } });
  }

  /** Ends every process: politely, and after 10 s, or the shorter grace it was given, by force. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const endings = [...this.#entries.values()].map(async (entry) => {
      if (entry.starting !== undefined) await entry.starting.catch(ignore);
      await this.#stop(entry, DEFAULT_GRACE_MS);
    });
    // A process that the system doesn't end must not hold up the shutdown.
    await Promise.allSettled(endings);
    const drained = new AbortController();
    void this.#options.clock.sleep(DRAIN_MS, drained.signal).then(() => this.#release(), ignore);
    await Promise.all([...this.#runs].map((run) => run.closed));
    drained.abort();
  }

  destroy(): void {
    this.#isClosed = true;
    for (const entry of this.#entries.values()) entry.run?.destroy();
    this.#release();
  }

  async #start(entry: Entry): Promise<void> {
    const { spec } = entry;
    const { env, clock, logger } = this.#options;
    const last = new LastLines({ max: MAX_KEPT_LINES });
    const printed = (line: string) => {
      last.push(line);
      logger.info({ event: 'output', service: spec.name }, `${spec.name} | ${line}`);
    };
    const run = await startProcess(spec, { env, clock, printed });
    entry.run = run;
    entry.output = { last, closed: run.closed };
    this.#runs.add(run);
    void run.closed.then(() => this.#runs.delete(run));
    this.#tell(entry, { state: 'running', id: run.id, hosts: HOSTS, health: 'none' });
    void run.exited.then((end) => {
      entry.run = undefined;
      this.#tell(entry, { state: 'stopped', id: run.id, hosts: [], health: 'none', ...end });
      this.#forget(workloadKey(entry.spec));
    });
    if (this.#isClosed) run.destroy();
  }

  #resume(entry: Entry, run: ProcessRun): void {
    if (!run.isPaused) return;
    run.resume();
    this.#tell(entry, { state: 'running', id: run.id, hosts: HOSTS, health: 'none' });
  }

  async #stop(entry: Entry, graceMs: number, signal?: string): Promise<void> {
    const { run } = entry;
    if (run === undefined) return;
    if (entry.observation.state !== 'stopping') {
      this.#tell(entry, { state: 'stopping', id: run.id, hosts: [], health: 'none' });
    }
    await run.stop(graceMs, signal);
  }

  /** Resolves when `closed` does, or when the last lines have had their time. @throws the signal's reason. */
  #withinDrainTime(closed: Promise<void>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#options.clock.schedule(DRAIN_MS, resolve);
      const settle = () => {
        cancel();
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      signal.addEventListener('abort', settle, { once: true });
      void closed.then(() => {
        signal.removeEventListener('abort', settle);
        settle();
      });
    });
  }

  /** Closes the output: a process that left its group could hold it open for ever. */
  #release(): void {
    for (const run of this.#runs) run.release();
  }

  #entryOf(spec: ProcessWorkload): Entry {
    const key = workloadKey(spec);
    const entry = this.#entries.get(key) ?? {
      spec,
      observation: NEVER_STARTED,
      run: undefined,
      starting: undefined,
      output: undefined,
    };
    this.#entries.set(key, entry);
    return entry;
  }

  #tell(entry: Entry, observation: Observation): void {
    entry.observation = observation;
    const key = workloadKey(entry.spec);
    if (this.#watched.has(key)) this.#sink?.observed(key, observation);
  }

  /** Forgets a workload that is not watched, unless it still runs: then it runs on until `sleep()` or `close()`. */
  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.#watched.has(key)) return;
    if (entry.run === undefined && entry.starting === undefined) this.#entries.delete(key);
  }
}

function processOf(workload: Workload): ProcessWorkload {
  if (workload.kind !== 'process') throw new TypeError(`a ${workload.kind} workload is no process`);
  return workload;
}

/** @throws the signal's reason; the work goes on for others. */
function waitFor(work: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const settle = () => signal.removeEventListener('abort', abort);
    Promise.resolve(work)
      .then(() => resolve(), reject)
      .finally(settle);
  });
}

function ignore(): void {}
