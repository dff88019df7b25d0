import { constants, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { Cancel, Clock } from '../clock.ts';
import { exposeGarbageCollector } from './collect-garbage.ts';
import { holdYoungGeneration, releaseYoungGeneration } from './young-generation.ts';

/** Clients and collections are counted for so long. */
const LOOK_MS = 3_000;
/** A load is over when no more clients have ended within that. */
const FEW_ENDS = 50;
/** Where the young generation has grown, a load is over when it was collected no more often within that. */
const FEW_COLLECTIONS = 3;
/** A load has begun when the small young generation, some 1 MB, was collected so often within a second. */
const MANY_COLLECTIONS = 20;
const SECOND_MS = 1_000;
/** V8 goes by the last 5 s to find out whether the young generation may shrink. */
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

/** What the keeper can do to V8's heap. */
export interface Heap {
  measure(): HeapSize;
  collect(what: 'all' | 'young'): void;
  /** Keeps the young generation as small as it is; again and again, since each thread that starts lets it grow. */
  hold(): void;
  /** Lets the young generation grow, which makes collecting garbage cheap. */
  release(): void;
  /** Calls back after each collection of the young generation, until it is cancelled. */
  watch(onCollected: () => void): Cancel;
}

/**
 * Keeps the memory of JavaScript as small as its load. V8 lets the room for young objects grow up to 32 MiB, keeps it, and looks for garbage
 * only while memory is asked for; the C library keeps what it has freed. So the young generation may grow under load alone, and what has
 * grown is given back when the load is over.
 *
 * `begin()` once the program is up; `note()` tells of the end of each client; `close()` ends it. V8 itself tells of its collections. After
 * each of these there is a timer until it is quiet; in an idle process there is none.
 */
export class HeapKeeper {
  readonly #clock: Clock;
  readonly #trim: () => void;
  readonly #heap: Heap;
  #unwatch: Cancel = () => {};
  /** After the last time that memory was given back, or the least since. */
  #kept: HeapSize | undefined;
  #isHeld = false;
  #ends = 0;
  #collections = 0;
  /** Of the young generation since `#secondMs`. */
  #inSecond = 0;
  #secondMs = 0;
  #cancel: Cancel | undefined;
  #isClosed = false;

  constructor(parts: {
    readonly clock: Clock;
    /** Gives back what the C library has freed. */
    readonly trim: () => void;
    readonly heap?: Heap;
  }) {
    this.#clock = parts.clock;
    this.#trim = parts.trim;
    this.#heap = parts.heap ?? createHeap();
  }

  /** The program is up: its start was a load, too. */
  begin(): void {
    if (this.#isClosed) return;
    this.#kept = { total: 0, used: this.#heap.measure().used };
    this.#follow();
    this.#isHeld = true;
    this.#heap.hold();
    this.#unwatch = this.#heap.watch(() => this.#collected());
  }

  /** A client has ended. */
  note(): void {
    this.#ends++;
    this.#follow();
  }

  /** V8 does as it likes again. Idempotent. */
  close(): void {
    if (this.#isHeld) this.#heap.release();
    this.#isHeld = false;
    this.#isClosed = true;
    this.#unwatch();
    this.#cancel?.();
  }

  #collected(): void {
    this.#collections++;
    this.#follow();
    if (!this.#isHeld) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#secondMs >= SECOND_MS) {
      this.#secondMs = nowMs;
      this.#inSecond = 0;
    }
    this.#inSecond++;
    this.#isHeld = this.#inSecond < MANY_COLLECTIONS;
    if (this.#isHeld) this.#heap.hold();
    else this.#heap.release();
  }

  #follow(): void {
    if (this.#cancel !== undefined || this.#isClosed) return;
    this.#kept ??= this.#heap.measure();
    this.#arm(LOOK_MS, () => this.#look());
  }

  #arm(delayMs: number, onDue: () => void): void {
    this.#cancel = this.#clock.schedule(delayMs, () => {
      this.#cancel = undefined;
      const isQuiet = this.#ends <= FEW_ENDS && (this.#isHeld || this.#collections <= FEW_COLLECTIONS);
      this.#ends = 0;
      this.#collections = 0;
      if (isQuiet) onDue();
      else this.#arm(LOOK_MS, () => this.#look());
    });
  }

  #look(): void {
    if (!this.#isHeld) {
      this.#isHeld = true;
      this.#heap.hold();
    }
    const now = this.#heap.measure();
    const kept = this.#kept ?? now;
    if (now.total < kept.total) this.#kept = now;
    if (now.total < kept.total + GROWN_BYTES) return;
    this.#heap.collect(kept.used > MAX_USED_BYTES ? 'young' : 'all');
    this.#arm(SHRINK_MS, () => this.#shrink());
  }

  #shrink(): void {
    this.#heap.collect('young');
    this.#trim();
    this.#kept = this.#heap.measure();
  }
}

function createHeap(): Heap {
  let collect: ReturnType<typeof exposeGarbageCollector> | undefined;
  return {
    measure: () => {
      const { total_heap_size, external_memory, used_heap_size } = getHeapStatistics();
      return { total: total_heap_size + external_memory, used: used_heap_size };
    },
    collect: (what) => {
      collect ??= exposeGarbageCollector();
      collect(what);
    },
    hold: holdYoungGeneration,
    release: releaseYoungGeneration,
    watch: watchYoungCollections,
  };
}

function watchYoungCollections(onCollected: () => void): Cancel {
  const observer = new PerformanceObserver((list) => {
    // Node's own types leave it out.
    for (const entry of list.getEntries() as readonly { readonly detail?: { readonly kind?: number } }[])
      if (entry.detail?.kind === constants.NODE_PERFORMANCE_GC_MINOR) onCollected();
  });
  observer.observe({ entryTypes: ['gc'] });
  return () => observer.disconnect();
}
