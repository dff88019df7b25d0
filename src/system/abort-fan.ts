/**
 * Tells many of the end of a few signals. An EventTarget looks through all its listeners for each one that comes or goes:
 * thousands of flows on one signal would spend their time there.
 */
export class AbortFan {
  readonly #fans = new Map<AbortSignal, { readonly callbacks: Set<() => void>; stop(): void }>();

  /** Calls back once when the signal aborts; not where it has already. What is returned ends that. */
  add(signal: AbortSignal, callback: () => void): () => void {
    const { callbacks } = this.#fans.get(signal) ?? this.#open(signal);
    // Of its own, so that the same function can be there twice.
    const entry = () => callback();
    callbacks.add(entry);
    return () => {
      if (!callbacks.delete(entry) || callbacks.size > 0) return;
      this.#fans.get(signal)?.stop();
      this.#fans.delete(signal);
    };
  }

  #open(signal: AbortSignal) {
    const callbacks = new Set<() => void>();
    const tell = () => {
      this.#fans.delete(signal);
      const all = [...callbacks];
      callbacks.clear();
      for (const callback of all) callback();
    };
    signal.addEventListener('abort', tell, { once: true });
    const fan = { callbacks, stop: () => signal.removeEventListener('abort', tell) };
    this.#fans.set(signal, fan);
    return fan;
  }
}
