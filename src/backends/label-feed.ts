import { findOptIns } from '../model/label-names.ts';
import { isSameData } from '../model/same-data.ts';
import { workloadRefName } from '../model/workload.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { LabelledWorkload, LabelOptions } from './backend.ts';

/** `docker compose up` and `kubectl apply` create many workloads at once; they are told together. */
const BURST_MS = 15;

/** Tells the whole of the labels when they change, once for each burst of changes. Owns a timer: `close()`. */
export class LabelFeed {
  readonly #select: (options: LabelOptions) => readonly LabelledWorkload[] | undefined;
  readonly #clock: Clock;
  readonly #tell: (snapshot: readonly LabelledWorkload[]) => void;
  readonly #settled: () => void;
  #labelOptions: LabelOptions;
  #cancel: Cancel | undefined;
  #told: readonly LabelledWorkload[] | undefined;
  #closed = false;

  constructor(options: {
    /** The workloads that take part, in an order of their own; undefined while they can't be told yet. */
    readonly select: (options: LabelOptions) => readonly LabelledWorkload[] | undefined;
    readonly clock: Clock;
    readonly labelOptions: LabelOptions;
    readonly tell: (snapshot: readonly LabelledWorkload[]) => void;
    /** Told after each burst of changes, whether or not it has changed what is told. */
    readonly settled?: (() => void) | undefined;
  }) {
    this.#select = options.select;
    this.#clock = options.clock;
    this.#labelOptions = options.labelOptions;
    this.#tell = options.tell;
    this.#settled = options.settled ?? (() => {});
  }

  /** Other labels count from now on; told at once where some were told already and it makes a difference. */
  setLabelOptions(labelOptions: LabelOptions): void {
    this.#labelOptions = labelOptions;
    // Nothing has changed among the workloads: whoever looks at all of them need not look again.
    if (this.#told !== undefined) this.#tellChange();
  }

  /** Something may have changed: told soon. */
  touch(): void {
    if (!this.#closed) this.#cancel ??= this.#clock.schedule(BURST_MS, () => this.flush());
  }

  /** Tells now, unless it would tell the same again. */
  flush(): void {
    if (this.#closed) return;
    this.#cancelTimer();
    if (this.#tellChange()) this.#settled();
  }

  /** @returns false while it can't be told yet. */
  #tellChange(): boolean {
    if (this.#closed) return true;
    const snapshot = this.#select(this.#labelOptions);
    if (snapshot === undefined) return false;
    if (!isSameData(snapshot, this.#told)) {
      this.#told = snapshot;
      this.#tell(snapshot);
    }
    return true;
  }

  /** Tells nothing more. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  #cancelTimer(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/** The workloads that take part, sorted by name, so that equal snapshots look equal. */
export function selectLabelled(
  workloads: readonly LabelledWorkload[],
  options: LabelOptions,
): readonly LabelledWorkload[] {
  if (!options.labels) return [];
  return workloads
    .filter(({ labels, imageOptIn }) => {
      return imageOptIn !== undefined || findOptIns(labels, options.labelPrefixes).length > 0;
    })
    .map(({ labels, ref, createdMs, imageOptIn }) => ({
      ...{ ref, labels: sortLabels(labels), createdMs },
      ...(imageOptIn !== undefined && { imageOptIn }),
    }))
    .sort((a, b) => compareText(workloadRefName(a.ref), workloadRefName(b.ref)));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** What `sortLabels` has made of labels that somebody still holds. */
const sortedOf = new WeakMap<Readonly<Record<string, string>>, Readonly<Record<string, string>>>();

/**
 * The same labels in one order, so that equal snapshots look equal. The same object gives the same again: what an engine
 * has not told anew costs nothing when another workload changes.
 */
export function sortLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const known = sortedOf.get(labels);
  if (known !== undefined) return known;
  const sorted = Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
  sortedOf.set(labels, sorted);
  return sorted;
}
