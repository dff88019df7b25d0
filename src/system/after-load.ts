import { getHeapStatistics } from 'node:v8';
import type { Cancel, Clock } from './clock.ts';
import { exposeGarbageCollector } from './collect-garbage.ts';

/** Clients are counted for so long. */
const LOOK_MS = 3_000;
/** A load is over when no more of them have ended within that. */
const FEW = 50;
/** V8 goes by the last 5 s to find out whether the room for young objects may shrink. */
const SHRINK_MS = 6_000;
/** What is less isn't worth the time. */
const GROWN_BYTES = 8 * 2 ** 20;
/** Where more is in use, to collect all would stop the event loop for too long. */
const MAX_USED_BYTES = 32 * 2 ** 20;

/** Of JavaScript, in bytes. */
export interface HeapSize {
  /** What it has of the machine, with its buffers. */
  readonly total: number;
  /** What is in use, or garbage. */
  readonly used: number;
}

/**
 * Gives memory back when a load is over. V8 looks for garbage only while memory is asked for, and keeps the room that its young objects
 * had, up to 32 MiB; the C library keeps what it has freed. `note()` tells of the end of each client. From the first one on, until it
 * is quiet, there is a timer; in an idle process there is none. `close()` ends it.
 */
export class AfterLoad {
  readonly #clock: Clock;
  readonly #trim: () => void;
  readonly #measure: () => HeapSize;
  #collect: ((what: 'all' | 'young') => void) | undefined;
  /** After the last time that memory was given back, or the least since. */
  #kept: HeapSize | undefined;
  #ended = 0;
  #cancel: Cancel | undefined;
  #isClosed = false;

  constructor(parts: {
    readonly clock: Clock;
    /** Gives back what the C library has freed. */
    readonly trim: () => void;
    readonly collect?: (what: 'all' | 'young') => void;
    readonly measure?: () => HeapSize;
  }) {
    this.#clock = parts.clock;
    this.#trim = parts.trim;
    this.#collect = parts.collect;
    this.#measure = parts.measure ?? measureHeap;
  }

  /** The program is up: what it has now is no load. */
  begin(): void {
    this.#kept = this.#measure();
  }

  /** A client has ended. */
  note(): void {
    this.#ended++;
    if (this.#cancel !== undefined || this.#isClosed) return;
    this.#kept ??= this.#measure();
    this.#arm(LOOK_MS, () => this.#look());
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #arm(delayMs: number, onDue: () => void): void {
    this.#cancel = this.#clock.schedule(delayMs, () => {
      this.#cancel = undefined;
      const isQuiet = this.#ended <= FEW;
      this.#ended = 0;
      if (isQuiet) onDue();
      else this.#arm(LOOK_MS, () => this.#look());
    });
  }

  #look(): void {
    const now = this.#measure();
    const kept = this.#kept ?? now;
    if (now.total < kept.total) this.#kept = now;
    if (now.total < kept.total + GROWN_BYTES) return;
    this.#collect ??= exposeGarbageCollector();
    this.#collect(kept.used > MAX_USED_BYTES ? 'young' : 'all');
    this.#arm(SHRINK_MS, () => this.#shrink());
  }

  #shrink(): void {
    this.#collect?.('young');
    this.#trim();
    this.#kept = this.#measure();
  }
}

function measureHeap(): HeapSize {
  const { total_heap_size, external_memory, used_heap_size } = getHeapStatistics();
  return { total: total_heap_size + external_memory, used: used_heap_size };
}
