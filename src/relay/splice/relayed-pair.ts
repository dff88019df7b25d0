import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../native/epoll-events.ts';
import { Pump, type PumpParts, type Side } from './pump.ts';

/** `over`: both directions have ended. `broken`: a side has failed, so the other is to be reset. */
export type PairResult = 'waiting' | 'more' | 'over' | 'broken';

export type SideName = 'client' | 'upstream';

export interface PairSockets {
  readonly client: number;
  readonly upstream: number;
  /** What was read of each before. */
  readonly clientRead: Uint8Array | undefined;
  readonly upstreamRead: Uint8Array | undefined;
}

/** A client and its upstream: one pump for each direction. The sockets are the owner's to close. */
export class RelayedPair {
  readonly client: Side;
  readonly upstream: Side;
  readonly #up: Pump;
  readonly #down: Pump;
  #isBroken = false;

  constructor(sockets: PairSockets, parts: PumpParts) {
    this.client = createSide(sockets.client);
    this.upstream = createSide(sockets.upstream);
    this.#up = new Pump(parts, { source: this.client, target: this.upstream, first: sockets.clientRead });
    this.#down = new Pump(parts, { source: this.upstream, target: this.client, first: sockets.upstreamRead });
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
  note(name: SideName, events: number): void {
    const side = this[name];
    // A reset, or a connection that the kernel has given up.
    if (events & EPOLLERR) this.#isBroken = true;
    if (events & (EPOLLRDHUP | EPOLLHUP)) side.finished = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) side.readable = true;
    if (events & EPOLLOUT) side.writable = true;
  }

  /** Moves what can be moved now. */
  run(): PairResult {
    if (this.#isBroken) return 'broken';
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

/** A socket that was just connected takes bytes; whether it has any, epoll says as soon as it is asked. */
function createSide(fd: number): Side {
  return { fd, readable: false, writable: true, finished: false };
}
