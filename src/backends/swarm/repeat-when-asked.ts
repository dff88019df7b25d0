/** Does each kind of work once at a time; what is asked for meanwhile is done once more afterwards. */
export class RepeatWhenAsked {
  readonly #running = new Map<string, 'once' | 'again'>();

  /** @param work must not reject. */
  run(key: string, work: () => Promise<void>): void {
    if (this.#running.has(key)) {
      this.#running.set(key, 'again');
      return;
    }
    this.#running.set(key, 'once');
    void work().finally(() => {
      const isDue = this.#running.get(key) === 'again';
      this.#running.delete(key);
      if (isDue) this.run(key, work);
    });
  }
}
