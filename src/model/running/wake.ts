import type { WakeCause } from '../availability.ts';

/** How one start of a workload went, from when it was asked for, or seen, to its end. */
export interface Wake {
  /** What goes after "it was woken": `for 10.0.0.5:4242`, `with web`, `by somebody else`; or `cron_start`, `needed by web`. */
  readonly cause: string;
  /** As what that counts; absent where the proxy did not start it. */
  readonly by?: WakeCause;
  /** When it was asked for, ms since the epoch. */
  readonly atMs: number;
  /**
   * How long each phase took in all, ms: the wait for room, for its turn among the starts, for what it depends on, until the engine had it running, its health check,
   * the answer of its port.
   */
  readonly phases: Readonly<Record<WakePhase, number>>;
  /** `ended`: it was stopped, removed or put to sleep before it was ready. */
  readonly result: 'ready' | 'failed' | 'ended';
  /** Why it isn't ready, in words that name the thing. */
  readonly reason?: string;
  /** What the workload had printed last when the start failed, oldest line first. It may hold secrets. */
  readonly output?: readonly string[];
  /** Why that could not be read, in the engine's words. */
  readonly outputProblem?: string;
}

/**
 * Why a wake has failed, as it is counted: `engine`: the engine did not start the workload; `exited`: it ended by itself;
 * `timeout`: it was not ready in time; `queue`: its turn never came; `room`: there was never room for it; `dependency`: something that it needs was not there.
 */
export type WakeFailure = 'engine' | 'exited' | 'timeout' | 'queue' | 'room' | 'dependency';

/** How many wakes have ended how. */
export type WakeCounts = Readonly<Partial<Record<'ready' | 'ended' | WakeFailure, number>>>;

export type WakePhase = 'room' | 'queue' | 'dependencies' | 'engine' | 'health' | 'port';

/** The cause of a wake as a part of a sentence: `it was woken as web needs it`. */
export function describeCause(cause: string): string {
  if (cause === 'cron_start') return 'by its cron_start';
  return cause.replace(/^needed by (.*)$/, 'as $1 needs it');
}

/** A start that is under way. */
export interface WakeUnderWay extends Pick<Wake, 'cause' | 'atMs' | 'phases'> {
  readonly phase: WakePhase;
}

/** Wakes from which the usual time of one is known. */
const USUAL_FROM = 10;

/** How long a start took, or has taken so far, ms. */
export function durationOf({ phases }: Pick<Wake, 'phases'>): number {
  return phases.room + phases.queue + phases.dependencies + phases.engine + phases.health + phases.port;
}

/** The median of how long the last wakes that worked took, ms; undefined where none did. */
export function usualWakeMs(wakes: readonly Wake[]): number | undefined {
  const worked = wakes.filter(({ result }) => result === 'ready').slice(-USUAL_FROM);
  return worked.map(durationOf).sort((a, b) => a - b)[Math.floor((worked.length - 1) / 2)];
}
