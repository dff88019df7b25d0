import type { LeaseUser } from '../../model/running/client-use.ts';
import type { UdpPolicy } from '../../model/service.ts';

/** Where an awake workload takes datagrams. */
export interface UdpTarget {
  readonly host: string;
  readonly port: number;
}

/** What a flow asks of the lifecycle: one lease. */
export interface FlowLease {
  /**
   * Wakes the workload where needed, and gets the flow through its port. Until the port has proved that it takes datagrams,
   * one flow at a time tries to prove it; the others wait for that, and then follow.
   * @returns what this flow's `prove` or `follow` made, and a signal that aborts when this run of the workload is over.
   * @throws when the flow can't be served.
   */
  open<T extends { close(): void }>(request: {
    /** `open`: only a refusal tells that the port is closed. */
    readonly readiness: UdpPolicy['readiness'];
    /** Given all targets, since nobody knows yet which of them answers. */
    readonly prove: (targets: readonly UdpTarget[], signal: AbortSignal) => Promise<T>;
    readonly follow: (target: UdpTarget, signal: AbortSignal) => Promise<T>;
    /** Where the flow sent to before without an answer. */
    readonly notAt?: UdpTarget | undefined;
    readonly signal: AbortSignal;
  }): Promise<{ readonly value: T; readonly ended: AbortSignal }>;
  /** Knows what the flow has carried; absent where nobody asks. */
  usedBy?(user: LeaseUser): void;
  /** A datagram came back from there. */
  answered(target: UdpTarget): void;
  /** Whether a port that doesn't answer there may do so at another address of the workload. */
  mayAnswerElsewhere(target: UdpTarget): boolean;
  /** The port refused although it had proved itself: the next datagram proves it anew. */
  doubt(): void;
  /** Gives the lease back; idle time counts from `idleSinceMs` of the monotonic clock. */
  release(idleSinceMs: number): void;
}
