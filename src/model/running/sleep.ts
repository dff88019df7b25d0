import type { ServiceUrl } from '../service.ts';

/**
 * Why a workload was put to sleep, or stopped otherwise: nobody used it; its schedule; its hub, or its last user, has stopped; somebody asked for it; no
 * datagram was answered; another one needed its room; somebody else stopped it; it ended by itself.
 */
export type SleepKind = (typeof SLEEP_KINDS)[number];

export const SLEEP_KINDS = [
  'idle',
  'schedule',
  'hub',
  'user',
  'hand',
  'silence',
  'room',
  'others',
  'itself',
] as const;

/** Why a workload is to sleep. */
export interface SleepReason {
  readonly kind: SleepKind;
  /** For the log and for people: `idle for 120 s`. */
  readonly words: string;
}

/** A rate of traffic, of both ways together. */
export interface TrafficRate {
  /** At least 0. */
  readonly bytes: number;
  readonly per: 's' | 'min' | 'h';
}

/** Asks a service that nobody uses whether it is busy all the same. */
export type BusyCheck =
  /** Busy where it answers 2xx. `{{container}}` in it stands for the host of the awake workload. */
  | { readonly kind: 'url'; readonly url: ServiceUrl }
  /** Busy where it ends with status 0: inside the container, or beside the local process. */
  | { readonly kind: 'command'; readonly command: readonly string[] };

/** What counts as use, and how a service is put to sleep. One object for all services that say nothing of it. */
export interface RestPolicy {
  /** What keeps it awake: each open connection, or only one that carries something. */
  readonly idleWhen: 'no_connections' | 'no_traffic';
  /** A connection that carries less within `idle_timeout` carries nothing; 0 bytes = everything counts. */
  readonly ignoreBelow: TrafficRate;
  readonly busyCheck: BusyCheck | undefined;
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
  ...{ idleWhen: 'no_connections', ignoreBelow: { bytes: 0, per: 'min' }, busyCheck: undefined },
  ...{ way: 'stop', pauseAfterMs: undefined, stopSignal: undefined, minAwakeMs: 0 },
};

/** One sleep that has begun. */
export interface Sleep extends SleepReason {
  /** When the workload had stopped, ms since the epoch. */
  readonly atMs: number;
}
