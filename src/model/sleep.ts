/**
 * Why a workload was put to sleep, or stopped otherwise: nobody used it; its schedule; its hub has stopped; somebody asked for it; no
 * datagram was answered; somebody else stopped it; it ended by itself.
 */
export type SleepKind = 'idle' | 'schedule' | 'hub' | 'hand' | 'silence' | 'others' | 'itself';

/** Why a workload is to sleep. */
export interface SleepReason {
  readonly kind: SleepKind;
  /** For the log and for people: `idle for 120 s`. */
  readonly words: string;
}

/** One sleep that has begun. */
export interface Sleep extends SleepReason {
  /** When the workload had stopped, ms since the epoch. */
  readonly atMs: number;
}
