import type { Happening } from '../model/running/happening.ts';

/** Passes on what happens to whoever listens at that moment; where nobody does, nothing has to be made. */
export class Happenings {
  readonly #listeners = new Set<(happening: Happening) => void>();

  /** Whether anybody listens: if not, `tell` is not worth calling. */
  get isHeard(): boolean {
    return this.#listeners.size > 0;
  }

  tell(happening: Happening): void {
    for (const listener of this.#listeners) listener(happening);
  }

  /** @param listener must not throw. The returned function ends it. */
  listen(listener: (happening: Happening) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
