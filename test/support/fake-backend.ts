import {
  type Backend,
  type BackendSink,
  CannotPause,
  type OutputRequest,
  WakeError,
} from '../../src/backends/backend.ts';
import { MISSING, type Observation, UNKNOWN } from '../../src/model/running/observation.ts';
import { type Workload, type WorkloadKind, workloadKey } from '../../src/model/workload.ts';
import type { Cancel, Clock } from '../../src/system/clock.ts';

export const STOPPED: Observation = { ...MISSING, state: 'stopped', id: 'a1' };
/** It has ended by itself, with a mistake. */
export const FAILED_RUN: Observation = {
  ...STOPPED,
  exitCode: 3,
  stoppedBy: 'itself',
  detail: 'exit code 3',
};
export const PAUSED: Observation = { ...STOPPED, state: 'paused' };
export const STARTING: Observation = { ...STOPPED, state: 'starting' };
export const STOPPING: Observation = { ...STOPPED, state: 'stopping' };
export const RUNNING: Observation = { ...STOPPED, state: 'running', hosts: ['127.0.0.1'] };
export { MISSING, UNKNOWN };

/** One call of the port, which the test ends: tell the observation first, as a real backend does. */
export interface BackendCall {
  readonly kind: 'wake' | 'sleep' | 'pause';
  readonly key: string;
  readonly workload: Workload;
  readonly graceMs: number | undefined;
  readonly evenInUse: boolean;
  readonly stopSignal?: string | undefined;
  readonly aborted: boolean;
  succeed(observation: Observation): void;
  fail(message: string, observation?: Observation): void;
  /** Of a pause: the engine can't do that. */
  refuse(message: string): void;
}

interface Pace {
  readonly clock: Clock;
  readonly wakeMs: number;
  readonly sleepMs: number;
  readonly running?: Observation;
}

/** A backend whose engine is the test: it keeps the port's promises and decides nothing by itself. */
export class FakeBackend implements Backend {
  readonly kind: WorkloadKind;
  readonly ownsWorkloads: boolean;
  readonly calls: BackendCall[] = [];
  readonly watched = new Set<string>();
  /** The workloads that it was asked to look at again, by key. */
  readonly looks: string[] = [];
  /** What it was told of the use of shared workloads, oldest first. */
  readonly uses: string[] = [];
  readonly setInUse?: NonNullable<Backend['setInUse']>;
  /** Runs commands inside workloads, where the test tells how. */
  runCommand?: NonNullable<Backend['runCommand']>;
  /** Why a start has failed, where the test tells it. */
  explain?: NonNullable<Backend['explain']>;
  /** What workloads have printed: the answer to every reading, and the readings. */
  output: readonly string[] | Error = [];
  readonly readings: string[] = [];
  readonly #known = new Map<string, Observation>();
  readonly #arrivals = new Set<() => void>();
  readonly #cancels = new Set<Cancel>();
  #onCall: ((call: BackendCall) => void) | undefined;
  #sink: BackendSink | undefined;

  constructor(
    options: {
      readonly kind?: WorkloadKind;
      readonly owns?: boolean;
      /** Whether several proxies may serve its workloads. */
      readonly shares?: boolean;
      readonly sink?: BackendSink;
    } = {},
  ) {
    if (options.shares === true)
      this.setInUse = (workload, { inUse }) =>
        void this.uses.push(`${workloadKey(workload)} ${inUse ? 'in use' : 'free'}`);
    this.kind = options.kind ?? 'docker';
    this.ownsWorkloads = options.owns ?? false;
    this.#sink = options.sink;
  }

  /** `wake docker/db`, oldest first. */
  get log(): readonly string[] {
    return this.calls.map(({ kind, key }) => `${kind} ${key}`);
  }

  count(kind: BackendCall['kind']): number {
    return this.calls.filter((call) => call.kind === kind).length;
  }

  /** The last call; there must have been one. */
  get last(): BackendCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error('the backend was not called');
    return call;
  }

  /** From now on calls succeed by themselves after these times. */
  automate({ clock, wakeMs, sleepMs, running = RUNNING }: Pace): void {
    this.#onCall = (call) => {
      const { during, after } = {
        wake: { during: STARTING, after: running },
        sleep: { during: STOPPING, after: STOPPED },
        pause: { during: running, after: PAUSED },
      }[call.kind];
      this.tell(call.key, during);
      const cancel = clock.schedule(call.kind === 'wake' ? wakeMs : sleepMs, () => {
        this.#cancels.delete(cancel);
        if (!call.aborted) call.succeed(after);
      });
      this.#cancels.add(cancel);
    };
  }

  /** The engine says this now, unasked. */
  tell(key: string, observation: Observation): void {
    this.#known.set(key, observation);
    if (this.watched.has(key)) this.#sink?.observed(key, observation);
  }

  /** Resolves when the port was called `count` times in all. */
  async called(count: number): Promise<void> {
    while (this.calls.length < count) {
      await new Promise<void>((resolve) => this.#arrivals.add(resolve));
    }
  }

  async open(sink: BackendSink): Promise<void> {
    this.#sink = sink;
  }

  watch(workload: Workload): Observation {
    this.watched.add(workloadKey(workload));
    return this.#known.get(workloadKey(workload)) ?? UNKNOWN;
  }

  unwatch(workload: Workload): void {
    this.watched.delete(workloadKey(workload));
  }

  look(workload: Workload): void {
    this.looks.push(workloadKey(workload));
  }

  wake(workload: Workload, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    return this.#call({ kind: 'wake', workload, signal, graceMs: undefined, evenInUse: false });
  }

  sleep(workload: Workload, options: Parameters<Backend['sleep']>[1]): Promise<void> {
    return this.#call({ kind: 'sleep', workload, signal: undefined, ...options });
  }

  pause(workload: Workload): Promise<void> {
    return this.#call({ kind: 'pause', workload, signal: undefined, graceMs: undefined, evenInUse: false });
  }

  async readOutput(workload: Workload, { of }: OutputRequest): Promise<readonly string[]> {
    this.readings.push(`${of} ${workloadKey(workload)}`);
    if (this.output instanceof Error) throw this.output;
    return of === 'check' ? [] : this.output;
  }

  async close(): Promise<void> {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  destroy(): void {}

  #call(options: {
    readonly kind: BackendCall['kind'];
    readonly workload: Workload;
    readonly signal: AbortSignal | undefined;
    readonly graceMs: number | undefined;
    readonly evenInUse: boolean;
    readonly stopSignal?: string | undefined;
  }): Promise<void> {
    const { kind, workload, signal, graceMs, evenInUse, stopSignal } = options;
    const key = workloadKey(workload);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      const call: BackendCall = {
        ...{ kind, key, workload, graceMs, evenInUse, stopSignal },
        get aborted() {
          return signal?.aborted ?? false;
        },
        succeed: (observation) => {
          this.tell(key, observation);
          resolve();
        },
        fail: (message, observation) => {
          if (observation !== undefined) this.tell(key, observation);
          reject(kind === 'wake' ? new WakeError(message) : new Error(message));
        },
        refuse: (message) => {
          this.tell(key, this.#known.get(key) ?? RUNNING);
          reject(new CannotPause(message));
        },
      };
      this.calls.push(call);
      this.#onCall?.(call);
      for (const arrived of this.#arrivals) arrived();
      this.#arrivals.clear();
    });
  }
}
