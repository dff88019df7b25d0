/**
 * Why a workload was put to sleep, or stopped otherwise: nobody used it; its schedule; its hub, or its last user, has stopped; somebody asked for it; no
 * datagram was answered; somebody else stopped it; it ended by itself.
 */
export type SleepKind = 'idle' | 'schedule' | 'hub' | 'user' | 'hand' | 'silence' | 'others' | 'itself';

/** Why a workload is to sleep. */
export interface SleepReason {
  readonly kind: SleepKind;
  /** For the log and for people: `idle for 120 s`. */
  readonly words: string;
}

/** How a service is put to sleep, beside how long it has to be idle. One object for all services that say nothing of it. */
export interface RestPolicy {
  /** Whether its workload is stopped, or paused, which keeps its memory and wakes in some 10 ms. */
  readonly way: 'stop' | 'pause';
  /** The idle time after which it is paused, before it is stopped; undefined = it isn't. */
  readonly pauseAfterMs: number | undefined;
  /** The polite signal of a stop, such as `SIGINT`; undefined = the workload's own. */
  readonly stopSignal: string | undefined;
  /** How long it stays awake, once it is ready, however idle it is. */
  readonly minAwakeMs: number;
}

export const DEFAULT_REST: RestPolicy = {
  ...{ way: 'stop', pauseAfterMs: undefined, stopSignal: undefined, minAwakeMs: 0 },
};

/** One sleep that has begun. */
export interface Sleep extends SleepReason {
  /** When the workload had stopped, ms since the epoch. */
  readonly atMs: number;
}
