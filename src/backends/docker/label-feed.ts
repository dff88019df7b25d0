import type { Cancel, Clock } from '../../system/clock.ts';
import type { LabelledContainer } from '../backend.ts';
import type { ContainerCache, KnownContainer } from './container-cache.ts';

/** Whose labels count. */
export interface LabelOptions {
  /** False leaves the labels of every container out. */
  readonly labels: boolean;
  /** A container takes part when it has the label `<labelPrefix>.enabled`, whatever its value. */
  readonly labelPrefix: string;
}

/** `docker compose up` creates many containers at once; they are told together. */
const BURST_MS = 15;

/** Tells the whole of the labels when they change, once for each burst of changes. Owns a timer: `close()`. */
export class LabelFeed {
  readonly #cache: ContainerCache;
  readonly #clock: Clock;
  readonly #tell: (snapshot: readonly LabelledContainer[]) => void;
  #labelOptions: LabelOptions;
  #cancel: Cancel | undefined;
  #told: string | undefined;

  constructor(options: {
    readonly cache: ContainerCache;
    readonly clock: Clock;
    readonly labelOptions: LabelOptions;
    readonly tell: (snapshot: readonly LabelledContainer[]) => void;
  }) {
    this.#cache = options.cache;
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
    const snapshot = selectLabelled(this.#cache.all(), this.#labelOptions);
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

/** The containers that take part, sorted by name, so that equal snapshots look equal. */
export function selectLabelled(
  containers: readonly KnownContainer[],
  options: LabelOptions,
): readonly LabelledContainer[] {
  if (!options.labels) return [];
  const label = `${options.labelPrefix}.enabled`;
  return containers
    .filter((container) => Object.hasOwn(container.labels, label))
    .map(({ id, name, labels }) => ({ id, name, labels: sortKeys(labels) }))
    .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

function sortKeys(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
