/**
 * The waiters of each promise. A promise keeps every handler that was attached to it until it settles. So only one is
 * attached to each, and a waiter that leaves is taken off this list.
 */
const waitersOf = new WeakMap<Promise<unknown>, Set<() => void>>();

/**
 * Waits for `promise`, or until `signal` aborts. Several may wait for one promise like this: a waiter that leaves neither ends
 * the work for the others nor stays in memory, however long the promise takes.
 * @throws what the promise rejects with, or the signal's reason.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      // Nobody may wait for the promise: its rejection would be unhandled, and end the process.
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
    // A later waiter starts a new list: this handler is called only once.
    waitersOf.delete(promise);
    for (const settled of waiters) settled();
    waiters.clear();
  };
  promise.then(tell, tell);
  return waiters;
}
