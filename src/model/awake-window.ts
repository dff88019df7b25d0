/** A time of the day on some days of the week at which a service is to be awake, by the clock on the wall. */
export interface AwakeWindow {
  /** On which days it begins, 0 (Monday) to 6, in order, each once; at least one. */
  readonly days: readonly number[];
  /** Minutes after midnight: 0–1439, and from there up to a day later. */
  readonly fromMinute: number;
  readonly toMinute: number;
}

/** The days of the week, as windows name them. */
export const DAY_NAMES = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;
