import { type Backend, type BackendSink, CannotPause, WakeError } from '../../../src/backends/backend.ts';
import { MISSING, type Observation, UNKNOWN } from '../../../src/model/running/observation.ts';
import { type Workload, workloadKey } from '../../../src/model/workload.ts';
import type { Clock } from '../../../src/system/clock.ts';

/** How the engine treats the next call for a container: `hang` = it never answers. */
export type CallScript = 'works' | 'fails' | 'hangs' | 'works-unanswered';

export const CALL_SCRIPTS: readonly CallScript[] = ['works', 'fails', 'hangs', 'works-unanswered'];

/** What a container really does, whatever anybody has been told. */
export type Truth = 'absent' | 'stopped' | 'running' | 'paused' | 'stopping';

interface Container {
  truth: Truth;
  /** Grows with each container that is made under the name. */
  incarnation: number;
  script: CallScript;
  /** Whether it says that it is busy; undefined = it doesn't answer. */
  isBusy: boolean | undefined;
  saysSinceMs: number;
  /** Whether its port accepts connections while it runs. */
  answers: boolean;
  /** Of the last run, where it has ended by itself. */
  exitCode?: number | undefined;
}

interface OpenCall {
  readonly kind: 'wake' | 'sleep' | 'pause';
  readonly key: string;
  aborted: boolean;
}

/** Start and stop take so long. */
const START_MS = 300;
const STOP_MS = 500;
const PAUSE_MS = 10;
/** More calls for one container at one moment are a loop, which would never end by itself. */
const MAX_CALLS_AT_ONCE = 100;
/** What runs to its end takes so long for that. */
const RUN_MS = 200;

/**
 * An engine of containers on a clock that the test moves: it keeps the backend port's promises, and within them is as
 * late, as silent and as repetitive as the steps of a test want it to be.
 */
export class ScriptedEngine implements Backend {
  readonly kind = 'docker';
  readonly ownsWorkloads = false;
  /** What no engine may be asked for, as it was seen. */
  readonly violations: string[] = [];
  readonly #clock: Clock;
  readonly #containers = new Map<string, Container>();
  readonly #watched = new Set<string>();
  /** What the proxy has been told last. */
  readonly #known = new Map<string, Observation>();
  /** Events on their way, oldest first. */
  readonly #events: { readonly key: string; readonly observation: Observation }[] = [];
  readonly #open = new Set<OpenCall>();
  /** How many calls there were for each container at this moment. */
  readonly #callsNow = new Map<string, number>();
  #nowMs = 0;
  readonly #completed = new Set<string>();
  readonly #backAgain = new Set<() => void>();
  /** Told when a container that ran runs no more: its connections are gone. */
  onEnded: (key: string) => void = () => {};
  /** Why a stop must not come now; undefined where it may. */
  whyNoStop: (key: string, evenInUse: boolean) => string | undefined = () => undefined;
  /** Why a start must not come now; undefined where it may. */
  whyNoStart: (key: string) => string | undefined = () => undefined;
  /** Containers that end by themselves, with status 0. */
  oneShots: ReadonlySet<string> = new Set();
  #sink: BackendSink | undefined;
  #reachable = true;
  /** From now on nothing may be started or stopped any more. */
  draining = false;

