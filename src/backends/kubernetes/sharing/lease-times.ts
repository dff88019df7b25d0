/** The times that follow from how long a Lease is good for, in milliseconds. */
export interface LeaseTimes {
  /** For so long others believe in a Lease after they last saw it renewed. */
  readonly durationMs: number;
  readonly renewEveryMs: number;
  /**
   * For so long its owner trusts a renewal, from when it was sent. Others saw it no sooner and believe in it for longer,
   * so that there is time between two holders for whatever the first has just begun.
   */
  readonly trustMs: number;
  /** For so long an answer is waited for, so that a renewal can be tried again before it is too late. */
  readonly answerMs: number;
  /** Between tries that fail. */
  readonly retry: { readonly firstMs: number; readonly maxMs: number };
  /** A record that nobody renewed for so long is litter. */
  readonly forgottenMs: number;
}

/** @param durationMs at least 1000; Leases know whole seconds, so more is rounded up. */
export function leaseTimes(durationMs: number): LeaseTimes {
  return {
    durationMs: Math.ceil(durationMs / 1_000) * 1_000,
    renewEveryMs: durationMs / 3,
    trustMs: (durationMs * 2) / 3,
    answerMs: durationMs / 6,
    retry: { firstMs: durationMs / 20, maxMs: durationMs / 3 },
    forgottenMs: durationMs * 10,
  };
}
