/** What one client has carried, for whoever asks whether it is idle: it is asked when an idle timer fires, or when somebody looks. */
export interface ClientUse {
  /** Bytes both ways so far; undefined while it waits for its upstream. */
  readonly bytes: number | undefined;
  /** How long ago a byte came or went last, ms; undefined where nobody knows. */
  quietMs(): number | undefined;
  /** Ends it, unless it has carried more than so many bytes by now. Its lease ends as always. */
  closeIdle(bytes: number): void;
}

/** Who holds a lease: one connection, request or flow, or a listener for all of its clients. */
export interface LeaseUser {
  listUses(): readonly ClientUse[];
}
