import { type Availability, mayPutToSleep, mayWake, type WakeCause } from '../../../model/availability.ts';
import type { WaitingRoom } from '../../clients/waiting-room.ts';
import type { LeaseBook } from './lease-book.ts';
import type { Demand } from '../machine.ts';

/**
 * Who wants one workload awake, and what may be done for them. Three kinds of somebody count: clients in the waiting room that may
 * wake it, holds that wait for it to be awake once, and whoever has asked for a start that has not begun. Its availability decides
 * for which of them it is started.
 */
export class Demands {
  readonly #waitingRoom: Pick<WaitingRoom, 'wakers'>;
  readonly #leases: Pick<LeaseBook, 'unmetCauses'>;
  readonly #availability: () => Availability;
  #last: string | undefined;
  #lastBy: WakeCause | undefined;
  #asked: WakeCause | undefined;
  #isOver = false;

  /** @param options.availability that of the service, as it is in force now. */
  constructor(options: {
    readonly waitingRoom: Pick<WaitingRoom, 'wakers'>;
    readonly leases: Pick<LeaseBook, 'unmetCauses'>;
    readonly availability: () => Availability;
  }) {
    this.#waitingRoom = options.waitingRoom;
    this.#leases = options.leases;
    this.#availability = options.availability;
  }

  /** The reason of the last demand that may wake it: who wanted it awake. */
  get last(): string | undefined {
    return this.#last;
  }

  /** What kind of demand that was. */
  get lastBy(): WakeCause | undefined {
    return this.#lastBy;
  }

  /** Somebody wants it awake now. @returns whether that may wake it; only then the reason is kept. */
  note(reason: string | undefined, by: WakeCause): boolean {
    if (!this.#mayWakeFor([by])) return false;
    this.#last = reason;
    this.#lastBy = by;
    return true;
  }

  /** Keeps the cause until its turn comes: it is woken then, whether or not anybody still waits. */
  ask(by: WakeCause): void {
    this.#asked = by;
  }

  /** Takes back what was asked for. */
  withdraw(): void {
    this.#asked = undefined;
  }

  /** Nothing may be done for anybody from now on. */
  end(): void {
    this.#isOver = true;
  }

  /** What may be done for those who wait now, and for one more. */
  for(by: WakeCause | undefined): Demand {
    return this.#demandOf(by === undefined ? this.#waiting : [...this.#waiting, by]);
  }

  /** What may be done when its turn comes, for those who wait now and for what was asked. */
  get atTurn(): Demand {
    return this.#demandOf(this.#waitingOrAsked);
  }

  /** The cause for which it may be woken when its turn comes; undefined where there is none. */
  get causeAtTurn(): WakeCause | undefined {
    return this.#waitingOrAsked.find((cause) => this.#mayWakeFor([cause]));
  }

  /** The last demand, where somebody waits for whom it may be woken, or has asked for it. */
  get lastOfWaiting(): string | undefined {
    return this.#mayWakeFor(this.#waitingOrAsked) ? this.#last : undefined;
  }

  /** Who has waited for it to be started, in words. */
  describe(): string | undefined {
    const { wakers } = this.#waitingRoom;
    return wakers > 0 && this.#mayWakeFor(['client']) ? `${wakers} waiting` : this.#last;
  }

  /** For what causes somebody waits for it to be awake now. */
  get #waiting(): readonly WakeCause[] {
    return this.#waitingRoom.wakers > 0 ? ['client', ...this.#leases.unmetCauses] : this.#leases.unmetCauses;
  }

  get #waitingOrAsked(): readonly WakeCause[] {
    return this.#asked === undefined ? this.#waiting : [...this.#waiting, this.#asked];
  }

  #mayWakeFor(causes: readonly WakeCause[]): boolean {
    return causes.some((cause) => mayWake(this.#availability(), cause));
  }

  #demandOf(causes: readonly WakeCause[]): Demand {
    if (this.#isOver || !this.#mayWakeFor(causes)) return 'none';
    return mayPutToSleep(this.#availability(), 'restart') ? 'restart' : 'wake';
  }
}
