import { Agent, type ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { Cancel, Clock } from '../../../system/clock.ts';

/** An idle connection is closed before most servers would do so: many wait for 5 s. */
const IDLE_MS = 4_000;
/** What isn't asked again when its connection turns out to be dead goes only to one that has just been used. */
const FRESH_MS = 500;
/** Idle connections of one service. */
const MAX_IDLE = 256;

/** A connection to an upstream, lent to one request at a time. */
export interface UpstreamConnection {
  readonly socket: Socket;
}

interface Kept extends UpstreamConnection {
  /** Whether a request has used it before. */
  isUsed: boolean;
  /** Since when it is idle, on the monotonic clock; undefined while a request uses it. */
  idleSinceMs: number | undefined;
  /** For how long it may be idle. */
  idleMs: number;
  readonly destroyIfIdle: () => void;
}

/**
 * The connections to one port of a service, each used by one request after the other. They are closed when they were idle for a
 * while, when the run of the workload that they belong to is over, and where more comes than was asked for. `close()` ends it.
 */
export class UpstreamPool {
  readonly #clock: Clock;
  readonly #mayKeep: () => boolean;
  readonly #onEmpty: () => void;
  readonly #idle: Kept[] = [];
  readonly #bySocket = new WeakMap<Socket, Kept>();
  readonly #agent = new SocketAgent((request, socket) => this.#begin(request, socket));
  #cancelSweep: Cancel | undefined;
  #isClosed = false;

  /**
   * @param options.mayKeep whether there is room for idle connections.
   * @param options.onEmpty told when nothing has been asked for a while, so that no connection is kept any more.
   */
  constructor(options: {
    readonly clock: Clock;
    readonly mayKeep?: () => boolean;
    readonly onEmpty?: () => void;
  }) {
    this.#clock = options.clock;
    this.#mayKeep = options.mayKeep ?? (() => true);
    this.#onEmpty = options.onEmpty ?? (() => {});
  }

  /** To be passed to `http.request`, with the connection's socket as `lentSocket`. */
  get agent(): Agent {
    return this.#agent;
  }

  get idleConnections(): number {
    return this.#idle.length;
  }

  /**
   * Lends an idle connection; undefined where there is none.
   * @param options.isRepeatable whether the request may be sent again when the connection turns out to be dead.
   */
  take({ isRepeatable }: { readonly isRepeatable: boolean }): UpstreamConnection | undefined {
    for (;;) {
      const kept = this.#idle.at(-1);
      if (kept?.idleSinceMs === undefined) return undefined;
      if (!isRepeatable && this.#clock.monotonicMs() - kept.idleSinceMs > FRESH_MS) return undefined;
      this.#idle.pop();
      kept.idleSinceMs = undefined;
      if (kept.socket.writable && kept.socket.readable) return kept;
    }
  }

  /** Lends a new connection. @param ended aborts when the run that it belongs to is over. */
  adopt(socket: Socket, ended: AbortSignal): UpstreamConnection {
    const kept: Kept = {
      ...{ socket, isUsed: false, idleSinceMs: undefined, idleMs: IDLE_MS },
      destroyIfIdle: () => {
        if (kept.idleSinceMs !== undefined) socket.destroy();
      },
    };
    this.#bySocket.set(socket, kept);
    const end = () => {
      if (kept.idleSinceMs !== undefined) socket.destroy();
      // A request that still uses it may end in peace, where the workload lets it.
      else kept.idleMs = 0;
    };
    ended.addEventListener('abort', end, { once: true });
    if (ended.aborted) end();
    socket
      .on('free', () => this.#keep(kept))
      // Whatever it says unasked, the next request must not take it for its answer.
      .on('data', kept.destroyIfIdle)
      .on('end', kept.destroyIfIdle)
      .on('error', () => {})
      .once('close', () => {
        ended.removeEventListener('abort', end);
        const index = this.#idle.indexOf(kept);
        if (index >= 0) this.#idle.splice(index, 1);
      });
    return kept;
  }

  /** Puts back a connection that was lent and not used. */
  giveBack({ socket }: UpstreamConnection): void {
    const kept = this.#bySocket.get(socket);
    if (kept !== undefined) this.#keep(kept);
  }

  /** Takes from an answer for how long its connection may be idle. @param hint the value of `Keep-Alive` */
  note({ socket }: { readonly socket: Socket | null }, hint: string): void {
    const kept = socket === null ? undefined : this.#bySocket.get(socket);
    const [, seconds] = /timeout=(\d+)/i.exec(hint) ?? [];
    if (kept !== undefined && seconds !== undefined)
      kept.idleMs = Math.min(kept.idleMs, Math.max(0, (Number(seconds) - 1) * 1_000));
  }

  /** A connection speaks another protocol from now on: what it says is somebody else's. */
  letGo(socket: Socket): void {
    const kept = this.#bySocket.get(socket);
    if (kept !== undefined) socket.off('data', kept.destroyIfIdle).off('end', kept.destroyIfIdle);
  }

  /** Closes what is idle now, and what becomes idle from now on. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#cancelSweep?.();
    for (const { socket } of this.#idle.splice(0)) socket.destroy();
  }

  #begin(request: ClientRequest, socket: Socket): void {
    const kept = this.#bySocket.get(socket);
    request.reusedSocket = kept?.isUsed ?? false;
    if (kept !== undefined) kept.isUsed = true;
    request.onSocket(socket);
    // A new connection has not been read from yet.
    socket.resume();
  }

  #keep(kept: Kept): void {
    const { socket, idleMs } = kept;
    const isOver = this.#isClosed || idleMs <= 0 || socket.destroyed || !socket.writable || !socket.readable;
    if (isOver || this.#idle.length >= MAX_IDLE || !this.#mayKeep()) return void socket.destroy();
    kept.idleSinceMs = this.#clock.monotonicMs();
    socket.resume();
    this.#idle.push(kept);
    this.#cancelSweep ??= this.#clock.schedule(IDLE_MS, () => this.#sweep());
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const nowMs = this.#clock.monotonicMs();
    const isLate = ({ idleSinceMs = nowMs, idleMs }: Kept) => nowMs - idleSinceMs >= idleMs;
    for (const kept of this.#idle.filter(isLate)) {
      this.#idle.splice(this.#idle.indexOf(kept), 1);
      kept.socket.destroy();
    }
    if (this.#idle.length > 0) this.#cancelSweep = this.#clock.schedule(1_000, () => this.#sweep());
    else this.#onEmpty();
  }
}

/** Gives each request the socket that was chosen for it; Node's own agent would choose one by itself. */
class SocketAgent extends Agent {
  readonly #begin: (request: ClientRequest, socket: Socket) => void;

  constructor(begin: (request: ClientRequest, socket: Socket) => void) {
    super({ keepAlive: true });
    this.#begin = begin;
  }

  /** Called by each request that has this agent, with the options it was made with. */
  addRequest(request: ClientRequest, options: { readonly lentSocket: Socket }): void {
    this.#begin(request, options.lentSocket);
  }
}
