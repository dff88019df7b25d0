import { setMaxListeners } from 'node:events';
import type { Observation } from '../../model/observation.ts';
import { abortable } from '../../system/abortable.ts';
import { backoffMs } from '../../system/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { describeError } from '../../system/message-of.ts';
import type { EngineClient, EventFilter } from './engine-client.ts';
import { EngineUnreachable } from './errors.ts';
import { type EngineEvent, readEvents } from './event-stream.ts';
import { SilenceCheck } from './silence-check.ts';

/** What the link tells its owner. */
export interface LinkListener<T> {
  /** A whole list, and the events that came while it was made; resolves when all that follows from it was looked at. */
  listed(list: T, events: readonly EngineEvent[]): Promise<void>;
  event(event: EngineEvent): void;
  reachable(reachable: boolean, reason?: string): void;
}

export interface EngineLinkOptions<T> {
  readonly client: EngineClient;
  readonly clock: Clock;
  readonly filter: EventFilter;
  /** Asks for everything that the events are about. */
  readonly list: (signal: AbortSignal) => Promise<T>;
  readonly listener: LinkListener<T>;
}

/** How far the past events are asked for beyond now: the engine's clock is known to the second. */
const AHEAD_MS = 2_000;

/** Everything works within 5 s of the engine's return: at most 2 s of waiting, the rest for a long list. */
const RECONNECT = { firstMs: 100, maxMs: 2_000 };

/** An engine that takes the connection but says nothing must not hold up the start for longer. */
const FIRST_LOOK_MS = 5_000;

/**
 * Engines confirm the subscription a moment before it is in force; asking for the last seconds' events too closes
 * that gap. Events told twice do no harm.
 */
const OVERLAP_MS = 2_000;

/**
 * The lasting connection to the engine: subscribes to its events, lists, and does both again whenever it breaks.
 * A *session* is one such connection; its signal aborts with {@link EngineUnreachable} when it ends.
 */
export class EngineLink<T> {
  readonly #options: EngineLinkOptions<T>;
  readonly #clock: Clock;
  readonly #listener: LinkListener<T>;
  readonly #lifetime = new AbortController();
  readonly #waiters = new Set<() => void>();
  #session: AbortSignal | undefined;
  #told: boolean | undefined;
  #running: Promise<void> | undefined;
  readonly #awake = new Set<string>();
  #silence: SilenceCheck | undefined;

  constructor(options: EngineLinkOptions<T>) {
    this.#options = options;
    this.#clock = options.clock;
    this.#listener = options.listener;
  }

  /** Of the connection that stands now; undefined while the engine is away. */
  get session(): AbortSignal | undefined {
    return this.#session;
  }

  /** Aborts at close. */
  get lifetime(): AbortSignal {
    return this.#lifetime.signal;
  }

  /** A workload was looked at: while any is awake, a stream that carries nothing is checked now and then. */
  observed(name: string, { state }: Observation): void {
    if (state === 'running' || state === 'stranded' || state === 'starting' || state === 'paused')
      this.#awake.add(name);
    else if (state !== 'unknown') this.#awake.delete(name);
    this.#followAwake();
  }

  /** Nobody watches it any more. */
  forget(name: string): void {
    this.#awake.delete(name);
    this.#followAwake();
  }

  /** Connects, and stays connected until `close()`. Resolves after the first full look or the first failure. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.schedule(FIRST_LOOK_MS, () => {
        if (this.#session === undefined) this.#tell(false, `no answer within ${FIRST_LOOK_MS / 1000} s`);
        resolve();
      });
      const settle = () => {
        cancel();
        resolve();
      };
      this.#running = this.#run(settle).finally(settle);
    });
  }

  /** Resolves as soon as the engine answers. @throws the signal's reason. */
  whenReachable(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#session !== undefined) return resolve();
      const abort = () => {
        this.#waiters.delete(wake);
        reject(signal.reason);
      };
      const wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      this.#waiters.add(wake);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  /** Ends the session and every call made in it. Idempotent. */
  async close(): Promise<void> {
    this.#lifetime.abort(new Error('the connection to the engine was closed'));
    await this.#running;
  }

  async #run(firstLook: () => void): Promise<void> {
    const lifetime = this.#lifetime.signal;
    let failures = 0;
    while (!lifetime.aborted) {
      const beganMs = this.#clock.monotonicMs();
      const reason = await this.#connect(firstLook);
      if (lifetime.aborted) return;
      this.#tell(false, reason);
      firstLook();
      const lastedMs = this.#clock.monotonicMs() - beganMs;
      failures = lastedMs >= RECONNECT.maxMs ? 1 : failures + 1;
      await this.#clock.sleep(backoffMs(failures, RECONNECT), lifetime).catch(() => {});
    }
  }

