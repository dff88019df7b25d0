import type { UdpPolicy } from '../../model/service.ts';

/** Where an awake workload takes datagrams. */
export interface UdpTarget {
  readonly host: string;
  readonly port: number;
}

/** What a flow asks of the lifecycle: one lease. */
export interface FlowLease {
  /**
   * Wakes the workload where needed. Until its port has proved that it takes datagrams, one flow proves it at a time,
   * again after each rejection; the others wait and then follow.
   * @returns what the own `prove` or `follow` made, and the signal that aborts when this run of the workload is over.
   * @throws when the flow can't be served.
   */
  open<T extends { close(): void }>(request: {
    /** `open`: a refusal is all that tells that the port is closed. */
    readonly readiness: UdpPolicy['readiness'];
    /** With several targets one of them answers, and nobody knows which. */
    readonly prove: (targets: readonly UdpTarget[], signal: AbortSignal) => Promise<T>;
    readonly follow: (target: UdpTarget, signal: AbortSignal) => Promise<T>;
    /** Where the flow was before, and nothing answered. */
    readonly notAt?: UdpTarget | undefined;
    readonly signal: AbortSignal;
  }): Promise<{ readonly value: T; readonly ended: AbortSignal }>;
  /** A datagram came back from there. */
  answered(target: UdpTarget): void;
  /** Whether a port that doesn't answer there may do so at another address of the workload. */
  mayAnswerElsewhere(target: UdpTarget): boolean;
  /** The port refused although it had proved itself: the next datagram proves it anew. */
  doubt(): void;
  /** Gives the lease back; idle time counts from `idleSinceMs` of the monotonic clock. */
  release(idleSinceMs: number): void;
}
