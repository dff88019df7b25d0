/** A Docker engine of our own; whoever starts it stops it. */
export interface PrivateEngine {
  readonly socketPath: string;
  /** The socket as in DOCKER_HOST. */
  readonly host: string;
  /** For the bridge that a swarm makes on each node. */
  readonly gatewaySubnet: string;
  /** Ends the daemon alone and waits until it has gone; default: SIGKILL. Containers survive with live restore. */
  killDaemon(signal?: NodeJS.Signals): Promise<void>;
  /** The same engine again, on the same socket; resolves once it answers. */
  startDaemonAgain(): Promise<void>;
  /** Removes every container and network, ends the engine, and removes its folder. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts an engine and resolves once it answers. One for a `swarm` has no pool of addresses: each network names its own.
 * @throws {Error} with the end of the daemon's log; needs Linux, root, dockerd and busybox.
 */
export function startPrivateEngine(options?: {
  readonly liveRestore?: boolean;
  readonly swarm?: boolean;
}): Promise<PrivateEngine>;

/** Ends what engines left behind whose owner is gone, for example killed. */
export function sweepAbandonedEngines(): Promise<void>;
