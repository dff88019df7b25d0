/**
 * Looks names up. The system's resolver blocks a thread while its servers are silent, and can't be stopped. libuv lets it have
 * two of its four threads, so that files can still be read; all other look-ups wait for these two.
 * Input: a name. Output: its addresses. Guarantees: at most two look-ups are under way, one for each name however many ask
 * for it, and nobody waits for longer than 5 s.
 */
import { type LookupAddress, lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { type Clock, systemClock } from '../clock.ts';

const MAX_AT_ONCE = 2;
const TIMEOUT_MS = 5_000;
/** So many slow names are remembered. */
const MAX_SLOW = 1_000;

type Addresses = readonly LookupAddress[];

interface Waiter {
  readonly resolve: (found: Addresses) => void;
  readonly reject: (error: unknown) => void;
}

interface Pending {
  readonly waiters: Set<Waiter>;
  isUnderWay: boolean;
}

export class NameLookups {
  readonly #clock: Clock;
  readonly #lookup: (host: string, callback: (error: Error | null, found: LookupAddress[]) => void) => void;
  /** By name, in the order in which they were asked for. */
  readonly #pending = new Map<string, Pending>();
  /** Names whose look-up somebody has given up. They share one thread, so that other names have the second one. */
  readonly #slow = new Set<string>();

  /** @param options.lookup default: asks the system. */
  constructor(options: {
    readonly clock: Clock;
    readonly lookup?: (host: string, callback: (error: Error | null, found: LookupAddress[]) => void) => void;
  }) {
    this.#clock = options.clock;
    this.#lookup = options.lookup ?? ((host, callback) => lookup(host, { all: true }, callback));
  }

  /**
   * The addresses of a name, or the address itself.
   * @throws the resolver's error; {Error} where it doesn't answer within 5 s; the signal's reason when it aborts.
   */
  find(host: string, signal?: AbortSignal): Promise<Addresses> {
    const family = isIP(host);
    if (family !== 0) return Promise.resolve([{ address: host, family }]);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const pending = this.#pending.get(host) ?? { waiters: new Set(), isUnderWay: false };
      this.#pending.set(host, pending);
      const end = () => {
        cancel();
        signal?.removeEventListener('abort', abort);
      };
      const waiter: Waiter = {
        resolve: (found) => {
          end();
          resolve(found);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      const giveUp = (error: unknown) => {
        pending.waiters.delete(waiter);
        if (pending.isUnderWay) this.#noteSlow(host);
        else if (pending.waiters.size === 0) this.#pending.delete(host);
        waiter.reject(error);
      };
      const abort = () => giveUp(signal?.reason);
      const cancel = this.#clock.schedule(TIMEOUT_MS, () => {
        giveUp(new Error(`the name "${host}" could not be looked up within ${TIMEOUT_MS / 1_000} s`));
      });
      signal?.addEventListener('abort', abort, { once: true });
      pending.waiters.add(waiter);
      this.#begin();
    });
  }

  #begin(): void {
    const underWay = [...this.#pending].filter(([, { isUnderWay }]) => isUnderWay).map(([host]) => host);
    for (const [host, pending] of this.#pending) {
      if (underWay.length >= MAX_AT_ONCE) return;
      const isHeldBack = this.#slow.has(host) && underWay.some((other) => this.#slow.has(other));
      if (pending.isUnderWay || isHeldBack) continue;
      pending.isUnderWay = true;
      underWay.push(host);
      this.#lookup(host, (error, found) => this.#settle(host, { pending, error, found }));
    }
  }

  #settle(
    host: string,
    outcome: { readonly pending: Pending; readonly error: Error | null; readonly found: Addresses },
  ): void {
    const { pending, error, found } = outcome;
    this.#pending.delete(host);
    // Somebody still waits, so the name was not slow this time.
    if (pending.waiters.size > 0) this.#slow.delete(host);
    for (const waiter of pending.waiters) {
      if (error === null) waiter.resolve(found);
      else waiter.reject(error);
    }
    this.#begin();
  }

  #noteSlow(host: string): void {
    this.#slow.add(host);
    for (const oldest of this.#slow) {
      if (this.#slow.size <= MAX_SLOW) return;
      this.#slow.delete(oldest);
    }
  }
}

/** One for the process, because the threads are shared by the process. */
export const nameLookups = new NameLookups({ clock: systemClock });

/**
 * Makes the `lookup` option of a socket.
 * @param options.choose leaves out the addresses that may not be connected to; throws where none is left, saying why.
 */
export function createLookup(options: {
  readonly signal: AbortSignal;
  readonly choose?: (found: Addresses) => Addresses | Promise<Addresses>;
}): LookupFunction {
  const { signal, choose = (found) => found } = options;
  return (host, { all, family }, callback) => {
    const wanted = family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family;
    const find = async () => {
      const found = await nameLookups.find(host, signal);
      const chosen = await choose(wanted ? found.filter((entry) => entry.family === wanted) : found);
      const [first] = chosen;
      if (first === undefined) throw new Error(`no address is known for the name "${host}"`);
      return { first, chosen };
    };
    find().then(
      ({ first, chosen }) => {
        if (all === true) callback(null, [...chosen]);
        else callback(null, first.address, first.family);
      },
      (error: Error) => callback(error, ''),
    );
  };
}
