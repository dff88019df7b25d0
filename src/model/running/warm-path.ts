import type { LeaseUser } from './client-use.ts';

/** A listener whose clients the relay thread connects to a ready workload without asking the lifecycle. */
export interface WarmUser extends LeaseUser {
  /** When a client last came or went, ms since the epoch; 0 = never. */
  readonly lastUsedMs: number;
  /** Stops letting clients in, but only if none is connected; returns whether it is closed now. */
  tryClose(): boolean;
  /** Stops letting clients in; those that are connected stay. */
  close(): void;
}

/** The way to a ready workload, until its user is told to close. */
export interface WarmPath {
  /** Tried in order. */
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  /** How long a client may wait for a connection, in ms. */
  readonly budgetMs: number;
  /** To be called with the number of connected clients whenever it becomes 0 or ceases to be 0. Above 0 the workload counts as in use. */
  used(count: number): void;
  /** To be called when the listener has closed the path by itself. */
  close(): void;
}
