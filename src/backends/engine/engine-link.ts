import { setMaxListeners } from 'node:events';
import type { Observation } from '../../model/running/observation.ts';
import { describeError } from '../../system/message-of.ts';
import { abortable } from '../../system/waiting/abortable.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
import { linkSignals } from '../../system/waiting/link-signals.ts';
import type { EventFilter } from './engine-client.ts';
import { type ConnectionFollower, type EngineConnection, RECONNECT } from './engine-connection.ts';
import { EngineUnreachable } from './errors.ts';
import type { EngineEvent } from './event-stream.ts';

/** What a link tells its backend. */
export interface LinkListener<T> {
  /** A whole list, and the events that came while it was made. Resolves when everything that has changed was looked at. */
  listed(list: T, events: readonly EngineEvent[]): Promise<void>;
  event(event: EngineEvent): void;
  reachable(reachable: boolean, reason?: string): void;
}

export interface EngineLinkOptions<T> {
  readonly filter: EventFilter;
  /** Asks for everything that the events are about. */
  readonly list: (signal: AbortSignal) => Promise<T>;
  readonly listener: LinkListener<T>;
}

/** An engine that accepts the connection but never answers must not hold up the start for longer. */
const FIRST_LOOK_MS = 5_000;

/** Between tries of a call while the engine comes and goes. */
const RETRY = { firstMs: 100, maxMs: 2_000 };

/**
 * One backend's use of the connection that it was lent. It lists once in every session, and passes on the events from then
 * on. It asks again for a list that failed, which other backends on the connection don't notice. `close()` gives the
 * connection back.
 */
export class EngineLink<T> {
  readonly #connection: EngineConnection;
  readonly #options: EngineLinkOptions<T>;
  readonly #lifetime = new AbortController();
  readonly #waiters = new Set<() => void>();
  readonly #awake = new Set<string>();
  readonly #follower: ConnectionFollower;
  #session: AbortSignal | undefined;
  /** The events that came before the list. */
  #early: EngineEvent[] = [];
  /** What the listener was told last: true, or why the engine is away. */
  #told: true | string | undefined;
  #firstLook: () => void = () => {};
  #closing: Promise<void> | undefined;

  constructor(connection: EngineConnection, options: EngineLinkOptions<T>) {
    this.#connection = connection;
    this.#options = options;
    this.#follower = {
      filter: options.filter,
      isAwake: () => this.#session !== undefined && this.#awake.size > 0,
      begun: (session) => void this.#keepListing(session),
      heard: (event) => this.#heard(event),
      ended: (reason) => this.#fail(reason),
    };
    connection.lend(this.#follower);
  }

  /** Lasts from the list until its event stream ends; undefined while the engine is away. */
  get session(): AbortSignal | undefined {
    return this.#session;
  }

  /** Aborts at close. */
  get lifetime(): AbortSignal {
    return this.#lifetime.signal;
  }

  /** A workload was looked at. While any is awake, a stream that stays silent is checked. */
  observed(name: string, { state }: Observation): void {
    if (state === 'running' || state === 'stranded' || state === 'starting' || state === 'paused')
      this.#awake.add(name);
    else if (state !== 'unknown') this.#awake.delete(name);
    this.#connection.followAwake();
  }

  /** Nobody watches it any more. */
  forget(name: string): void {
    this.#awake.delete(name);
    this.#connection.followAwake();
  }

  /** Connects, and stays connected until `close()`. Resolves when everything was looked at once, or after the first failure. */
  start(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    return new Promise((resolve) => {
      const cancel = this.#connection.clock.schedule(FIRST_LOOK_MS, () => {
        if (this.#session === undefined) this.#tell(false, `no answer within ${FIRST_LOOK_MS / 1000} s`);
        resolve();
      });
      this.#firstLook = () => {
        cancel();
        resolve();
      };
      this.#connection.follow(this.#follower);
    });
  }

  /**
   * Does `work` as soon as the engine answers, and again where the engine goes away meanwhile.
   * @throws what `work` throws otherwise; the signal's reason when it aborts.
   */
  async retry<R>(work: () => Promise<R>, signal: AbortSignal): Promise<R> {
    for (let failures = 1; ; failures++) {
      await this.#whenReachable(signal);
      try {
        return await abortable(work(), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof EngineUnreachable)) throw error;
      }
      await this.#connection.clock.sleep(backoffMs(failures, RETRY), signal);
    }
  }

  /** Ends every call made in the session, and gives the connection back. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#lifetime.abort(new Error('the connection to the engine was closed'));
    this.#session = undefined;
    this.#firstLook();
    await this.#connection.release(this.#follower);
  }

  /** Lists until it succeeds or the stream ends. */
  async #keepListing(stream: AbortSignal): Promise<void> {
    const session = this.#openSession(stream);
    for (let failures = 1; !session.aborted; failures++) {
      // The list that comes now includes what earlier events have told.
      this.#early = [];
      try {
        this.#take(await this.#options.list(session), session);
        return;
      } catch (error) {
        // The connection itself tells that the stream has ended.
        if (session.aborted) return;
        this.#fail(describeError(error));
      }
      await this.#connection.clock.sleep(backoffMs(failures, RECONNECT), session).catch(() => {});
    }
  }

  /** Ends with the stream, or with the link. */
  #openSession(stream: AbortSignal): AbortSignal {
    const { signal, unlink } = linkSignals([stream, this.#lifetime.signal]);
    // Each call in flight listens; Node would warn of more than ten.
    setMaxListeners(0, signal);
    const end = () => {
      unlink();
      this.#session = undefined;
    };
    signal.addEventListener('abort', end, { once: true });
    return signal;
  }

  #take(list: T, session: AbortSignal): void {
    if (session.aborted) return;
    const events = this.#early;
    this.#session = session;
    this.#connection.listed();
    const looked = this.#options.listener.listed(list, events);
    this.#tell(true);
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
    void looked.then(this.#firstLook, this.#firstLook);
    this.#connection.followAwake();
  }

  #heard(event: EngineEvent): void {
    const { types, actions } = this.#options.filter;
    // As engines filter: `health_status` also lets `health_status: healthy` through.
    if (!types.includes(event.type) || !actions.includes(event.action.split(':')[0] ?? '')) return;
    if (this.#session === undefined) this.#early.push(event);
    else this.#options.listener.event(event);
  }

  #fail(reason: string): void {
    this.#session = undefined;
    this.#tell(false, reason);
    this.#firstLook();
  }

  /** Resolves as soon as the engine answers. @throws the signal's reason. */
  #whenReachable(signal: AbortSignal): Promise<void> {
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

  #tell(reachable: boolean, reason?: string): void {
    // What keeps it away may be another thing by now: that the stream broke says less than that the socket is gone.
    const told = reachable || (reason ?? '');
    if (this.#told === told || this.#lifetime.signal.aborted) return;
    this.#told = told;
    this.#options.listener.reachable(reachable, reason);
  }
}
