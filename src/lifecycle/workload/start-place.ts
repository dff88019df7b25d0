import type { Clock } from '../../system/clock.ts';
import { awaitsNeeds, type LifecycleState } from './machine.ts';
import type { StartQueue, StartTurn } from './start-queue.ts';

/** How far what a workload depends on has come; the words name what is lacking. */
export type NeedsStanding =
  | { readonly kind: 'met' }
  | { readonly kind: 'awaited' | 'failed'; readonly words: string };

/** How many workloads may be awake. `Workload` is what stands for one of them. */
export interface StartRoom<Workload> {
  /** Takes places for the workload and all that starts with it; false where it has to wait for them, or there are never enough. */
  take(workload: Workload): boolean;
  leave(workload: Workload): void;
  isWaiting(workload: Workload): boolean;
  /** A workload may make room by now. */
  lookAgain(): void;
  /** Why the workload waits, in words. */
  describe(workload: Workload): string;
  /** Why there are never enough places for it; undefined where there may be. */
  explainMisfit(workload: Workload): string | undefined;
}

/** What workloads depend on. */
export interface Needs<Workload> {
  /** Whether something has to come before the workload is started. */
  mustPrecede(workload: Workload): boolean;
  /** How far that has come, while the workload is about to be started. */
  standingOf(workload: Workload): NeedsStanding;
  /** The longest budget of those that wait for the workload, ms; 0 where none does. */
  budgetMsFor(workload: Workload): number;
}

/** What all workloads have in common. */
interface Parts<Workload> {
  readonly clock: Clock;
  readonly room: StartRoom<Workload>;
  readonly needs: Needs<Workload>;
  readonly starts: StartQueue;
}

interface Startable {
  readonly policy: { readonly name: string };
  readonly state: LifecycleState;
}

/**
 * What one workload has to get before its engine is asked to start it: room, then what it depends on, then its turn among the
 * starts of all workloads. Also measures how long it has waited for each.
 */
export class StartPlace<Workload extends Startable> {
  readonly #workload: Workload;
  readonly #parts: Parts<Workload>;
  readonly #turn: StartTurn;
  /** Since when it waits for room, on the monotonic clock. */
  #roomSinceMs: number | undefined;

  /** @param options.onTurn its turn has come: it starts now, or gives the turn back. */
  constructor(
    workload: Workload,
    { parts, onTurn }: { readonly parts: Parts<Workload>; readonly onTurn: () => void },
  ) {
    this.#workload = workload;
    this.#parts = parts;
    this.#turn = parts.starts.join(onTurn);
  }

  /**
   * Asks for all that the start needs. What it gets stays its own until the start has ended, or `leave()`; asked again, it keeps its
   * place in each queue.
   * @param options.atOnce it doesn't wait for its turn where many starts are under way.
   * @returns `taken`: it may start; `needs`: what it depends on comes first; `waits`: for room, or for its turn.
   */
  take({ atOnce }: { readonly atOnce: boolean }): 'taken' | 'needs' | 'waits' {
    const { policy, state } = this.#workload;
    // One that waits for what it depends on has its room already.
    if (!awaitsNeeds(state)) {
      if (!this.#parts.room.take(this.#workload)) {
        this.#roomSinceMs ??= this.#parts.clock.monotonicMs();
        return 'waits';
      }
      if (this.#parts.needs.mustPrecede(this.#workload)) return 'needs';
    }
    return this.#turn.take({ atOnce, name: policy.name }) ? 'taken' : 'waits';
  }

  /** Gives back what it has, and waits no longer. @returns for what it has waited last, and how long. */
  leave(): { readonly failure: 'queue' | 'room'; readonly queuedMs: number; readonly roomMs: number } {
    const left = { failure: this.#turn.isWaiting ? 'queue' : 'room', ...this.waited } as const;
    this.#turn.end();
    this.#parts.room.leave(this.#workload);
    this.#roomSinceMs = undefined;
    return left;
  }

  /** Gives its turn back, and keeps its room. Idempotent. */
  endTurn(): void {
    this.#turn.end();
  }

  /** The workload's state has changed. A start that has ended gives its turn back; the room hears of the state by itself. */
  follow({ kind }: LifecycleState): void {
    if (!this.#parts.room.isWaiting(this.#workload)) this.#roomSinceMs = undefined;
    if (kind !== 'starting' && !this.#turn.isWaiting) this.#turn.end();
  }

  /** Whether it waits for its turn, or for room. */
  get waitsIn(): 'queue' | 'room' | undefined {
    if (this.#turn.isWaiting) return 'queue';
    return this.#parts.room.isWaiting(this.#workload) ? 'room' : undefined;
  }

  /** How long the start under way has waited. */
  get waited(): { readonly queuedMs: number; readonly roomMs: number } {
    const sinceMs = this.#roomSinceMs;
    const roomMs = sinceMs === undefined ? 0 : this.#parts.clock.monotonicMs() - sinceMs;
    return { queuedMs: this.#turn.queuedMs, roomMs };
  }

  /** Whether it had to wait for the turn that it has now. */
  get hadToWait(): boolean {
    return this.#turn.hadToWait;
  }

  /**
   * Measures, from now on, how long the workload waits for its turn to start.
   * @returns how much of the time since then that was, in words: `, of which it waited 2900 ms for its turn (max_starting is 2)`;
   * undefined where it was none, or the workload still waits.
   */
  watchQueue(): () => string | undefined {
    return this.#turn.watchWait();
  }

  /** For what room, or which turn, it waits in its sleep, in words; undefined where it waits for neither. */
  get queued(): string | undefined {
    if (this.#parts.room.isWaiting(this.#workload))
      return `it waits for room: ${this.#parts.room.describe(this.#workload)}`;
    return this.#turn.isWaiting ? `it waits for its turn: ${this.#parts.starts.load}` : undefined;
  }

  /** Why there is never enough room for it; undefined where there may be. */
  explainMisfit(): string | undefined {
    return this.#parts.room.explainMisfit(this.#workload);
  }

  /** What it depends on and still lacks, in words; undefined where it doesn't wait for that. */
  get lacking(): string | undefined {
    if (!awaitsNeeds(this.#workload.state)) return undefined;
    const standing = this.#parts.needs.standingOf(this.#workload);
    return standing.kind === 'met' ? undefined : standing.words;
  }
}
