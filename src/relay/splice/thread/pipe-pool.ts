import { type ClientCounts, countDescriptors, countShared } from '../../access/client-counts.ts';
import type { Libc } from '../../native/libc.ts';

/** A pipe of the kernel. Bytes go through it from one socket to another without being copied. */
export interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
  /** Bytes that it takes at the most. */
  readonly capacity: number;
}

const ENDS = 2;

/** What a pool needs of the kernel. */
export type PipeKernel = Pick<Libc, 'pipe' | 'setPipeSize' | 'close'>;

/**
 * Pipes to lend. `registry` bounds their number: it has two places for each, which hold the descriptors of the pipes that
 * exist, 0 = none. The main thread reads it too, and closes the pipes if this thread dies. Pipes count among the
 * descriptors of clients: many slow clients need many of them.
 */
export class PipePool {
  readonly #kernel: PipeKernel;
  readonly #registry: Int32Array;
  readonly #counts: ClientCounts;
  readonly #maxDescriptor: number;
  readonly #wantedBytes: number;
  readonly #free: Pipe[] = [];
  readonly #ends = new Int32Array(ENDS);

  constructor(
    kernel: PipeKernel,
    options: {
      readonly registry: Int32Array;
      readonly counts: ClientCounts;
      /** Once so many descriptors are taken or promised, the rest is kept for clients: they can do without a pipe. */
      readonly maxDescriptor: number;
      readonly wantedBytes: number;
    },
  ) {
    this.#kernel = kernel;
    this.#registry = options.registry;
    this.#counts = options.counts;
    this.#maxDescriptor = options.maxDescriptor;
    this.#wantedBytes = options.wantedBytes;
  }

  /** Lends an empty pipe; undefined where all are lent, or few descriptors are left. The caller gives it back or discards it. */
  take(): Pipe | undefined {
    return this.#free.pop() ?? this.#create();
  }

  /** Takes back an empty pipe. */
  give(pipe: Pipe): void {
    this.#free.push(pipe);
  }

  /** Closes a pipe that still holds something. */
  discard({ readEnd, writeEnd }: Pipe): void {
    const place = this.#registry.indexOf(readEnd);
    this.#registry.fill(0, place, place + ENDS);
    countShared(this.#counts, -ENDS);
    this.#kernel.close(readEnd);
    this.#kernel.close(writeEnd);
  }

  /** Closes the pipes that are not lent. */
  trim(): void {
    for (const pipe of this.#free.splice(0)) this.discard(pipe);
  }

  #create(): Pipe | undefined {
    if (countDescriptors(this.#counts) + ENDS > this.#maxDescriptor) return undefined;
    const place = this.#findPlace();
    if (place === undefined || this.#kernel.pipe(this.#ends) < 0) return undefined;
    const [readEnd = 0, writeEnd = 0] = this.#ends;
    if (Math.max(readEnd, writeEnd) >= this.#maxDescriptor) {
      for (const end of this.#ends) this.#kernel.close(end);
      return undefined;
    }
    this.#registry.set(this.#ends, place);
    countShared(this.#counts, ENDS);
    const capacity = this.#kernel.setPipeSize(writeEnd, this.#wantedBytes);
    // The kernel refuses once the pipes of one user are too big together; then the pipe keeps the size it was made with.
    return { readEnd, writeEnd, capacity: capacity > 0 ? capacity : DEFAULT_PIPE_BYTES };
  }

  #findPlace(): number | undefined {
    for (let place = 0; place < this.#registry.length; place += ENDS) {
      if (this.#registry[place] === 0) return place;
    }
    return undefined;
  }
}

/** pipe(7) */
const DEFAULT_PIPE_BYTES = 65_536;
