import type { Socket } from 'node:net';
import type { LeaseUser } from '../../model/running/client-use.ts';
import type { TargetPort } from '../../model/service.ts';
import type { WakePhase } from '../../model/running/wake.ts';
import type { WebPolicy } from '../../model/web.ts';
import type { AccessList } from '../access/access-list.ts';
import type { ServiceBounds } from '../access/admission.ts';
import type { TrackClient } from '../listener.ts';

/** Where requests go, and on what terms; swapped without touching a socket. */
export interface WebBinding {
  readonly service: string;
  readonly targetPort: TargetPort;
  readonly access: AccessList;
  /** The service's own limits. */
  readonly bounds: ServiceBounds;
  readonly policy: Pick<WebPolicy, 'waitingPage' | 'basicAuth' | 'apiKeys' | 'wakePaths' | 'blocked'>;
  /** Whether upstreams are told of the client by a PROXY header, and how; absent = not. */
  readonly proxyProtocol?: 'v1' | 'v2' | undefined;
  /** Silence after which the kernel probes the upstream (TCP keepalive), in ms; 0 = never. */
  readonly keepAliveMs: number;
  /** Is told of each request; absent without a webhook. */
  readonly track?: TrackClient | undefined;
  /** Keeps the service awake while it is held. @throws where the client is refused at once. */
  takeLease(client: {
    readonly client: string;
    readonly address: string;
    /** Knows what it has carried; undefined where nobody does, which counts as use. */
    readonly user: LeaseUser | undefined;
  }): WebLease;
  /** Whether the service is awake, and ready for clients. */
  isReady(): boolean;
  /** How awake the service is, for a page. */
  look(): WakeView;
}

export interface WebLease {
  /**
   * A new connection to the service, which is woken where needed.
   * @returns it, and the signal that aborts when the run of the workload that it belongs to is over; its reason has the code
   * `stopped-by-others` where somebody else has ended that.
   * @throws an error with a `code` where the client can't be served: `overloaded`, `timeout`, `failed`, `left`, `removed`, `asleep`.
   */
  connect(signal: AbortSignal): Promise<{ readonly socket: Socket; readonly ended: AbortSignal }>;
  /** Idempotent. */
  release(): void;
}

/** What a page says of a service that is not awake yet. */
export interface WakeView {
  /** `failed`: the last start has failed, and none is under way. */
  readonly state: 'asleep' | 'waking' | 'ready' | 'failed';
  /** Where the start under way is; `stop`: it waits for a stop to end. */
  readonly phase?: WakePhase | 'stop' | undefined;
  /** Since the start was asked for, ms. */
  readonly elapsedMs?: number | undefined;
  /** How long the last starts took, ms. */
  readonly expectedMs?: number | undefined;
  /** Why the last start has failed. */
  readonly reason?: string | undefined;
}
