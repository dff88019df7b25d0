import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from '../../native/epoll-events.ts';
import type { PeerVigil, ViewedPair } from '../../tcp/peer-vigil.ts';
import type { Poller } from './poller.ts';
import type { PumpParts } from './pump.ts';
import { type PairSockets, RelayedPair } from './relayed-pair.ts';
import { CONNECTION_ENDINGS, type SharedState } from '../thread-protocol.ts';

/** After one side has failed, the other is reset too once it has taken nothing of the rest for this long, in ms. */
const DRAIN_TIMEOUT_MS = 5_000;
const DRAIN_LOOK_MS = 20;

const EVENTS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;

interface TableOptions {
  readonly poller: Poller;
  readonly shared: Pick<SharedState, 'open' | 'sockets' | 'traffic' | 'endings'>;
  readonly pump: PumpParts;
  readonly vigil: PeerVigil;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicMs: () => number;
  /** The upstream of a pair has accepted. */
  readonly onConnected: (slot: number) => void;
  /** The upstream of a pair has refused. Nothing was read of the client; the caller removes or closes the pair. */
  readonly onRefused: (slot: number) => void;
  /** Both sockets are closed. */
  readonly onClosed: (slot: number) => void;
}

/**
 * The connections of the relay thread by slot, and which of them have something to do. Each moves a bounded number of bytes
 * a turn. The token of a client's socket is twice its slot, that of its upstream's socket one more.
 */
export class PairTable {
  readonly #options: TableOptions;
  readonly #pairs: (RelayedPair | undefined)[] = [];
  /** The slots with something to do, and an empty set to collect those of the next turn. */
  #due = new Set<number>();
  #dueNext = new Set<number>();
  /** Pairs of which one side has failed: how much the other has taken of the rest, and when it last took some. */
  readonly #draining = new Map<number, { readonly sinceMs: number; readonly delivered: number }>();
  #nextLookMs = 0;

  constructor(options: TableOptions) {
    this.#options = options;
  }

  /** How long the loop may wait, in ms; undefined = until there is an event. */
  timeoutMs(): number | undefined {
    if (this.#due.size > 0) return 0;
    if (this.#draining.size === 0) return undefined;
    return Math.max(0, this.#nextLookMs - this.#options.monotonicMs());
  }

  /** Takes over two sockets. With `connecting`, the upstream has not accepted yet and may refuse. */
  add(slot: number, sockets: PairSockets, state: 'connected' | 'connecting'): void {
    this.#pairs[slot] = new RelayedPair(sockets, {
      parts: this.#options.pump,
      isConnected: state === 'connected',
    });
    const { shared, poller } = this.#options;
    shared.sockets[slot * 2] = sockets.client;
    shared.sockets[slot * 2 + 1] = sockets.upstream;
    shared.traffic.fill(0, slot * 2, slot * 2 + 2);
    Atomics.store(shared.open, slot, 1);
    const isWatched =
      poller.watch(sockets.client, { events: EVENTS, token: slot * 2 }) &&
      poller.watch(sockets.upstream, { events: EVENTS, token: slot * 2 + 1 });
    if (isWatched) this.#due.add(slot);
    else this.close(slot, 'reset');
  }

  /** Takes an event that epoll has for one of the sockets. */
  note(token: number, events: number): void {
    const slot = token >>> 1;
    const pair = this.#pairs[slot];
    // The pair was closed earlier in this turn.
    if (pair === undefined) return;
    const wasConnected = pair.isConnected;
    pair.note(token & 1 ? 'upstream' : 'client', events);
    this.#due.add(slot);
    if (pair.isConnected && !wasConnected) this.#options.onConnected(slot);
  }

  /** Moves bytes of all pairs that have something to do. */
  runDue(): void {
    const due = this.#due;
    this.#due = this.#dueNext;
    this.#dueNext = due;
    for (const slot of due) this.#run(slot);
    due.clear();
  }

  /** Ends a turn: looks again at pairs that still have to deliver the rest, and resets those that have stopped taking it. */
  endTurn(): void {
    if (this.#draining.size === 0) return;
    const nowMs = this.#options.monotonicMs();
    if (nowMs < this.#nextLookMs) return;
    this.#nextLookMs = nowMs + DRAIN_LOOK_MS;
    for (const [slot, { sinceMs }] of this.#draining) {
      if (nowMs - sinceMs > DRAIN_TIMEOUT_MS) this.close(slot, 'reset');
      else this.#due.add(slot);
    }
  }

  /** Closes the upstream's socket of a pair that isn't connected, and returns the client's, which stays open. */
  remove(slot: number): number | undefined {
    const pair = this.#forget(slot);
    if (pair === undefined) return undefined;
    const { poller } = this.#options;
    poller.close(pair.upstream.fd, 'orderly');
    poller.unwatch(pair.client.fd);
    return pair.client.fd;
  }

  /** Closes both sockets in order, unless the pair has carried more than so many bytes once what has come by now is passed on. */
  closeIdle(slot: number, bytes: number): void {
    const pair = this.#pairs[slot];
    if (pair?.isConnected !== true) return;
    pair.lookAgain();
    this.#run(slot);
    if (this.#pairs[slot] === pair && pair.bytesUp + pair.bytesDown <= bytes) this.close(slot, 'idle');
  }

  /** Closes both sockets. Nothing happens where there is no such pair. */
  close(slot: number, how: 'orderly' | 'reset' | 'idle'): void {
    const pair = this.#forget(slot);
    if (pair === undefined) return;
    const { poller, shared, onClosed } = this.#options;
    const ending = { orderly: 'closed', idle: 'idle', reset: pair.breaker } as const;
    shared.endings[slot] = CONNECTION_ENDINGS.indexOf(ending[how]);
    for (const { fd } of [pair.client, pair.upstream]) poller.close(fd, how === 'reset' ? how : 'orderly');
    onClosed(slot);
  }

  /** Resets the pairs that have lost an end: see `PeerVigil`. */
  resetGone(): void {
    const views = new Set<ViewedPair>(this.#options.vigil.findGone());
    if (views.size === 0) return;
    for (const [slot, pair] of this.#pairs.entries()) {
      if (pair !== undefined && views.has(pair.view)) this.close(slot, 'reset');
    }
  }

  #run(slot: number): void {
    const pair = this.#pairs[slot];
    if (pair === undefined) return;
    const result = pair.run();
    const { vigil, shared } = this.#options;
    const { traffic } = shared;
    if (pair.isConnected) vigil.note(pair.view);
    traffic[slot * 2] = pair.bytesUp;
    traffic[slot * 2 + 1] = pair.bytesDown;
    if (result === 'more') this.#due.add(slot);
    else if (result === 'draining') this.#drain(slot, pair.delivered);
    else if (result === 'refused') this.#options.onRefused(slot);
    else if (result !== 'waiting') this.close(slot, result === 'over' ? 'orderly' : 'reset');
  }

  #drain(slot: number, delivered: number): void {
    if (this.#draining.get(slot)?.delivered === delivered) return;
    this.#draining.set(slot, { sinceMs: this.#options.monotonicMs(), delivered });
  }

  #forget(slot: number): RelayedPair | undefined {
    const pair = this.#pairs[slot];
    if (pair === undefined) return undefined;
    this.#pairs[slot] = undefined;
    this.#draining.delete(slot);
    pair.close();
    this.#options.vigil.forget(pair.view);
    Atomics.store(this.#options.shared.open, slot, 0);
    return pair;
  }
}
