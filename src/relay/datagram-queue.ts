import type { UdpPolicy } from '../model/service.ts';

/** Why a datagram was dropped; each is counted. */
export type DropReason =
  | 'queue-datagrams'
  | 'queue-bytes'
  | 'queue-age'
  | 'not-ready'
  | 'refused'
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

  /** Empties the queue: those young enough, in order, and how many were too old. */
  drain(nowMs: number): { readonly datagrams: readonly Buffer[]; readonly expired: number } {
    const entries = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    const young = entries.filter(({ atMs }) => nowMs - atMs <= this.#limits.maxQueueAgeMs);
    return { datagrams: young.map(({ datagram }) => datagram), expired: entries.length - young.length };
  }
}
