import type { Socket } from 'node:net';
import { backoffMs } from '../system/backoff.ts';
import type { Clock } from '../system/clock.ts';

/** Delays between dials while a port is not proven: 2, 4, 8 … 100 ms (DESIGN 4.2). */
const RETRY = { firstMs: 2, maxMs: 100 } as const;

export type Dial = (signal: AbortSignal) => Promise<Socket>;

/**
 * Proves by dialling that one port of a workload answers. Until it is proven, one of its clients dials again and
 * again and the others wait for that one; then each dials once. The connection that proves the port is used.
 */
export class PortGate {
  readonly #clock: Clock;
  #proven = false;
  #probe: Promise<void> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the port has answered in this run of the workload, and not refused since. */
  get proven(): boolean {
    return this.#proven;
  }

  /** Connects, or goes on trying until `signal` aborts; then rejects with its reason. */
  async connect(dial: Dial, signal: AbortSignal): Promise<Socket> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#proven) {
        const socket = await dial(signal).catch(() => undefined);
        if (socket !== undefined) return socket;
        signal.throwIfAborted();
        // Refused although it answered before: it may be restarting, so it has to prove itself again.
        this.#proven = false;
      } else if (this.#probe !== undefined) {
        await raceAbort(this.#probe, signal);
      } else {
        return await this.#prove(dial, signal);
      }
    }
  }

  async #prove(dial: Dial, signal: AbortSignal): Promise<Socket> {
    let finish = () => {};
    this.#probe = new Promise((resolve) => {
      finish = resolve;
    });
    try {
      for (let failures = 1; ; failures++) {
        const socket = await dial(signal).catch(() => undefined);
        if (socket !== undefined) {
          this.#proven = true;
          return socket;
        }
        await this.#clock.sleep(backoffMs(failures, RETRY), signal);
      }
    } finally {
      this.#probe = undefined;
      finish();
    }
  }
}

function raceAbort(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    void promise.then(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
  });
}
