import { workloadRefName } from '../../model/workload.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import type { LabelledWorkload } from '../backend.ts';

/** Whose labels count. */
export interface LabelOptions {
  /** False leaves the labels of every workload out. */
  readonly labels: boolean;
  /** A workload takes part when it has the label `<labelPrefix>.enabled`, whatever its value. */
  readonly labelPrefix: string;
}

/** `docker compose up` creates many containers at once; they are told together. */
const BURST_MS = 15;

/** Tells the whole of the labels when they change, once for each burst of changes. Owns a timer: `close()`. */
export class LabelFeed {
  readonly #list: () => readonly LabelledWorkload[];
  readonly #clock: Clock;
  readonly #tell: (snapshot: readonly LabelledWorkload[]) => void;
  #labelOptions: LabelOptions;
  #cancel: Cancel | undefined;
  #told: string | undefined;

  constructor(options: {
    /** All workloads of the engine, also those that take no part. */
    readonly list: () => readonly LabelledWorkload[];
    readonly clock: Clock;
    readonly labelOptions: LabelOptions;
    readonly tell: (snapshot: readonly LabelledWorkload[]) => void;
  }) {
    this.#list = options.list;
    this.#clock = options.clock;
    this.#labelOptions = options.labelOptions;
    this.#tell = options.tell;
  }

  /** Other labels count from now on; told at once where a list was seen already and it makes a difference. */
  setLabelOptions(labelOptions: LabelOptions): void {
    this.#labelOptions = labelOptions;
    if (this.#told !== undefined) this.flush();
  }

  /** Something may have changed: told soon. */
  touch(): void {
    this.#cancel ??= this.#clock.schedule(BURST_MS, () => this.flush());
  }

  /** Tells now, unless it would tell the same again. */
  flush(): void {
    this.close();
    const snapshot = selectLabelled(this.#list(), this.#labelOptions);
    const text = JSON.stringify(snapshot);
    if (text === this.#told) return;
    this.#told = text;
    this.#tell(snapshot);
  }

  close(): void {
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
  const label = `${options.labelPrefix}.enabled`;
  return workloads
    .filter(({ labels }) => Object.hasOwn(labels, label))
    .map(({ ref, labels }) => ({ ref, labels: sortKeys(labels) }))
    .sort((a, b) => compareText(workloadRefName(a.ref), workloadRefName(b.ref)));
}

function sortKeys(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => compareText(a, b)));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
