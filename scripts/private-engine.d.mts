/** A Docker engine of our own; whoever starts it stops it. */
export interface PrivateEngine {
  readonly socketPath: string;
  /** The socket as in DOCKER_HOST. */
  readonly host: string;
  /** Ends the daemon alone and waits until it has gone; default: SIGKILL. Containers survive with live restore. */
  killDaemon(signal?: NodeJS.Signals): Promise<void>;
  /** The same engine again, on the same socket; resolves once it answers. */
  startDaemonAgain(): Promise<void>;
  /** Removes every container and network, ends the engine, and removes its folder. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts an engine and resolves once it answers.
 * @throws {Error} with the end of the daemon's log; needs Linux, root, dockerd and busybox.
 */
export function startPrivateEngine(options?: { readonly liveRestore?: boolean }): Promise<PrivateEngine>;

/** Ends what engines left behind whose owner is gone, for example killed. */
export function sweepAbandonedEngines(): Promise<void>;
