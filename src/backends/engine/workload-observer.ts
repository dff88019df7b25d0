import { type Observation, UNKNOWN } from '../../model/running/observation.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { withDeadline } from '../../system/waiting/deadline.ts';
import { linkSignals } from '../../system/waiting/link-signals.ts';
import type { Logger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import { EngineUnreachable, silence } from './errors.ts';
import { LookTurns } from './look-turns.ts';

/** How one kind of workload of an engine is looked at. */
export interface ObservationSource {
  /** What messages call one. */
  readonly noun: 'container' | 'service';
  watch(name: string): void;
  unwatch(name: string): void;
  /** What is known without asking; UNKNOWN where the engine has to be asked. */
  recall(name: string, session: AbortSignal): Observation;
  /** Asks the engine. @throws {EngineUnreachable | EngineRefusal} */
  inspect(name: string, session: AbortSignal): Promise<Observation>;
}

export interface WorkloadObserverOptions {
  readonly source: ObservationSource;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The present session; undefined while the engine is away. */
  readonly session: () => AbortSignal | undefined;
  /** A watched workload was looked at. */
  readonly observed: (name: string, observation: Observation) => void;
}

/** The looks at one workload: the one in flight, and the one that begins after it. */
interface Looks {
  /** Counts all looks, in the order in which they begin. */
  readonly number: number;
  readonly current: Promise<Observation>;
  next: Promise<Observation> | undefined;
  /** The look that has taken the place of this one, which was ended for that. */
  successor: Promise<Observation> | undefined;
  readonly ended: AbortController;
}

/** So many inspects are in flight at once after a reconnect. */
const MAX_CONCURRENT_LOOKS = 8;
/** And so many after events: a storm must not open a connection for each workload. A look that a wake waits for is not counted. */
const MAX_EVENT_LOOKS = 32;
/** The engine may refuse to inspect a damaged workload for ever; the next event tries again. */
const MAX_TRIES = 5;
const RETRY = { firstMs: 100, maxMs: 2_000 };
/** Each call of a look has a deadline of its own. This one makes sure that the next look never waits for ever. */
const LOOK_DEADLINE_MS = 120_000;

/** Looks at watched workloads, by name, and tells what it saw. At most one inspect of each is in flight. */
export class WorkloadObserver {
  readonly #options: WorkloadObserverOptions;
  readonly #watched = new Map<string, Observation>();
  readonly #looks = new Map<string, Looks>();
  readonly #turns = new LookTurns(MAX_EVENT_LOOKS);
  readonly #seers = new Set<(name: string, seen: Observation, number: number) => void>();
  /** The number of the look that made an observation, for workloads that it saw running. */
  readonly #seenAwake = new WeakMap<Observation, number>();
  #begun = 0;

  constructor(options: WorkloadObserverOptions) {
    this.#options = options;
  }

  /** Begins to watch. Returns what is known of `name` now; where that takes an inspect, the outcome is told later. */
  watch(name: string): Observation {
    const before = this.#watched.get(name);
    if (before !== undefined) return before;
    this.#options.source.watch(name);
    const session = this.#options.session();
    const known = session === undefined ? UNKNOWN : this.#options.source.recall(name, session);
    this.#watched.set(name, known);
    if (known === UNKNOWN) void this.look(name);
    return known;
  }

  unwatch(name: string): void {
    this.#watched.delete(name);
    this.#options.source.unwatch(name);
  }

  /** The last observation of a watched workload. */
  last(name: string): Observation | undefined {
    return this.#watched.get(name);
  }

  /** Looks at `name` if it is watched, and again if that fails while the engine is there. Never rejects. */
  async look(name: string): Promise<void> {
    if (this.#watched.has(name)) await this.#keepLooking(name);
  }

  /** Tells of every watched workload. It inspects those in `touched`, and those that are not at rest. */
  async lookAtAll(touched: ReadonlySet<string> | 'all'): Promise<void> {
    const session = this.#options.session();
    if (session === undefined) return;
    const names = [...this.#watched.keys()];
    const work = names.values();
    const worker = async () => {
      for (const name of work) {
        const known =
          touched === 'all' || touched.has(name) ? UNKNOWN : this.#options.source.recall(name, session);
        if (known === UNKNOWN) await this.#keepLooking(name);
        else this.#tell(name, known);
      }
    };
    await Promise.all(Array.from({ length: MAX_CONCURRENT_LOOKS }, worker));
  }

  /**
   * Looks once, after this call; all who ask before that look begins share it. Resolves when the outcome was told.
   * @throws {EngineUnreachable | EngineRefusal}
   */
  refresh(name: string): Promise<Observation> {
    const looks = this.#looks.get(name);
    if (looks === undefined) return this.#begin(name);
    looks.next ??= looks.current.then(ignore, ignore).then(() => looks.successor ?? this.#begin(name));
    return looks.next;
  }

  /**
   * As `refresh()`, but ends a look that is under way, and looks at once: whoever wakes a workload must not wait for a call that
   * the engine never answers. Whoever waits for the ended look gets the outcome of this one.
   */
  refreshAtOnce(name: string): Promise<Observation> {
    const before = this.#looks.get(name);
    const current = this.#begin(name);
    if (before === undefined) return current;
    before.successor = current;
    before.ended.abort(new Error('the engine is asked anew'));
    return current;
  }

  /** How many looks have begun; see {@link refreshAwake}. */
  get begun(): number {
    return this.#begun;
  }

  /**
   * As `refresh()`, but a look that began after the first `begun` ones and saw the workload running will do. Mostly the start
   * event leads to such a look before the call that started the workload returns, and a second one would only cost time. An
   * earlier one that is still under way is ended, as `refreshAtOnce()` does.
   */
  async refreshAwake(name: string, begun: number): Promise<Observation> {
    const isEnough = (seen: Observation | undefined) =>
      seen !== undefined && (this.#seenAwake.get(seen) ?? 0) > begun;
    const last = this.last(name);
    if (last !== undefined && isEnough(last)) return last;
    const looks = this.#looks.get(name);
    if (looks !== undefined && looks.number > begun) {
      const seen = await looks.current;
      if (isEnough(seen)) return seen;
    }
    return this.refreshAtOnce(name);
  }

  /**
   * Resolves when a look that begins after this call sees `name` as `wanted`. It asks for no look itself.
   * @throws the signal's reason.
   */
  whenSeen(
    name: string,
    options: { readonly wanted: (seen: Observation) => boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const { wanted, signal } = options;
    const begun = this.#begun;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const see = (seenName: string, seen: Observation, number: number) => {
        if (seenName === name && number > begun && wanted(seen)) end(resolve);
      };
      const abort = () => end(() => reject(signal.reason));
      const end = (settle: () => void) => {
        this.#seers.delete(see);
        signal.removeEventListener('abort', abort);
        settle();
      };
      this.#seers.add(see);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  #begin(name: string): Promise<Observation> {
    const number = ++this.#begun;
    const ended = new AbortController();
    const current = this.#inspect(name, ended.signal).catch((error) => {
      if (looks.successor === undefined) throw error;
      return looks.successor;
    });
    const looks: Looks = { number, ended, current, next: undefined, successor: undefined };
    this.#looks.set(name, looks);
    const forget = () => {
      if (looks.next === undefined && this.#looks.get(name) === looks) this.#looks.delete(name);
    };
    void looks.current.then(forget, forget);
    return looks.current;
  }

  /** @param ended ends it; the session does, too. */
  async #inspect(name: string, ended: AbortSignal): Promise<Observation> {
    const number = this.#begun;
    const session = this.#options.session();
    if (session === undefined) throw new EngineUnreachable('the engine does not answer');
    const { source, clock } = this.#options;
    const { signal: parent, unlink } = linkSignals([session, ended]);
    const observation = await withDeadline((signal) => source.inspect(name, signal), {
      ...{ clock, timeoutMs: LOOK_DEADLINE_MS, parent, expired: silence },
    }).finally(unlink);
    parent.throwIfAborted();
    if (observation.state === 'running') this.#seenAwake.set(observation, number);
    this.#tell(name, observation);
    for (const see of [...this.#seers]) see(name, observation, number);
    return observation;
  }

  async #keepLooking(name: string): Promise<void> {
    const { clock, logger, source } = this.#options;
    const session = this.#options.session();
    if (session === undefined) return;
    for (let failures = 1; failures <= MAX_TRIES; failures++) {
      try {
        await this.#turns.take(name, () => this.refresh(name));
        return;
      } catch (error) {
        // After a reconnect everything is looked at anyway.
        if (session.aborted) return;
        const level = error instanceof EngineUnreachable ? 'debug' : 'warn';
        const fields = { event: 'observe', [source.noun]: name, err: error };
        logger[level](fields, `cannot inspect ${source.noun} "${name}": ${describeError(error)}`);
        await clock.sleep(backoffMs(failures, RETRY), session).catch(ignore);
      }
    }
  }

  #tell(name: string, observation: Observation): void {
    if (!this.#watched.has(name)) return;
    this.#watched.set(name, observation);
    this.#options.observed(name, observation);
  }
}

function ignore(): void {}
