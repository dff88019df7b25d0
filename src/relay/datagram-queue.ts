import type { UdpPolicy } from '../model/service.ts';

/** Why a datagram was dropped; each is counted. */
export type DropReason =
  | 'queue-datagrams'
  | 'queue-bytes'
  | 'queue-age'
  | 'not-ready'
  | 'refused'
  | 'unsendable'
  | 'too-many-flows'
  | 'blocked';

export type QueueLimits = Pick<UdpPolicy, 'maxQueuedDatagrams' | 'maxQueuedBytes' | 'maxQueueAgeMs'>;

interface Entry {
  readonly datagram: Buffer;
  readonly atMs: number;
}

/** The datagrams that one flow keeps, in order, while its workload wakes. Pure; bounded by count, bytes and age. */
export class DatagramQueue {
  readonly #limits: QueueLimits;
  #entries: Entry[] = [];
  #bytes = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Adds a datagram at the end, or says which limit keeps it out: the first ones are those that count. */
  push(datagram: Buffer, nowMs: number): DropReason | undefined {
    if (this.#entries.length >= this.#limits.maxQueuedDatagrams) return 'queue-datagrams';
    if (this.#bytes + datagram.length > this.#limits.maxQueuedBytes) return 'queue-bytes';
    this.#entries.push({ datagram, atMs: nowMs });
    this.#bytes += datagram.length;
    return undefined;
  }

  peek(): Buffer | undefined {
    return this.#entries[0]?.datagram;
  }

  shift(): Buffer | undefined {
    const entry = this.#entries.shift();
    this.#bytes -= entry?.datagram.length ?? 0;
    return entry?.datagram;
  }

  /** Takes the first datagrams out, within the limits (at least one); those that are too old are left out. */
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

  /** Drops everything; returns how many that were. */
  clear(): number {
    const { length } = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    return length;
  }
}
