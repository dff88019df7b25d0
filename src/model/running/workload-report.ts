import type { Observation } from './observation.ts';
import type { Sleep, SleepKind, SleepReason } from './sleep.ts';
import type { Wake, WakeCounts, WakeUnderWay } from './wake.ts';

/**
 * What a state means to whoever looks. `failed`: the last start has failed, also where the workload sleeps since, until one works or
 * somebody starts or stops it; `stopping`: it is going to sleep; `unknown` also stands for a workload that doesn't exist.
 */
export type Life = 'unknown' | 'asleep' | 'waking' | 'awake' | 'stopping' | 'failed';

/**
 * Who keeps a workload awake, or from being put to sleep, though no client of this proxy uses it: a hub or a user that runs, a schedule,
 * a window of its own, somebody's word, clients of another replica, or that another replica is the one that puts workloads to sleep; `renamed`: clients that
 * came under the workload's old name; `busy`: its busy_check.
 */
export type Keeper = Waker | { readonly kind: 'replica' | 'standby' | 'renamed' | 'busy' };

/** A keeper that also wakes the workload. */
export type Waker =
  | { readonly kind: 'hub'; readonly hub: string }
  /** A service that depends on it. */
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'schedule' }
  /** One of its windows is open, until then (ms since the epoch); absent = for ever. */
  | { readonly kind: 'window'; readonly untilMs?: number }
  /** Somebody has told the proxy to keep it awake, until then (ms since the epoch). */
  | { readonly kind: 'hand'; readonly untilMs: number };

/** Everything that is known of one workload at one moment. Times are ms since the epoch. */
export interface WorkloadReport {
  readonly observation: Observation;
  /** State of the lifecycle: `stopped`, `starting`, `ready` … */
  readonly state: string;
  readonly life: Life;
  /** Since when it is in this state; since when it has failed, where it sleeps after that. */
  readonly sinceMs: number;
  /** When somebody last used or kept it, or wanted to; at first the moment since which the proxy follows it. */
  readonly lastActiveMs: number;
  /** When a client last came to it or left it while it was ready; absent where none has. */
  readonly lastUsedMs?: number;
  /** When a start that has failed is tried again for who waits for it; absent where nobody does. */
  readonly triesAgainAtMs?: number;
  /** When it will be put to sleep if nothing happens until then; absent while nothing is to put it to sleep. */
  readonly sleepsAtMs?: number;
  /** Until when it stays awake however idle it is, by its `min_awake`; absent where that is over, or it isn't awake. */
  readonly awakeUntilMs?: number;
  /** Why it is never put to sleep, or not by this proxy. */
  readonly staysAwake?: string;
  /** Why every client is refused at once: it sleeps, and clients don't wake it. */
  readonly unavailable?: string;
  readonly keepers: readonly (Keeper & { readonly sinceMs: number })[];
  /** Clients that wait for it. */
  readonly waiting: number;
  /** For how long the first of them has waited, ms; absent where none waits. */
  readonly longestWaitMs?: number;
  readonly wakeUnderWay?: WakeUnderWay;
  /** What it waits for before its engine is asked to start it: its turn, or what it depends on, in words. */
  readonly waitsFor?: string;
  /** What that is, where it sleeps until then: room, or its turn. */
  readonly waitsIn?: 'room' | 'queue';
  /** Those that have ended, oldest first; the last 50 at most. */
  readonly wakes: readonly Wake[];
  /** Of all that have ended since the proxy follows it. */
  readonly wakeCounts: WakeCounts;
  /** Why the last wake failed; absent from the next one on that works, and once somebody else has stopped or replaced the workload. */
  readonly failure?: string;
  /** How long it was in each state since the proxy follows it, ms. */
  readonly times: Readonly<Record<Life, number>>;
  readonly lastSleep?: Sleep;
  /** Why it could not be put to sleep when that was last tried; absent once it sleeps. */
  readonly sleepFailure?: string;
  /** While it is going to sleep: why, and by when it has stopped or is killed; absent where others stop it, and that isn't known. */
  readonly sleepUnderWay?: SleepReason & { readonly untilMs?: number };
  readonly sleeps: Readonly<Partial<Record<SleepKind, number>>>;
}

/** How much room is taken. */
export interface RoomFigures {
  /** Workloads that count for `max_awake`, of all (`''`) and of each group that has a limit, with their names. */
  readonly awake: readonly {
    readonly group: string;
    readonly taken: number;
    readonly max: number;
    readonly services: readonly string[];
  }[];
  /** Bytes; undefined where that is not limited. */
  readonly memory: { readonly taken: number; readonly max: number } | undefined;
  /** Workloads that wait for room. */
  readonly waiting: number;
}

/** When a workload came into which state, oldest first; the last 200 changes at most. `sleep`: why it sleeps, where that is known. */
export type Timeline = readonly {
  readonly atMs: number;
  readonly life: Life;
  readonly sleep?: SleepKind;
}[];
