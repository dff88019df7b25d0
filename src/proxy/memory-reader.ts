import type { Backend } from '../backends/backend.ts';
import type { Observation } from '../model/running/observation.ts';
import type { Workload } from '../model/workload.ts';
import { workloadKey } from '../model/workload.ts';
import type { MemoryView } from '../status/api/content.ts';
import type { Clock } from '../system/clock.ts';
import { messageOf } from '../system/message-of.ts';

/** How long what was measured is good enough, ms: pages ask every few seconds. */
const FRESH_MS = 5_000;
/** Measurements under way at once: an engine takes a while over each. */
const MAX_AT_ONCE = 8;
/** How long whoever asks waits, ms: one engine that hangs must not keep back all that is known of everything else. */
const WAIT_MS = 2_000;
/** How long a measurement waits for its turn, ms: behind those that the engine never answers it would come when nobody looks any more. */
const TURN_MS = 5_000;
const LATE: MemoryView = { problem: `it was not told within ${WAIT_MS / 1_000} s` };

/** Who may take memory. What was last measured is remembered for as long as it exists. */
export interface MemoryHolder {
  readonly workload: Workload;
  readonly observation: Observation;
}

interface Measured {
  readonly view: Promise<MemoryView>;
  /** When it was known; undefined = not yet. */
  atMs: number | undefined;
}

/** Asks the engines what workloads take of memory, only when somebody wants to know. `close()` ends it. */
export class MemoryReader {
  readonly #backends: readonly Backend[];
  readonly #clock: Clock;
  readonly #closed = new AbortController();
  /** By workload. What is older than `FRESH_MS` is dropped with the next question. */
  readonly #measured = new Map<string, Measured>();
  /** Bytes. */
  readonly #last = new WeakMap<MemoryHolder, number>();
  /** When each was last asked for, so that those have their turn first that had none for the longest time. */
  readonly #askedMs = new WeakMap<MemoryHolder, number>();
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  constructor(options: { readonly backends: readonly Backend[]; readonly clock: Clock }) {
    this.#backends = options.backends;
    this.#clock = options.clock;
  }

  /**
   * Of each of these: what it takes if it runs, else what it took when somebody last asked. One that its engine can't measure, or of which
   * nothing is known, is left out; of one that takes longer than 2 s that is told. Never rejects.
   */
  async read<T extends MemoryHolder>(holders: readonly T[]): Promise<ReadonlyMap<T, MemoryView>> {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, { atMs = nowMs }] of this.#measured)
      if (nowMs - atMs >= FRESH_MS) this.#measured.delete(key);
    const isOver = new AbortController();
    const inVain = () => LATE;
    const late = this.#clock.sleep(WAIT_MS, isOver.signal).then(inVain, inVain);
    const inTurn = holders.toSorted((a, b) => (this.#askedMs.get(a) ?? 0) - (this.#askedMs.get(b) ?? 0));
    const views = await Promise.all(
      inTurn.map(async (holder) => {
        const view = await Promise.race([this.#look(holder), late]);
        return view === undefined ? [] : [[holder, view] as const];
      }),
    );
    isOver.abort();
    return new Map(views.flat());
  }

  /** Gives up what is under way. Idempotent. */
  close(): void {
    this.#closed.abort(new Error('the proxy is shutting down'));
  }

  async #look(holder: MemoryHolder): Promise<MemoryView | undefined> {
    const { state } = holder.observation;
    if (state === 'running') {
      const view = await this.#measure(holder);
      if (view !== undefined && 'bytes' in view) this.#last.set(holder, view.bytes);
      return view;
    }
    // What is paused keeps its memory.
    const lastBytes = state === 'paused' ? undefined : this.#last.get(holder);
    return lastBytes === undefined ? undefined : { lastBytes };
  }

  #measure(holder: MemoryHolder): Promise<MemoryView | undefined> {
    const { workload } = holder;
    const backend = this.#backends.find(({ kind }) => kind === workload.kind);
    if (backend?.measureMemory === undefined) return Promise.resolve(undefined);
    const key = workloadKey(workload);
    const known = this.#measured.get(key);
    if (known !== undefined) return known.view;
    const view = this.#inTurn(() => {
      this.#askedMs.set(holder, this.#clock.monotonicMs());
      return backend.measureMemory?.(workload, this.#closed.signal) ?? Promise.reject();
    }).then(
      (bytes): MemoryView => ({ bytes }),
      (error): MemoryView => ({ problem: messageOf(error) }),
    );
    const measured: Measured = { view, atMs: undefined };
    this.#measured.set(key, measured);
    void view.then(() => {
      measured.atMs = this.#clock.monotonicMs();
    });
    return view;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const sinceMs = this.#clock.monotonicMs();
    if (this.#underWay >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#underWay++;
    try {
      if (this.#clock.monotonicMs() - sinceMs >= TURN_MS)
        throw new Error(`its turn did not come within ${TURN_MS / 1_000} s: the engine is slow to tell`);
      return await work();
    } finally {
      this.#underWay--;
      this.#waiting.shift()?.();
    }
  }
}
