/**
 * Every kind of call of the Kubernetes API, and how long the API server may keep silent over it, in ms. What is silent for
 * longer is given up with {@link KubeUnreachable}, and whoever made the call goes by what is known, or tries again.
 */
export const CALL_DEADLINES_MS = {
  /** Credentials, each piece of an answer, and the head of a watch: a long list may take its time as long as it comes. */
  answer: 5_000,
  /** A watch, which the API server is asked to end by itself before that; it tells nothing while nothing changes. */
  watch: 315_000,
} as const satisfies Readonly<Record<string, number>>;

/** The API server ends each watch by then, so that a connection that is dead without a sign doesn't stay. */
export const WATCH_SECONDS = 300;