  /** One session from its beginning to its end; resolves with the reason of the end. */
  async #connect(firstLook: () => void): Promise<string> {
    const session = new AbortController();
    // Each call in flight listens; Node would warn of more than ten.
    setMaxListeners(0, session.signal);
    const end = () => session.abort(this.#lifetime.signal.reason);
    this.#lifetime.signal.addEventListener('abort', end, { once: true });
    try {
      return await abortable(this.#observe(session.signal, firstLook), session.signal);
    } catch (error) {
      return describeError(error);
    } finally {
      this.#lifetime.signal.removeEventListener('abort', end);
      this.#session = undefined;
      session.abort(new EngineUnreachable('the connection to the engine broke'));
    }
  }

  async #observe(session: AbortSignal, firstLook: () => void): Promise<never> {
    const sinceMs = this.#clock.nowMs() - OVERLAP_MS;
    const { client, filter, list } = this.#options;
    const stream = await client.events({ filter, sinceMs, signal: session });
    const beganMs = stream.engineMs ?? this.#clock.nowMs();
    const subscribedMs = this.#clock.monotonicMs();
    let fail: (error: Error) => void = () => {};
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    failed.catch(() => {});
    const silence = new SilenceCheck({
      clock: this.#clock,
      // To the second, as it was told: what came within it was told by the stream that had just begun.
      beganMs: beganMs + 1_000,
      ask: (sinceNs) => {
        const untilMs = beganMs + this.#clock.monotonicMs() - subscribedMs + AHEAD_MS;
        return client.pastEvents({ filter, sinceNs, untilMs, signal: session });
      },
      onFailed: (cause) => fail(new EngineUnreachable(`its event stream is dead: ${describeError(cause)}`)),
    });
    this.#silence = silence;
    try {
      return await this.#follow(stream, { session, firstLook, silence, failed, list });
    } finally {
      this.#silence = undefined;
      silence.close();
    }
  }

  async #follow(
    stream: AsyncIterable<Uint8Array>,
    options: {
      readonly session: AbortSignal;
      readonly firstLook: () => void;
      readonly silence: SilenceCheck;
      readonly failed: Promise<never>;
      readonly list: EngineLinkOptions<T>['list'];
    },
  ): Promise<never> {
    const { session, firstLook, silence, failed, list } = options;
    let early: EngineEvent[] | undefined = [];
    const reading = readEvents(stream, (event) => {
      silence.heard(event);
      if (early === undefined) this.#listener.event(event);
      else early.push(event);
    });
    const broken = reading.then(streamEnded, streamEnded);
    const listed = await Promise.race([list(session), broken]);
    const events = early;
    early = undefined;
    this.#session = session;
    const looked = this.#listener.listed(listed, events);
    this.#tell(true);
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
    void looked.then(firstLook, firstLook);
    this.#followAwake();
    return await Promise.race([broken, failed]);
  }

  #followAwake(): void {
    if (this.#session !== undefined) this.#silence?.setNeeded({ isNeeded: this.#awake.size > 0 });
  }

  #tell(reachable: boolean, reason?: string): void {
    if (this.#told === reachable) return;
    this.#told = reachable;
    this.#listener.reachable(reachable, reason);
  }
}

/** However it ends; a connection that breaks off is told as `aborted`, which would say nothing to a reader. */
function streamEnded(cause?: unknown): never {
  throw new EngineUnreachable('the engine ended the event stream', { cause });
}
