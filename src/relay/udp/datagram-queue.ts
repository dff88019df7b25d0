import type { UdpPolicy } from '../../model/service.ts';
import type { Bound } from '../access/admission.ts';
import type { QueueBudget } from './udp-budget.ts';

/** What keeping a datagram costs beside its bytes: two objects and the allocator's rounding. Measured. */
export const DATAGRAM_COST_BYTES = 640;

/** Why a datagram was dropped; each is counted. */
export type DropReason =
  | 'queue-datagrams'
  | 'queue-bytes'
  | 'queue-listener'
  | 'queue-total'
  | 'queue-age'
  | 'not-ready'
  | 'asleep'
  | 'wake-list'
  | 'untrusted-proxy'
  | 'bad-proxy-header'
  | 'refused'
  | 'unsendable'
  | 'too-many-flows'
  | Bound
  | 'blocked'
  | 'own-listener';

/** Why the datagrams of a flow were dropped that could not be served; `error` says why not. */
export function dropReasonOf(error: unknown): DropReason {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'asleep' || code === 'wake-list' ? code : 'not-ready';
}

export type QueueLimits = Pick<UdpPolicy, 'maxQueuedDatagrams' | 'maxQueuedBytes' | 'maxQueueAgeMs'>;

interface Entry {
  readonly datagram: Buffer;
  readonly atMs: number;
}

/** Never written to. */
const NOTHING: Entry[] = [];

/**
 * The datagrams that one flow keeps, in order, while its workload wakes. Bounded by count, bytes and age, and by what all flows
 * of the listener and of the process may keep together. Pure.
 */
export class DatagramQueue {
  readonly #limits: QueueLimits;
  readonly #budget: QueueBudget;
  /** `NOTHING` while the queue is empty, which it mostly is. */
  #entries: Entry[] = NOTHING;
  #bytes = 0;

  constructor(limits: QueueLimits, budget: QueueBudget) {
    this.#limits = limits;
    this.#budget = budget;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Adds a datagram at the end, or returns the limit that keeps it out: a full queue keeps its first datagrams. */
  push(datagram: Buffer, nowMs: number): DropReason | undefined {
    const refused = this.findLimit(datagram.length) ?? this.#budget.take(costOf(datagram.length));
    if (refused !== undefined) return refused;
    if (this.#entries === NOTHING) this.#entries = [];
    this.#entries.push({ datagram, atMs: nowMs });
    this.#bytes += datagram.length;
    return undefined;
  }

  /** Puts a datagram back to the front that was taken out a moment ago, whatever the limits. */
  putBack(datagram: Buffer, nowMs: number): void {
    this.#budget.give(-costOf(datagram.length));
    this.#entries = [{ datagram, atMs: nowMs }, ...this.#entries];
    this.#bytes += datagram.length;
  }

  /** The limit that keeps a datagram of that length out; undefined where there is room. */
  findLimit(bytes: number): DropReason | undefined {
    if (this.#entries.length >= this.#limits.maxQueuedDatagrams) return 'queue-datagrams';
    if (this.#bytes + bytes > this.#limits.maxQueuedBytes) return 'queue-bytes';
    return this.#budget.findLimit(costOf(bytes));
  }

  peek(): Buffer | undefined {
    return this.#entries[0]?.datagram;
  }

  shift(): Buffer | undefined {
    const datagram = this.#entries.shift()?.datagram;
    if (datagram === undefined) return undefined;
    // An array that was emptied would keep its memory.
    if (this.#entries.length === 0) this.#entries = NOTHING;
    this.#bytes -= datagram.length;
    this.#budget.give(costOf(datagram.length));
    return datagram;
  }

  /** Takes the first datagrams out, at least one and then within the limits. Drops those that are too old. */
  take(
    nowMs: number,
    { maxCount, maxBytes }: { readonly maxCount: number; readonly maxBytes: number },
  ): { readonly datagrams: readonly Buffer[]; readonly expired: number } {
    const datagrams: Buffer[] = [];
    let bytes = 0;
    let expired = 0;
    for (let next = this.#entries[0]; next !== undefined; next = this.#entries[0]) {
      const isOld = nowMs - next.atMs > this.#limits.maxQueueAgeMs;
      bytes += isOld ? 0 : next.datagram.length;
      if (datagrams.length > 0 && (datagrams.length >= maxCount || bytes > maxBytes)) break;
      this.shift();
      if (isOld) expired++;
      else datagrams.push(next.datagram);
    }
    return { datagrams, expired };
  }

  /** Drops everything; returns how many datagrams that were. */
  clear(): number {
    const { length } = this.#entries;
    this.#budget.give(this.#bytes + length * DATAGRAM_COST_BYTES);
    this.#entries = NOTHING;
    this.#bytes = 0;
    return length;
  }
}

function costOf(bytes: number): number {
  return bytes + DATAGRAM_COST_BYTES;
}
