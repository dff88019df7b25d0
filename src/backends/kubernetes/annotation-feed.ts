import { type WorkloadRef, workloadRefKey } from '../../model/workload.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import type { LabelledWorkload } from '../backend.ts';
import { ENABLED_SUFFIX, REPLICAS_SUFFIX, type WorkloadRecord } from './workload-record.ts';

/** Whose annotations count. */
export interface LabelOptions {
  /** False leaves every workload out. */
  readonly labels: boolean;
  /** A workload takes part when it has the label or annotation `<labelPrefix>.enabled`, whatever its value. */
  readonly labelPrefix: string;
}

/** `kubectl apply` creates many workloads at once; they are told together. */
const BURST_MS = 15;

/** Tells the whole of the annotations when they change, once for each burst of changes. Owns a timer: `close()`. */
export class AnnotationFeed {
  readonly #records: () => Iterable<WorkloadRecord> | undefined;
  readonly #clock: Clock;
  readonly #tell: (snapshot: readonly LabelledWorkload[]) => void;
  #labelOptions: LabelOptions;
  #cancel: Cancel | undefined;
  #told: string | undefined;
  #closed = false;

  constructor(options: {
    /** All that are known; undefined while they can't be told yet. */
    readonly records: () => Iterable<WorkloadRecord> | undefined;
    readonly clock: Clock;
    readonly labelOptions: LabelOptions;
    readonly tell: (snapshot: readonly LabelledWorkload[]) => void;
  }) {
    this.#records = options.records;
    this.#clock = options.clock;
    this.#labelOptions = options.labelOptions;
    this.#tell = options.tell;
  }

  /** Other annotations count from now on; told at once where that makes a difference. */
  setLabelOptions(labelOptions: LabelOptions): void {
    this.#labelOptions = labelOptions;
    this.flush();
  }

  /** Something may have changed: told soon. */
  touch(): void {
    if (!this.#closed) this.#cancel ??= this.#clock.schedule(BURST_MS, () => this.flush());
  }

  /** Tells now, unless it would tell the same again. */
  flush(): void {
    if (this.#closed) return;
    this.#cancelTimer();
    const records = this.#records();
    if (records === undefined) return;
    const snapshot = selectAnnotated(records, this.#labelOptions);
    const text = JSON.stringify(snapshot);
    if (text === this.#told) return;
    this.#told = text;
    this.#tell(snapshot);
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  #cancelTimer(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/** The workloads that take part, sorted by key, so that equal snapshots look equal. */
export function selectAnnotated(
  records: Iterable<WorkloadRecord>,
  { labels, labelPrefix }: LabelOptions,
): readonly LabelledWorkload[] {
  if (!labels) return [];
  const enabled = labelPrefix + ENABLED_SUFFIX;
  const remembered = labelPrefix + REPLICAS_SUFFIX;
  return [...records]
    .filter((record) => Object.hasOwn(record.labels, enabled) || Object.hasOwn(record.annotations, enabled))
    .map((record) => {
      const { [remembered]: _, ...settings } = record.annotations;
      const label = record.labels[enabled];
      return {
        ref: refOf(record),
        labels: sortKeys({ ...(label === undefined ? {} : { [enabled]: label }), ...settings }),
      };
    })
    .sort((a, b) => (workloadRefKey(a.ref) < workloadRefKey(b.ref) ? -1 : 1));
}

/** Names the workload of a record. */
export function refOf({ resource, namespace, name }: WorkloadRecord): WorkloadRef {
  return { kind: 'kubernetes', resource, namespace, name };
}

function sortKeys(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
