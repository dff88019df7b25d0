import type { Clock } from '../system/clock.ts';
import { type FileSnapshot, FileSource } from './file-source.ts';

/**
 * Of several paths, the first at which there is a file; all of them are watched, so that one may appear later.
 * Where none exists, the snapshot's text is undefined, and its path that of the file which was there last, or the first.
 */
export class FirstFileSource {
  readonly #sources: readonly FileSource[];
  readonly #snapshots: (FileSnapshot | undefined)[];
  readonly #onChange: (snapshot: FileSnapshot) => void;
  #told: FileSnapshot | undefined;

  constructor(options: {
    /** At least one, in the order of preference. */
    readonly paths: readonly string[];
    /** Whether the user named them: see `readConfigFile`. */
    readonly named: boolean;
    readonly clock: Clock;
    /** Told of each change after `start()`. */
    readonly onChange: (snapshot: FileSnapshot) => void;
  }) {
    this.#onChange = options.onChange;
    this.#snapshots = options.paths.map(() => undefined);
    this.#sources = options.paths.map((path, index) => {
      const onChange = (snapshot: FileSnapshot) => this.#changed(index, snapshot);
      return new FileSource({ path, named: options.named, clock: options.clock, onChange });
    });
  }

  /** Begins to watch all paths and reads them once. */
  async start(): Promise<FileSnapshot> {
    const first = await Promise.all(this.#sources.map((source) => source.start()));
    for (const [index, snapshot] of first.entries()) this.#snapshots[index] ??= snapshot;
    this.#told = this.#choose();
    return this.#told;
  }

  /** Reads all paths again now; resolves when that is done. */
  async reload(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.reload()));
  }

  /** Stops watching. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
  }

  #changed(index: number, snapshot: FileSnapshot): void {
    this.#snapshots[index] = snapshot;
    if (this.#told === undefined) return;
    const chosen = this.#choose();
    if (
      chosen.path === this.#told.path &&
      chosen.text === this.#told.text &&
      chosen.error === this.#told.error
    )
      return;
    this.#told = chosen;
    this.#onChange(chosen);
  }

  #choose(): FileSnapshot {
    const present = this.#snapshots.find(
      (snapshot) => snapshot?.text !== undefined || snapshot?.error !== undefined,
    );
    const last = this.#snapshots.find((snapshot) => snapshot?.path === this.#told?.path);
    const chosen = present ?? last ?? this.#snapshots[0];
    if (chosen === undefined) throw new Error('no path was read');
    return chosen;
  }
}
