/** A rootful Podman of our own behind its service; whoever starts it stops it. */
export interface PrivatePodman {
  readonly socketPath: string;
  /** The socket as in DOCKER_HOST. */
  readonly host: string;
  /** Runs the `podman` command on the same containers, beside the service. */
  run(...args: readonly string[]): Promise<{ readonly status: number; readonly output: string }>;
  /** Ends the service alone; containers go on. */
  killService(): Promise<void>;
  /** The service again, on the same socket; resolves once it answers. */
  startServiceAgain(): Promise<void>;
  /** Removes every container, ends everything, and removes its folder. Idempotent. */
  stop(): Promise<void>;
}

/** Resolves once it answers. @throws {Error} with the end of its log; needs Linux, root, podman, netavark, runc, busybox. */
export function startPrivatePodman(): Promise<PrivatePodman>;
