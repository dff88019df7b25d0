/** What a run has to remove at its end, in the reverse order, also when it is interrupted while something begins. */

export function createCleanup() {
  const owned = [];
  let running;

  async function removeFrom(length) {
    while (owned.length > length) {
      try {
        await owned.pop()();
      } catch (error) {
        console.error(`could not clean up: ${error.message}`);
      }
    }
  }

  return {
    /**
     * Registers what is about to be there, before it is: an interruption waits for it, and closes it.
     * @param {Promise<T>} coming
     * @param {(made: T) => unknown} close
     * @template T
     */
    async own(coming, close) {
      const made = coming.then(
        (value) => ({ value }),
        () => undefined,
      );
      owned.push(async () => {
        const result = await made;
        if (result !== undefined) await close(result.value);
      });
      return await coming;
    },
    /** Runs a part of the work, and removes at its end what was registered meanwhile. */
    async scope(run) {
      const length = owned.length;
      try {
        return await run();
      } finally {
        if (running === undefined) await removeFrom(length);
      }
    },
    /** Removes everything; idempotent. */
    runAll() {
      running ??= removeFrom(0);
      return running;
    },
  };
}
