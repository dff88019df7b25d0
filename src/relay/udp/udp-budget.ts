import type { DropReason } from './datagram-queue.ts';
import { IdleOrder, type Place } from '../access/idle-order.ts';

/** A listener may use this part of the memory, so that one service that wakes leaves room for three others. */
const LISTENER_SHARE = 1 / 4;
/** Each flow costs a socket. */
const MAX_FLOWS = 65_536;
const MAX_LISTENER_FLOWS = 16_384;
/** Flows may use this part of the descriptors; the rest is for connections and everything else. */
const FLOWS_OF_DESCRIPTORS = 1 / 2;
/** A flow that was used more recently may still wait for an answer, and is kept; in ms. */
const MIN_IDLE_MS = 1_000;
/** At most so many flows that are not idle are skipped in the search for one that is. */
const MAX_PASSED_OVER = 16;

/** Memory for the datagrams that are kept. */
export interface QueueBudget {
  /** The limit that so many bytes would exceed; undefined if none. */
  findLimit(bytes: number): DropReason | undefined;
  /** Takes so many bytes; returns the limit that they would exceed, and takes nothing then. */
  take(bytes: number): DropReason | undefined;
  give(bytes: number): void;
}

/** A flow that may be ended to make room. */
export interface RoomMaker {
  /** Waits for nothing, and keeps nothing. */
  readonly isIdle: boolean;
  readonly lastActiveMs: number;
  end(ending: 'displaced'): void;
}

/** What the UDP flows of the whole process may take together: memory for what is kept, and sockets. */
export class UdpBudget {
  readonly #maxQueuedBytes: number;
  readonly #limit: FlowLimit;
  #queuedBytes = 0;

  /** @param options.descriptors how many this process may have open; undefined where nobody knows. */
  constructor(options: { readonly maxQueuedBytes: number; readonly descriptors: number | undefined }) {
    this.#maxQueuedBytes = options.maxQueuedBytes;
    const { descriptors = Number.POSITIVE_INFINITY } = options;
    this.#limit = new FlowLimit(Math.min(MAX_FLOWS, Math.floor(descriptors * FLOWS_OF_DESCRIPTORS)));
  }

  /** The bytes that are kept now, including what keeping them costs. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Opens the part of one listener. */
  openListener(maxFlows = MAX_LISTENER_FLOWS): ListenerBudget {
    const maxBytes = Math.floor(this.#maxQueuedBytes * LISTENER_SHARE);
    let bytesOfListener = 0;
    const findLimit = (bytes: number) => {
      if (bytesOfListener + bytes > maxBytes) return 'queue-listener';
      return this.#queuedBytes + bytes > this.#maxQueuedBytes ? 'queue-total' : undefined;
    };
    return {
      queue: {
        findLimit,
        take: (bytes) => {
          const limit = findLimit(bytes);
          if (limit !== undefined) return limit;
          bytesOfListener += bytes;
          this.#queuedBytes += bytes;
          return undefined;
        },
        give: (bytes) => {
          bytesOfListener -= bytes;
          this.#queuedBytes -= bytes;
        },
      },
      limits: [new FlowLimit(maxFlows), this.#limit],
    };
  }
}

/** One listener's part of the budget. */
export interface ListenerBudget {
  readonly queue: QueueBudget;
  /** The listener's own limit, and the one of all. */
  readonly limits: readonly FlowLimit[];
}

/** A limit on the number of flows; the flow that was idle longest makes room for a new one. */
export class FlowLimit {
  readonly #max: number;
  readonly #used = new IdleOrder<RoomMaker>();
  /** One for all seats. */
  readonly #seatParts: SeatParts = {
    used: this.#used,
    onLeft: () => {
      this.#count--;
    },
  };
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Ends a flow where there is no room for one more; false where none may be ended. */
  makeRoom(nowMs: number): boolean {
    while (this.#count >= this.#max) if (!this.endOldest(nowMs)) return false;
    return true;
  }

  /** Ends the flow that was idle for the longest time; false where none may be ended. */
  endOldest(nowMs: number): boolean {
    for (let passedOver = 0; passedOver < MAX_PASSED_OVER; passedOver++) {
      const { oldest } = this.#used;
      if (oldest === undefined || nowMs - oldest.value.lastActiveMs < MIN_IDLE_MS) return false;
      if (oldest.value.isIdle) {
        oldest.value.end('displaced');
        return true;
      }
      this.#used.touch(oldest);
    }
    return false;
  }

  /** Counts one flow more. The caller touches the seat whenever the flow is used, and leaves it at the end. */
  enter(flow: RoomMaker): FlowSeat {
    this.#count++;
    return new PlacedSeat(flow, this.#seatParts);
  }
}

/** A flow's place in one limit. */
export interface FlowSeat {
  touch(): void;
  leave(): void;
}

interface SeatParts {
  readonly used: IdleOrder<RoomMaker>;
  readonly onLeft: () => void;
}

/** A flow enters the order with its first use: one that still waits for its workload is never ended to make room. */
class PlacedSeat implements FlowSeat, Place<RoomMaker> {
  readonly value: RoomMaker;
  before: Place<RoomMaker> | undefined;
  after: Place<RoomMaker> | undefined;
  readonly #parts: SeatParts;
  #isPlaced = false;

  constructor(flow: RoomMaker, parts: SeatParts) {
    this.value = flow;
    this.#parts = parts;
  }

  touch(): void {
    const { used } = this.#parts;
    if (this.#isPlaced) return used.touch(this);
    this.#isPlaced = true;
    used.add(this);
  }

  leave(): void {
    this.#parts.onLeft();
    if (this.#isPlaced) this.#parts.used.remove(this);
  }
}
