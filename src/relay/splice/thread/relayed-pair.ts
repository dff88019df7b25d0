import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from '../../native/epoll-events.ts';
import { ECONNRESET, EPIPE } from '../../native/errno.ts';
import type { ConnectionEnding } from '../../end-log.ts';
import { ViewedPair } from '../../tcp/peer-vigil.ts';
import { fail, Pump, type PumpParts, type Side } from './pump.ts';

/**
 * `over`: both directions have ended. `broken`: a side has failed, and the other is to be reset. `draining`: a side has
 * failed, and the other still has to take what came before. A reset would throw away what it hasn't acknowledged, and no
 * event tells when it has. `refused`: the upstream was never connected, and nothing was read of the client.
 */
export type PairResult = 'waiting' | 'more' | 'over' | 'draining' | 'broken' | 'refused';

export interface PairSockets {
  readonly client: number;
  readonly upstream: number;
  /** What was read of each already. */
  readonly clientRead?: Uint8Array | undefined;
  readonly upstreamRead?: Uint8Array | undefined;
  /** Silence after which the kernel probes each side (TCP keepalive), in ms; 0 = never. */
  readonly keepAliveMs: number;
}

/** A client and its upstream, with one pump for each direction. The owner closes the sockets. */
export class RelayedPair {
  readonly client: Side;
  readonly upstream: Side;
  readonly view: ViewedPair;
  readonly #up: Pump;
  readonly #down: Pump;
  readonly #kernel: PumpParts['kernel'];
  #isConnected: boolean;

  constructor(
    sockets: PairSockets,
    { parts, isConnected }: { readonly parts: PumpParts; readonly isConnected: boolean },
  ) {
    const { client, upstream } = sockets;
    this.#isConnected = isConnected;
    this.#kernel = parts.kernel;
    // A connected socket takes bytes. Whether it has some to read, epoll tells as soon as it watches the socket.
    const idle = { readable: false, finished: false, urgent: false, failed: false };
    this.client = { fd: client, ...idle, writable: true };
    this.upstream = { fd: upstream, ...idle, writable: isConnected };
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

  /** How the connection ends where it is reset. */
  get breaker(): ConnectionEnding {
    if (this.client.failed) return 'client-reset';
    return this.upstream.failed ? 'upstream-reset' : 'cut';
  }

  /** Takes an event that epoll has for one side. */
  note(name: 'client' | 'upstream', events: number): void {
    const side = this[name];
    if (name === 'upstream' && !this.#isConnected) {
      // Epoll reports a socket that isn't connected yet as hung up.
      if (!(events & (EPOLLOUT | EPOLLERR))) return;
      this.#isConnected = !(events & EPOLLERR) || this.#wasReset();
    }
    // A reset, or a connection that the kernel has given up.
    if (events & EPOLLERR) fail(side);
    if (events & (EPOLLRDHUP | EPOLLHUP)) side.finished = true;
    if (events & EPOLLPRI) side.urgent = true;
    if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP)) side.readable = true;
    if (events & EPOLLOUT) side.writable = true;
  }

  /** Something may have come of which epoll has not told yet. */
  lookAgain(): void {
    this.client.readable = this.upstream.readable = true;
  }

  /** Moves what can be moved now. */
  run(): PairResult {
    const { client, upstream } = this;
    if (!this.#isConnected) return upstream.failed ? 'refused' : 'waiting';
    const wasWhole = !client.failed && !upstream.failed;
    const up = this.#up.run();
    const down = this.#down.run();
    if (up === 'more' || down === 'more') return 'more';
    if (client.failed && upstream.failed) return 'broken';
    if (client.failed || upstream.failed) {
      // The failure has shown only now, so run once more: what that side sent before it may not have been read yet.
      if (wasWhole) return 'more';
      const isPassedOn = (client.failed ? up : down) !== 'waiting';
      return isPassedOn && this.#unacknowledged() <= 0 ? 'broken' : 'draining';
    }
    return up === 'ended' && down === 'ended' ? 'over' : 'waiting';
  }

  /** Bytes that have arrived at both sides together, as far as the side that has not failed acknowledges them. */
  get delivered(): number {
    return this.bytesUp + this.bytesDown - this.#unacknowledged();
  }

  /** Bytes that the side that has not failed still has to acknowledge. */
  #unacknowledged(): number {
    return this.#kernel.unacknowledged((this.client.failed ? this.upstream : this.client).fd);
  }

  /** Whether the upstream was connected before it failed, as where it answers and resets at once. */
  #wasReset(): boolean {
    const error = this.#kernel.takeError(this.upstream.fd);
    return error === ECONNRESET || error === EPIPE;
  }

  /** Drops what the pumps still hold. */
  close(): void {
    this.#up.close();
    this.#down.close();
  }
}
