import { MISSING, type Observation, UNKNOWN } from '../../model/workload.ts';
import { backoffMs } from '../../system/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/logger.ts';
import type { ContainerCache } from './container-cache.ts';
import type { ContainerLocator } from './container-locator.ts';
import type { EngineClient } from './engine-client.ts';
import { describeError, EngineUnreachable } from './errors.ts';
import { observeInspected, observeListed } from './observe.ts';

export interface ContainerObserverOptions {
  readonly client: EngineClient;
  readonly cache: ContainerCache;
  readonly locator: ContainerLocator;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the engine's connection that stands now, undefined while the engine is away. */
  readonly session: () => AbortSignal | undefined;
  /** A watched container was looked at. */
  readonly observed: (name: string, observation: Observation) => void;
}

/** One container's looks: the one in flight, and the one that begins after it. */
interface Looks {
  /** Counts all looks, in the order in which they begin. */
  readonly number: number;
  readonly current: Promise<Observation>;
  next: Promise<Observation> | undefined;
}

/** Inspects in flight at once after a reconnect. */
const MAX_CONCURRENT_LOOKS = 8;
/** The engine may refuse to inspect a damaged container for ever; the next event tries again. */
const MAX_TRIES = 5;
const RETRY = { firstMs: 100, maxMs: 2_000 };

/** Looks at watched containers, by name, and tells what it saw; at most one inspect of each is in flight. */
export class ContainerObserver {
  readonly #options: ContainerObserverOptions;
  readonly #watched = new Map<string, Observation>();
  readonly #looks = new Map<string, Looks>();
  /** Of the look that an awake container was last told from. */
  readonly #seenAwake = new WeakMap<Observation, number>();
  #begun = 0;

  constructor(options: ContainerObserverOptions) {
    this.#options = options;
  }

  /** What is known of `name` now; what takes an inspect is told later. */
  watch(name: string): Observation {
    const before = this.#watched.get(name);
    if (before !== undefined) return before;
    this.#options.locator.watch(name);
    const session = this.#options.session();
    const known = session === undefined ? UNKNOWN : this.#recall(name, session);
    this.#watched.set(name, known);
    if (known === UNKNOWN) this.look(name);
    return known;
  }

  unwatch(name: string): void {
    this.#watched.delete(name);
    this.#options.locator.unwatch(name);
  }

  /** The last observation of a watched container. */
  last(name: string): Observation | undefined {
    return this.#watched.get(name);
  }

  /** Looks at `name` where it is watched, and again where that fails while the engine is there. */
  look(name: string): void {
    if (this.#watched.has(name)) void this.#keepLooking(name);
  }

  /** Tells of every watched container; those in `touched`, and those that aren't at rest, are inspected. */
  async lookAtAll(touched: ReadonlySet<string> | 'all'): Promise<void> {
    const session = this.#options.session();
    if (session === undefined) return;
    const names = [...this.#watched.keys()];
    const work = names.values();
    const worker = async () => {
      for (const name of work) {
        const known = touched === 'all' || touched.has(name) ? UNKNOWN : this.#recall(name, session);
        if (known === UNKNOWN) await this.#keepLooking(name);
        else this.#tell(name, known);
      }
    };
    await Promise.all(Array.from({ length: MAX_CONCURRENT_LOOKS }, worker));
  }

  /**
   * One look that begins after this call, shared by all who ask meanwhile; the sink has been told when it resolves.
   * @throws {EngineUnreachable | EngineRefusal}
   */
  refresh(name: string): Promise<Observation> {
    const looks = this.#looks.get(name);
    if (looks === undefined) return this.#begin(name);
    looks.next ??= looks.current.then(ignore, ignore).then(() => this.#begin(name));
    return looks.next;
  }

  /** How many looks have begun; see {@link refreshAwake}. */
  get begun(): number {
    return this.#begun;
  }

  /**
   * As `refresh()`, but content with a look that began after the first `begun` ones and saw the container running:
   * its start event is mostly seen before the call that started it returns, and a second look would only cost time.
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
    return this.refresh(name);
  }

  #begin(name: string): Promise<Observation> {
    const number = ++this.#begun;
    const looks: Looks = { number, current: this.#inspect(name), next: undefined };
    this.#looks.set(name, looks);
    const forget = () => {
      if (looks.next === undefined && this.#looks.get(name) === looks) this.#looks.delete(name);
    };
    void looks.current.then(forget, forget);
    return looks.current;
  }

  async #inspect(name: string): Promise<Observation> {
    const number = this.#begun;
    const { cache, client, locator } = this.#options;
    const session = this.#options.session();
    if (session === undefined) throw new EngineUnreachable('the engine does not answer');
    const id = cache.get(name)?.id;
    const container = id === undefined ? undefined : await client.inspect(id, session);
    // Renamed meanwhile: what was seen belongs to another name, and that event is on its way.
    const isSame = container !== undefined && container.Name === `/${name}`;
    const observation = isSame
      ? observeInspected(container, await locator.findHosts(container, { name, session }))
      : MISSING;
    session.throwIfAborted();
    if (!isSame) locator.setMissing(name);
    if (observation.state === 'running') this.#seenAwake.set(observation, number);
    this.#tell(name, observation);
    return observation;
  }

  async #keepLooking(name: string): Promise<void> {
    const { clock, logger } = this.#options;
    const session = this.#options.session();
    if (session === undefined) return;
    for (let failures = 1; failures <= MAX_TRIES; failures++) {
      try {
        await this.refresh(name);
        return;
      } catch (error) {
        // After a reconnect everything is looked at anyway.
        if (session.aborted) return;
        const level = error instanceof EngineUnreachable ? 'debug' : 'warn';
        const fields = { event: 'observe', container: name, err: error };
        logger[level](fields, `cannot inspect container "${name}": ${describeError(error)}`);
        await clock.sleep(backoffMs(failures, RETRY), session).catch(ignore);
      }
    }
  }

  /** What the cache says by itself; UNKNOWN where it takes an inspect. */
  #recall(name: string, session: AbortSignal): Observation {
    const { cache, locator } = this.#options;
    const known = cache.get(name);
    if (known === undefined) {
      locator.setMissing(name);
      return MISSING;
    }
    const observation = known.listed && observeListed(known.listed);
    if (observation === undefined || known.listed === undefined) return UNKNOWN;
    locator.setAtRest(name, { container: known.listed, session });
    return observation;
  }

  #tell(name: string, observation: Observation): void {
    if (!this.#watched.has(name)) return;
    this.#watched.set(name, observation);
    this.#options.observed(name, observation);
  }
}

function ignore(): void {}
