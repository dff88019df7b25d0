/** Who lets clients use a ready workload without asking for each of them. */
export interface WarmUser {
  /** When a client last came or went, ms since the epoch; 0 = never. */
  readonly lastUsedMs: number;
  /** Lets nobody in any more, unless somebody is in: whether that is so now. */
  tryClose(): boolean;
  /** Lets nobody in any more; those who are in stay. */
  close(): void;
}

/** The way to a ready workload, until its user is told to close. */
export interface WarmPath {
  /** Tried in order. */
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  /** How long a client may wait for a connection, in ms. */
  readonly budgetMs: number;
  /** How many are in; to be told whenever that has become 0 or ceased to be. The workload is in use meanwhile. */
  used(count: number): void;
  /** The user has closed by itself. */
  close(): void;
}
