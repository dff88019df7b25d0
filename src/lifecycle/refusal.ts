/** `what` went wrong, and what stood in the way last, where that is known. Pure. */
export function withObstacle(what: string, obstacle: string | undefined): string {
  return obstacle === undefined ? what : `${what}: ${obstacle}`;
}

/** Why a client could not be given an upstream; the relay closes it. */
export class Refusal extends Error {
  /**
   * `overloaded`: max_pending reached; `timeout`: start_timeout passed; `failed`: the start failed;
   * `left`: the client went away first; `removed`: the service is gone or the proxy shuts down; `asleep`: the workload sleeps,
   * and clients don't wake it; `wake-list`: it sleeps, and other clients may wake it, but not this one.
   */
  readonly code: 'overloaded' | 'timeout' | 'failed' | 'left' | 'removed' | 'asleep' | 'wake-list';

  constructor(code: Refusal['code'], message: string) {
    super(message);
    this.code = code;
  }
}
