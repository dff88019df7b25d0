/**
 * What waits for each promise. A promise keeps whatever was attached to it until it settles, so each one is attached to
 * once, and whoever leaves is taken off the list.
 */
const waitersOf = new WeakMap<Promise<unknown>, Set<() => void>>();

/**
 * Waits for `promise`, but no longer than until `signal` aborts. It is how anybody waits for what several wait for: who
 * leaves neither ends the work nor stays behind in memory, however long the promise goes on.
 * @throws what the promise rejects with, or the signal's reason.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      // Nobody waits any more: its failure would count as unhandled, and end the process.
      promise.catch(() => {});
      return reject(signal.reason);
    }
    const waiters = findWaiters(promise);
    const settled = () => {
      signal.removeEventListener('abort', leave);
      promise.then(resolve, reject);
    };
    const leave = () => {
      waiters.delete(settled);
      reject(signal.reason);
    };
    waiters.add(settled);
    signal.addEventListener('abort', leave, { once: true });
  });
}

function findWaiters(promise: Promise<unknown>): Set<() => void> {
  const known = waitersOf.get(promise);
  if (known !== undefined) return known;
  const waiters = new Set<() => void>();
  waitersOf.set(promise, waiters);
  const tell = () => {
    // Whoever comes later attaches anew: this is called but once.
    waitersOf.delete(promise);
    for (const settled of waiters) settled();
    waiters.clear();
  };
  promise.then(tell, tell);
  return waiters;
}