  constructor(clock: Clock, containers: readonly string[]) {
    this.#clock = clock;
    for (const name of containers) {
      this.#containers.set(keyOf(name), {
        truth: 'stopped',
        incarnation: 1,
        script: 'works',
        answers: true,
        isBusy: false,
        saysSinceMs: 0,
      });
    }
  }

  /** Calls that the proxy still waits for. */
  get openCalls(): number {
    return this.#open.size;
  }

  truthOf(name: string): Truth {
    return this.#get(keyOf(name)).truth;
  }

  answersAt(name: string): boolean {
    const { truth, answers } = this.#get(keyOf(name));
    return truth === 'running' && answers;
  }

  script(name: string, script: CallScript): void {
    this.#get(keyOf(name)).script = script;
  }

  setAnswers(name: string, answers: boolean): void {
    this.#get(keyOf(name)).answers = answers;
  }

  /** Somebody other than the proxy does this. */
  change(name: string, truth: Truth): void {
    const container = this.#get(keyOf(name));
    if (truth === 'absent' || container.truth === 'absent') container.incarnation++;
    this.#enter(keyOf(name), truth);
  }

  /** A container ends by itself, if it runs. */
  end(name: string, exitCode: number): void {
    const container = this.#get(keyOf(name));
    if (container.truth !== 'running') return;
    container.exitCode = exitCode;
    if (exitCode === 0) this.#completed.add(name);
    this.#enter(keyOf(name), 'stopped');
  }

  /** Whether a container has ever ended well by itself. */
  hasCompleted(name: string): boolean {
    return this.#completed.has(name);
  }

  setReachable(reachable: boolean): void {
    if (reachable === this.#reachable) return;
    this.#reachable = reachable;
    this.#sink?.reachable(reachable);
    if (!reachable) return void this.#events.splice(0);
    // After a gap everything is listed again.
    this.list();
    for (const back of [...this.#backAgain]) back();
    this.#backAgain.clear();
  }

  /** Delivers the oldest events, each of them `times` times. */
  deliver({ count, times }: { readonly count: number; readonly times: number }): void {
    for (const { key, observation } of this.#events.splice(0, count)) {
      for (let time = 0; time < times; time++) this.#tell(key, observation);
    }
  }

  /** Loses the oldest event; the engine is listed again, as after every gap. */
  loseEvent(): void {
    if (this.#events.shift() !== undefined) this.list();
  }

  /** Tells what everything really does; what was on its way is older. */
  list(): void {
    if (!this.#reachable) return;
    this.#events.splice(0);
    for (const key of this.#watched) this.#tell(key, this.#observe(key));
  }

  async open(sink: BackendSink): Promise<void> {
    this.#sink = sink;
  }

  watch(workload: Workload): Observation {
    const key = workloadKey(workload);
    this.#watched.add(key);
    if (this.#reachable) this.#known.set(key, this.#observe(key));
    return this.#known.get(key) ?? UNKNOWN;
  }

  unwatch(workload: Workload): void {
    this.#watched.delete(workloadKey(workload));
  }

  async wake(workload: Workload, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const key = workloadKey(workload);
    const why = this.whyNoStart(key);
    if (why !== undefined) this.violations.push(`${key} is started although ${why}`);
    const call = this.#begin('wake', key);
    const abort = () => {
      call.aborted = true;
      this.#open.delete(call);
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (this.#isLoop(key)) await abortion(signal);
      await this.#untilReachable(signal);
      const { truth, script } = this.#take(key);
      if (truth === 'absent') {
        this.#tell(key, MISSING);
        throw new WakeError('no such container');
      }
      if (script === 'fails') throw new WakeError('the engine refuses');
      if (script === 'hangs') await abortion(signal);
      this.#clock.schedule(START_MS, () => this.#started(key));
      if (script === 'works-unanswered') await abortion(signal);
      await this.#clock.sleep(START_MS + 1, signal);
      this.#tell(key, this.#observe(key));
    } finally {
      signal.removeEventListener('abort', abort);
      this.#open.delete(call);
    }
  }

  async sleep(
    workload: Workload,
    { evenInUse }: { readonly graceMs: number | undefined; readonly evenInUse: boolean },
  ): Promise<void> {
    const key = workloadKey(workload);
    const why = this.whyNoStop(key, evenInUse);
    if (why !== undefined) this.violations.push(`${key} is stopped although ${why}`);
    const call = this.#begin('sleep', key);
    try {
      if (this.#isLoop(key)) return await new Promise(() => {});
      if (!this.#reachable) throw new Error('the engine is away');
      const { truth, script } = this.#take(key);
      if (script === 'fails') throw new Error('the engine refuses');
      if (script === 'hangs') return await new Promise(() => {});
      if (truth === 'running' || truth === 'paused') this.#enter(key, 'stopping');
      this.#clock.schedule(STOP_MS, () => this.#stopped(key));
      if (script === 'works-unanswered') return await new Promise(() => {});
      await this.#clock.sleep(STOP_MS + 1);
      this.#tell(key, this.#observe(key));
    } finally {
      this.#open.delete(call);
    }
  }

  /** An engine that refuses can't pause at all. */
  async pause(workload: Workload): Promise<void> {
    const key = workloadKey(workload);
    const why = this.whyNoStop(key, false);
    if (why !== undefined) this.violations.push(`${key} is paused although ${why}`);
    const call = this.#begin('pause', key);
    try {
      if (this.#isLoop(key)) return await new Promise(() => {});
      if (!this.#reachable) throw new Error('the engine is away');
      const { truth, script } = this.#take(key);
      if (script === 'fails' && truth === 'running') throw new CannotPause('there is no freezer');
      if (script === 'hangs') return await new Promise(() => {});
      this.#clock.schedule(PAUSE_MS, () => {
        if (this.#get(key).truth === 'running') this.#enter(key, 'paused');
      });
      if (script === 'works-unanswered') return await new Promise(() => {});
      await this.#clock.sleep(PAUSE_MS + 1);
      this.#tell(key, this.#observe(key));
    } finally {
      this.#open.delete(call);
    }
  }

  async runCommand(workload: Workload, { signal }: { readonly signal: AbortSignal }): Promise<number> {
    const { isBusy } = this.#get(workloadKey(workload));
    if (isBusy === undefined || !this.#reachable) return abortion(signal);
    return isBusy ? 0 : 1;
  }

  setBusy(name: string, isBusy: boolean | undefined): void {
    const container = this.#get(keyOf(name));
    if (isBusy !== container.isBusy) container.saysSinceMs = this.#clock.monotonicMs();
    container.isBusy = isBusy;
  }

  /** For how long a container that runs has been busy, and has said so where it was asked; 0 where it isn't. */
  busyForMs(name: string): number {
    const { truth, isBusy, saysSinceMs } = this.#get(keyOf(name));
    return truth === 'running' && isBusy === true && this.#reachable
      ? this.#clock.monotonicMs() - saysSinceMs
      : 0;
  }

  async close(): Promise<void> {}

  destroy(): void {}

  #begin(kind: OpenCall['kind'], key: string): OpenCall {
    for (const other of this.#open) {
      if (kind === 'wake' && other.kind === 'wake' && other.key === key && !other.aborted)
        this.violations.push(`${key} is started while it is being started`);
    }
    if (this.draining) this.violations.push(`${kind} ${key} while the proxy drains`);
    const call = { kind, key, aborted: false };
    this.#open.add(call);
    return call;
  }

  #isLoop(key: string): boolean {
    if (this.#nowMs !== this.#clock.monotonicMs()) this.#callsNow.clear();
    this.#nowMs = this.#clock.monotonicMs();
    const calls = (this.#callsNow.get(key) ?? 0) + 1;
    this.#callsNow.set(key, calls);
    if (calls > MAX_CALLS_AT_ONCE) this.violations.push(`${key} is started or stopped in a loop`);
    return calls > MAX_CALLS_AT_ONCE;
  }

  #take(key: string): { readonly truth: Truth; readonly script: CallScript } {
    const container = this.#get(key);
    const { truth, script } = container;
    container.script = 'works';
    return { truth, script };
  }

  #started(key: string): void {
    const { truth } = this.#get(key);
    if (truth !== 'stopped' && truth !== 'paused') return;
    this.#enter(key, 'running');
    const name = hostOf(key);
    if (!this.oneShots.has(name)) return;
    this.#clock.schedule(RUN_MS, () => {
      this.end(name, 0);
      if (this.#reachable) this.#tell(key, this.#observe(key));
    });
  }

  #stopped(key: string): void {
    if (this.#get(key).truth === 'stopping') this.#enter(key, 'stopped');
  }

  #enter(key: string, truth: Truth): void {
    const container = this.#get(key);
    if (container.truth === truth) return;
    const before = container.truth;
    container.truth = truth;
    if (truth !== 'stopped' || before !== 'running') container.exitCode = undefined;
    if (this.#reachable) this.#events.push({ key, observation: this.#observe(key) });
    if (before === 'running') this.onEnded(key);
  }

  #observe(key: string): Observation {
    const { truth, incarnation, exitCode } = this.#get(key);
    if (truth === 'absent') return MISSING;
    const hosts = truth === 'running' ? [hostOf(key)] : [];
    const seen: Observation = { state: truth, id: `${key} ${incarnation}`, hosts, health: 'none' };
    return exitCode === undefined ? seen : { ...seen, exitCode, stoppedBy: 'itself' };
  }

  #tell(key: string, observation: Observation): void {
    this.#known.set(key, observation);
    if (this.#watched.has(key)) this.#sink?.observed(key, observation);
  }

  async #untilReachable(signal: AbortSignal): Promise<void> {
    while (!this.#reachable) {
      const back = new Promise<void>((resolve) => this.#backAgain.add(resolve));
      await Promise.race([back, abortion(signal)]);
    }
  }

  #get(key: string): Container {
    const container = this.#containers.get(key);
    if (container === undefined) throw new Error(`nobody has made ${key}`);
    return container;
  }
}

function keyOf(name: string): string {
  return `docker/${name}`;
}

/** The address of a container is its key, so that who dials it finds it. */
function hostOf(key: string): string {
  return key.slice('docker/'.length);
}

function abortion(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
