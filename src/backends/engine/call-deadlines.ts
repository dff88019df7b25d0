/**
 * Every call of the engine API, and how long the engine may take for the whole answer, in ms. A call that is not answered
 * by then is given up with {@link EngineUnreachable}, and whoever made it looks at what has become of it: socket proxies
 * swallow answers, and an engine can hang over one container while it answers for all others.
 */
export const CALL_DEADLINES_MS = {
  ping: 5_000,
  info: 10_000,
  /** Until the head of the answer; the stream itself has no end. */
  events: 10_000,
  'past events': 10_000,
  'list containers': 60_000,
  'inspect container': 10_000,
  'inspect image': 10_000,
  /** Long: giving up early would cancel the start of an engine that is merely slow. */
  'start container': 60_000,
  'pause container': 30_000,
  'unpause container': 30_000,
  /** Beyond the grace between the polite signal and the kill. */
  'stop container': 10_000,
  /** Until the log was read. Short: it is read for one message only. */
  'read log': 3_000,
  /** An engine that doesn't know `one-shot` takes two seconds over it. */
  'read stats': 5_000,
  /** Short: they tell whether a container is busy, which is asked again later. */
  'create exec': 5_000,
  'start exec': 5_000,
  'inspect exec': 5_000,
  /** Short: whoever waits for a wake waits for this, too. */
  'join network': 5_000,
  'leave network': 5_000,
  'inspect network': 10_000,
  'list services': 60_000,
  'inspect service': 10_000,
  'update service': 30_000,
  'list tasks': 60_000,
  'list nodes': 10_000,
} as const satisfies Readonly<Record<string, number>>;

export type EngineCall = keyof typeof CALL_DEADLINES_MS;

/** The engine's own grace, where neither the container nor the caller names one. */
export const DEFAULT_GRACE_MS = 10_000;

/** A container may ask never to be killed (`StopTimeout: -1`); its stop is looked at again after so long all the same. */
const ENDLESS_GRACE_MS = 600_000;

/** The grace that a container has by itself. @param stopTimeoutSecs of its configuration; negative = without an end. */
export function ownGraceMs(stopTimeoutSecs: number | null | undefined): number {
  if (stopTimeoutSecs === undefined || stopTimeoutSecs === null) return DEFAULT_GRACE_MS;
  return stopTimeoutSecs < 0 ? ENDLESS_GRACE_MS : stopTimeoutSecs * 1_000;
}
