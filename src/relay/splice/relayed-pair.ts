import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../native/epoll-events.ts';
import { ViewedPair } from '../peer-vigil.ts';
import { Pump, type PumpParts, type Side } from './pump.ts';

/**
 * `over`: both directions have ended. `broken`: a side has failed, so the other is to be reset. `refused`: the upstream
 * was never connected, and nothing was read of the client.
 */
export type PairResult = 'waiting' | 'more' | 'over' | 'broken' | 'refused';

export interface PairSockets {
  readonly client: number;
  readonly upstream: number;
  /** What was read of each before. */
  readonly clientRead?: Uint8Array | undefined;
  readonly upstreamRead?: Uint8Array | undefined;
  /** Silence after which each is asked whether it is still there, 0 = never. */
  readonly keepAliveMs: number;
}

/** A client and its upstream: one pump for each direction. The sockets are the owner's to close. */
export class RelayedPair {
  readonly client: Side;
  readonly upstream: Side;
  readonly view: ViewedPair;
  readonly #up: Pump;
  readonly #down: Pump;
  #isConnected: boolean;
  #isBroken = false;

  constructor(
    sockets: PairSockets,
    { parts, isConnected }: { readonly parts: PumpParts; readonly isConnected: boolean },
  ) {
    const { client, upstream } = sockets;
    this.#isConnected = isConnected;
    // A socket takes bytes once it is connected; whether it has any, epoll says as soon as it is asked.
    this.client = { fd: client, readable: false, writable: true, finished: false };
    this.upstream = { fd: upstream, readable: false, writable: isConnected, finished: false };
    this.view = new ViewedPair(sockets.keepAliveMs, () => [client, upstream]);
    this.#up = new Pump(parts, { source: this.client, target: this.upstream, first: sockets.clientRead });
    this.#down = new Pump(parts, { source: this.upstream, target: this.client, first: sockets.upstreamRead });
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Bytes that the upstream has taken. */
  get bytesUp(): number {
    return this.#up.moved;
  }

  /** Bytes that the client has taken. */
  get bytesDown(): number {
    return this.#down.moved;
  }

  /** Notes what epoll tells of one side. */
  note(name: 'client' | 'upstream', events: number): void {
    const side = this[name];
    // A reset, or a connection that the kernel has given up.
    if (events & EPOLLERR) this.#isBroken = true;
    // A socket that isn't connected yet says that it is hung up.
    else if (name === 'upstream' && !this.#isConnected && !(events & EPOLLOUT)) return;
    else if (name === 'upstream') this.#isConnected = true;
    if (events & (EPOLLRDHUP | EPOLLHUP)) side.finished = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) side.readable = true;
    if (events & EPOLLOUT) side.writable = true;
  }

  /** Moves what can be moved now. */
  run(): PairResult {
    if (this.#isBroken) return this.#isConnected ? 'broken' : 'refused';
    const up = this.#up.run();
    const down = this.#down.run();
    if (up === 'broken' || down === 'broken') return 'broken';
    if (up === 'more' || down === 'more') return 'more';
    return up === 'ended' && down === 'ended' ? 'over' : 'waiting';
  }

  /** Lets go of what the pumps hold. */
  close(): void {
    this.#up.close();
    this.#down.close();
  }
}
