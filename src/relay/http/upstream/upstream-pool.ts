import type { Socket } from 'node:net';
import type { Cancel, Clock } from '../../../system/clock.ts';
import { UpstreamConnection } from './upstream-connection.ts';

/** An idle connection is closed before most servers would do so: many wait for 5 s. */
const IDLE_MS = 4_000;
/** What isn't asked again when its connection turns out to be dead goes only to one that has just been used. */
const FRESH_MS = 500;
/** Idle connections of one service. */
const MAX_IDLE = 256;

/**
 * The connections to one port of a service, each used by one request after the other. They are closed when they were idle for a
 * while, and when the run of the workload that they belong to is over. `close()` ends it.
 */
export class UpstreamPool {
  readonly #clock: Clock;
  readonly #mayKeep: () => boolean;
  readonly #idle: UpstreamConnection[] = [];
  #cancelSweep: Cancel | undefined;
  #isClosed = false;

  /** @param options.mayKeep whether there is room for idle connections. */
  constructor(options: {
    readonly clock: Clock;
    readonly mayKeep?: () => boolean;
  }) {
    this.#clock = options.clock;
    this.#mayKeep = options.mayKeep ?? (() => true);
  }

  get idleConnections(): number {
    return this.#idle.length;
  }

  /**
   * Lends an idle connection; undefined where there is none.
   * @param options.isRepeatable whether the request may be sent again when the connection turns out to be dead.
   * @param options.of whose it has to be; undefined = everybody's.
   */
  take({
    isRepeatable,
    of,
  }: {
    readonly isRepeatable: boolean;
    readonly of?: string | undefined;
  }): UpstreamConnection | undefined {
    for (;;) {
      const index = this.#idle.findLastIndex((kept) => kept.of === of);
      const kept = this.#idle[index];
      if (kept?.idleSinceMs === undefined) return undefined;
      if (!isRepeatable && this.#clock.monotonicMs() - kept.idleSinceMs > FRESH_MS) return undefined;
      this.#idle.splice(index, 1);
      kept.idleSinceMs = undefined;
      if (kept.isUsable) return kept;
    }
  }

  /**
   * Lends a new connection.
   * @param options.ended aborts when the run that it belongs to is over.
   * @param options.of whose requests alone it is for; undefined = everybody's.
   */
  adopt(
    socket: Socket,
    { ended, of }: { readonly ended: AbortSignal; readonly of?: string | undefined },
  ): UpstreamConnection {
    const connection = new UpstreamConnection(socket, {
      ...{ idleMs: IDLE_MS, of, ended },
      owner: {
        onFree: () => this.giveBack(connection),
        onClosed: () => {
          ended.removeEventListener('abort', end);
          const index = this.#idle.indexOf(connection);
          if (index >= 0) this.#idle.splice(index, 1);
        },
      },
    });
    const end = () => {
      if (connection.idleSinceMs !== undefined) socket.destroy();
      // A request that still uses it may end in peace, where the workload lets it.
      else connection.idleMs = 0;
    };
    ended.addEventListener('abort', end, { once: true });
    if (ended.aborted) end();
    return connection;
  }

  /** Keeps a connection that was lent, where it may be used again. */
  giveBack(connection: UpstreamConnection): void {
    const { socket, idleMs, isUsable } = connection;
    const isOver = this.#isClosed || idleMs <= 0 || !isUsable;
    if (isOver || this.#idle.length >= MAX_IDLE || !this.#mayKeep()) return void socket.destroy();
    connection.idleSinceMs = this.#clock.monotonicMs();
    connection.isKept = true;
    // Only what is read is seen to end.
    if (!socket.readableFlowing) socket.resume();
    this.#idle.push(connection);
    this.#cancelSweep ??= this.#clock.schedule(IDLE_MS, () => this.#sweep());
  }

  /** Closes what is idle now, and what becomes idle from now on. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#cancelSweep?.();
    for (const { socket } of this.#idle.splice(0)) socket.destroy();
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const nowMs = this.#clock.monotonicMs();
    const isLate = ({ idleSinceMs = nowMs, idleMs }: UpstreamConnection) => nowMs - idleSinceMs >= idleMs;
    for (const kept of this.#idle.filter(isLate)) {
      this.#idle.splice(this.#idle.indexOf(kept), 1);
      kept.socket.destroy();
    }
    if (this.#idle.length > 0) this.#cancelSweep = this.#clock.schedule(1_000, () => this.#sweep());
  }
}
