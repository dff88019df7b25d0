/**
 * The one lasting connection to one Docker API. Input: its event stream. Output: every event, to each backend that follows
 * the connection. Guarantees: one client, one stream and one membership in networks, however many backends follow; a stream
 * that breaks is renewed until the last backend has closed.
 */
import { setMaxListeners } from 'node:events';
import { abortable } from '../../system/waiting/abortable.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { withDeadline } from '../../system/waiting/deadline.ts';
import type { Logger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import { type Environment, parseEngineAddress } from './engine-address.ts';
import { createEngineClient, type EngineClient, type EventFilter } from './engine-client.ts';
import { EngineUnreachable } from './errors.ts';
import { type EngineEvent, readEvents } from './event-stream.ts';
import { NetworkMembership } from './network/network-membership.ts';
import { ownSystem, type OwnSystem } from './network/own-container.ts';
import { OwnPlaceReader } from './network/own-place.ts';
import { SilenceCheck } from './silence-check.ts';

export interface EngineConnectionOptions {
  /** The path of the engine's socket, or an address as in `DOCKER_HOST`. */
  readonly socket: string;
  /** Where `DOCKER_CERT_PATH` and `DOCKER_TLS_VERIFY` are looked up. */
  readonly env: Environment;
  /** Join the networks of the workloads that are watched, where the proxy runs in a container itself; default true. */
  readonly joinNetworks?: boolean;
  /** Where the proxy reads in which container it runs; default: this machine. */
  readonly system?: OwnSystem;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A backend's part of the connection, as the connection sees it. */
export interface ConnectionFollower {
  readonly filter: EventFilter;
  /** Whether any of its workloads is awake. */
  isAwake(): boolean;
  /** The event stream stands; `session` aborts with {@link EngineUnreachable} when it ends. */
  begun(session: AbortSignal): void;
  heard(event: EngineEvent): void;
  /** The stream ended, or there was none. */
  ended(reason: string): void;
}

/** Past events are asked for up to this long after now: the engine's clock is known only to the second. */
const AHEAD_MS = 2_000;

/** Everything works within 5 s of the engine's return: at most 2 s of waiting, the rest for a long list. */
export const RECONNECT = { firstMs: 100, maxMs: 2_000 };

/**
 * Engines confirm a subscription a moment before it is in force. Asking for the events of the last seconds as well closes
 * that gap; an event that comes twice does no harm.
 */
const OVERLAP_MS = 2_000;

/**
 * Connects when the first backend opens, and ends when all that it was lent to have closed. A *session* is one event
 * stream, from its beginning to its end.
 */
export class EngineConnection {
  readonly client: EngineClient;
  /** The proxy's own networks: joined for the workloads of all who follow. */
  readonly membership: NetworkMembership;
  readonly system: OwnSystem;
  readonly clock: Clock;
  /** Every backend that the connection was lent to, opened or not. */
  readonly #borrowers = new Set<ConnectionFollower>();
  readonly #followers = new Set<ConnectionFollower>();
  readonly #lifetime = new AbortController();
  #session: AbortSignal | undefined;
  /** The session in which the proxy's own networks were read. */
  #placed: AbortSignal | undefined;
  /** Why there is no session, once a try has failed. */
  #failure: string | undefined;
  #silence: SilenceCheck | undefined;
  #running: Promise<void> | undefined;

  /** Nothing is asked yet. @throws {Error} where the address, or a certificate that it needs, can't be used. */
  constructor(options: EngineConnectionOptions) {
    const { socket, env, clock, logger, joinNetworks = true, system = ownSystem } = options;
    const client = createEngineClient(parseEngineAddress(socket, env), clock);
    const place = new OwnPlaceReader({ client, system });
    this.client = client;
    this.clock = clock;
    this.system = system;
    this.membership = new NetworkMembership({ client, place, clock, logger, joinNetworks });
  }

  /** A backend will follow: the stream is to carry its events. Whoever is lent the connection calls `release()`. */
  lend(follower: ConnectionFollower): void {
    this.#borrowers.add(follower);
  }

  /** Tells a backend of the present session and every later one; connects for the first backend. */
  follow(follower: ConnectionFollower): void {
    this.#followers.add(follower);
    this.#running ??= this.#run();
    if (this.#session !== undefined) follower.begun(this.#session);
    else if (this.#failure !== undefined) follower.ended(this.#failure);
  }

  /** A backend needs the connection no longer. The last one leaves the networks, and ends the connection. */
  async release(follower: ConnectionFollower): Promise<void> {
    this.#followers.delete(follower);
    this.#borrowers.delete(follower);
    if (this.#borrowers.size > 0) return;
    await this.membership.close();
    this.#lifetime.abort(new Error('the connection to the engine was closed'));
    await this.#running;
    this.client.close();
  }

  /** A backend has listed: its workloads are about to say which networks they need. */
  listed(): void {
    if (this.#session === undefined || this.#placed === this.#session) return;
    this.#placed = this.#session;
    this.membership.begin(this.#session);
  }

  /** A workload has woken or gone to sleep. While any is awake, a stream that stays silent is checked. */
  followAwake(): void {
    const isNeeded = [...this.#followers].some((follower) => follower.isAwake());
    this.#silence?.setNeeded({ isNeeded });
  }

  async #run(): Promise<void> {
    const { clock } = this;
    const lifetime = this.#lifetime.signal;
    let failures = 0;
    while (!lifetime.aborted) {
      const beganMs = clock.monotonicMs();
      const reason = await this.#connect();
      if (lifetime.aborted) return;
      this.#failure = reason;
      for (const follower of [...this.#followers]) follower.ended(reason);
      const lastedMs = clock.monotonicMs() - beganMs;
      failures = lastedMs >= RECONNECT.maxMs ? 1 : failures + 1;
      await clock.sleep(backoffMs(failures, RECONNECT), lifetime).catch(() => {});
    }
  }

  /** One session from its beginning to its end; resolves with the reason of the end. */
  async #connect(): Promise<string> {
    const session = new AbortController();
    // Each call in flight listens; Node would warn of more than ten.
    setMaxListeners(0, session.signal);
    const end = () => session.abort(this.#lifetime.signal.reason);
    this.#lifetime.signal.addEventListener('abort', end, { once: true });
    try {
      return await abortable(this.#observe(session.signal), session.signal);
    } catch (error) {
      return describeError(error);
    } finally {
      this.#lifetime.signal.removeEventListener('abort', end);
      this.#session = undefined;
      session.abort(new EngineUnreachable('the connection to the engine broke'));
    }
  }

  async #observe(session: AbortSignal): Promise<never> {
    const { client, clock } = this;
    const sinceMs = clock.nowMs() - OVERLAP_MS;
    const filter = mergeFilters([...this.#borrowers].map((borrower) => borrower.filter));
    const stream = await client.events({ filter, sinceMs, signal: session });
    const beganMs = stream.engineMs ?? clock.nowMs();
    const subscribedMs = clock.monotonicMs();
    let fail: (error: Error) => void = () => {};
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    failed.catch(() => {});
    const silence = new SilenceCheck({
      clock,
      // The time is known to the second only. Events within that second came with the stream that had just begun.
      beganMs: beganMs + 1_000,
      ask: (sinceNs) => {
        const untilMs = beganMs + clock.monotonicMs() - subscribedMs + AHEAD_MS;
        return client.pastEvents({ filter, sinceNs, untilMs, signal: session });
      },
      onFailed: (cause) => fail(new EngineUnreachable(`its event stream is dead: ${describeError(cause)}`)),
    });
    const reading = readEvents(stream, (event) => {
      silence.heard(event);
      this.membership.applyEvent(event);
      for (const follower of [...this.#followers]) follower.heard(event);
    });
    this.#silence = silence;
    this.#session = session;
    this.#failure = undefined;
    for (const follower of [...this.#followers]) follower.begun(session);
    try {
      return await Promise.race([reading.then(streamEnded, streamEnded), failed]);
    } finally {
      this.#silence = undefined;
      silence.close();
    }
  }
}

/** The smallest filter that lets through what any of these does. Pure. */
function mergeFilters(filters: readonly EventFilter[]): EventFilter {
  return {
    types: [...new Set(filters.flatMap(({ types }) => types))],
    actions: [...new Set(filters.flatMap(({ actions }) => actions))],
  };
}

/** Used for every end of the stream: Node's own message for a broken connection, `aborted`, would tell a reader nothing. */
function streamEnded(cause?: unknown): never {
  throw new EngineUnreachable('the engine ended the event stream', { cause });
}

export interface EngineQueryOptions {
  /** The path of the engine's socket, or an address as in `DOCKER_HOST`. */
  readonly socket: string;
  readonly env: Environment;
  readonly clock: Clock;
  /** How long to wait for the answer. */
  readonly timeoutMs: number;
}

/** Connects, does `ask`, and disconnects. @throws {Error} where the engine can't be asked, or doesn't answer in time. */
export async function askOnce<T>(
  options: EngineQueryOptions,
  ask: (client: EngineClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const client = createEngineClient(parseEngineAddress(options.socket, options.env), options.clock);
  const { clock, timeoutMs } = options;
  const expired = () => new EngineUnreachable(`the engine did not answer within ${timeoutMs / 1000} s`);
  try {
    return await withDeadline((signal) => ask(client, signal), { clock, timeoutMs, expired });
  } finally {
    client.close();
  }
}
