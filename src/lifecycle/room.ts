import { describeUnknownMemory, formatMemory } from '../model/text/memory-size.ts';
import type { RoomLimits } from '../model/settings.ts';
import type { RoomFigures } from '../model/running/workload-report.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';
import type { WorkloadController } from './workload/workload-controller.ts';

/** What a limit is about. */
type Limit = 'max_awake' | 'memory' | `group ${string}`;

/** What workloads take of each limit. */
type Amounts = Map<Limit, number>;

/** What goes with a workload. */
export interface Chains {
  /** False while services are being added and removed: nobody gets a place then, and whoever ends that calls `lookAgain()`. */
  readonly isSettled: boolean;
  /** All that starts with it, itself among them. */
  chainOf(controller: WorkloadController): ReadonlySet<WorkloadController>;
  /** All that sleeps with it, since nobody else holds it, itself among them. */
  freedWith(controller: WorkloadController): ReadonlySet<WorkloadController>;
}

/**
 * How many workloads may be awake at once, and how much memory they may take together. Who wants one awake takes places for all
 * that starts with it, or none; where there are too few, what has been unused for the longest time is put to sleep, and where
 * nothing can be, it waits behind those that have come before. What somebody else has started, and what is paused, counts, too.
 * Without limits it costs nothing. `close()` ends it.
 */
export class Room {
  readonly #chains: Chains;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #limits: RoomLimits = { maxAwake: undefined, memoryBytes: undefined, groups: {} };
  /** Workloads that are awake, or on their way from or to that. */
  readonly #awake = new Set<WorkloadController>();
  /** Places of those that are about to start, by the one that they start with. */
  readonly #reserved = new Map<WorkloadController, Set<WorkloadController>>();
  /** Those of which the log has said that they take nothing of the memory. */
  readonly #toldMemory = new WeakSet<WorkloadController>();
  /** In the order of their coming. */
  readonly #waiting = new Set<WorkloadController>();
  /** Those of them that were not logged yet. */
  readonly #untold = new Set<WorkloadController>();
  #cancelRetry: Cancel | undefined;
  #isServing = false;
  #isClosed = false;

  constructor(options: { readonly chains: Chains; readonly clock: Clock; readonly logger: Logger }) {
    this.#chains = options.chains;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** In force at once, but nothing is stopped for that. */
  setLimits(limits: RoomLimits): void {
    this.#limits = limits;
    this.#serveSoon();
  }

  isWaiting(controller: WorkloadController): boolean {
    return this.#waiting.has(controller);
  }

  /**
   * Takes places for a workload that is to be started, and for all that starts with it. Where there are too few, it waits, and
   * is told by `roomCame()`; asked again, it keeps its turn. They are kept until it is ready or asleep again, or `leave()`.
   */
  take(controller: WorkloadController): boolean {
    if (!this.#hasLimits) return true;
    const holds = this.#holds(controller);
    if (!holds && this.explainMisfit(controller) !== undefined) return false;
    const isFree = this.#waiting.size === 0 && this.#lacking(controller).length === 0;
    if (holds || (this.#chains.isSettled && isFree)) {
      this.#reserve(controller);
      return true;
    }
    if (!this.#waiting.has(controller)) this.#untold.add(controller);
    this.#waiting.add(controller);
    this.#serveSoon();
    return false;
  }

  /** It is not to be started any more: gives its places back, or waits no longer. Idempotent. */
  leave(controller: WorkloadController): void {
    const had = this.#waiting.delete(controller);
    this.#untold.delete(controller);
    if (this.#reserved.delete(controller) || had) this.#serveSoon();
  }

  /** The state of a workload has changed, or nobody follows it any more. */
  changed(controller: WorkloadController): void {
    const { kind } = controller.state;
    const isAsleep =
      kind === 'stopped' || kind === 'missing' || (kind === 'failed' && !controller.mayBeRunning);
    if (isAsleep || controller.isClosed) this.#awake.delete(controller);
    // That an engine can't be asked doesn't mean that the workload has stopped.
    else if (kind !== 'unknown') this.#awake.add(controller);
    if (this.#reserved.has(controller) && kind !== 'starting' && !controller.isQueued)
      this.#reserved.delete(controller);
    if (controller.isClosed) {
      for (const chain of this.#reserved.values()) chain.delete(controller);
      this.leave(controller);
    } else this.#tellMemory(controller);
    this.#serveSoon();
  }

  /** Something is no longer used, or may make room by now. */
  lookAgain(): void {
    this.#serveSoon();
  }

  /** Why a workload can never be started, whoever sleeps; undefined where it can. */
  explainMisfit(controller: WorkloadController): string | undefined {
    if (!this.#hasLimits) return undefined;
    const chain = this.#chains.chainOf(controller);
    const [limit] = this.#exceeded(amountsOf(chain));
    if (limit === undefined) return undefined;
    const needed = this.#show(limit, amountsOf(chain).get(limit) ?? 0);
    const whole = chain.size > 1 ? ', with what starts with it,' : '';
    return `there is never room for it: it${whole} needs ${needed}, and ${nameOf(limit)} is ${this.#show(limit, this.#maxOf(limit) ?? 0)}`;
  }

  /** Why a workload waits for room: `5 of 5 awake (limits.max_awake)`. */
  describe(controller: WorkloadController): string {
    const lacking = this.#lacking(controller);
    if (lacking.length === 0) return 'others have come before it';
    return lacking.map((limit) => this.#describeLack(controller, limit)).join('; ');
  }

  #describeLack(controller: WorkloadController, limit: Limit): string {
    const used = amountsOf(this.#counted).get(limit) ?? 0;
    const needed = amountsOf(this.#newOf(controller)).get(limit) ?? 0;
    const max = this.#maxOf(limit) ?? 0;
    if (limit === 'memory')
      return `${formatMemory(used)} of ${formatMemory(max)} taken, ${formatMemory(needed)} needed (${nameOf(limit)})`;
    return `${used} of ${max} awake${needed > 1 ? `, ${needed} more needed` : ''} (${nameOf(limit)})`;
  }

  /** The names of those that take something of a limit, in their order. */
  #holdersOf(limit: Limit): readonly string[] {
    const holders = [...this.#counted].filter((one) => amountsOf([one]).has(limit));
    return holders.map(({ policy }) => policy.name).toSorted();
  }

  /** That a workload takes nothing of `limits.memory`, and why; undefined where it does, nothing is known of it, or there is no such limit. */
  explainNoMemory(controller: WorkloadController): string | undefined {
    const { observation, workload } = controller;
    if (this.#limits.memoryBytes === undefined || bytesOf(controller) > 0) return undefined;
    if (observation.state === 'unknown' || observation.state === 'missing') return undefined;
    return describeUnknownMemory(workload.kind);
  }

  #tellMemory(controller: WorkloadController): void {
    const why = this.#toldMemory.has(controller) ? undefined : this.explainNoMemory(controller);
    if (why === undefined) return;
    this.#toldMemory.add(controller);
    const { name } = controller.policy;
    this.#logger.warn({ event: 'unknown-memory', service: name }, `${name} ${why}`);
  }

  /** How much of each limit is taken, and how many wait; undefined where there are no limits. */
  get figures(): RoomFigures | undefined {
    if (!this.#hasLimits) return undefined;
    const { maxAwake, memoryBytes, groups } = this.#limits;
    const taken = amountsOf(this.#counted);
    const countOf = (limit: Limit, max: number) => ({ taken: taken.get(limit) ?? 0, max });
    const placesOf = (limit: Limit, max: number) => ({
      ...{ ...countOf(limit, max), services: this.#holdersOf(limit) },
    });
    const ofGroups = Object.entries(groups).map(([group, { maxAwake: max }]) => ({
      ...{ group, ...placesOf(`group ${group}`, max) },
    }));
    return {
      awake: [
        ...(maxAwake === undefined ? [] : [{ group: '', ...placesOf('max_awake', maxAwake) }]),
        ...ofGroups,
      ],
      memory: memoryBytes === undefined ? undefined : countOf('memory', memoryBytes),
      waiting: this.#waiting.size,
    };
  }

  /** Serves nobody any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#waiting.clear();
    this.#untold.clear();
  }

  get #hasLimits(): boolean {
    const { maxAwake, memoryBytes, groups } = this.#limits;
    return maxAwake !== undefined || memoryBytes !== undefined || Object.keys(groups).length > 0;
  }

  /** Whether a workload has its place, and so has all that starts with it. */
  #holds(controller: WorkloadController): boolean {
    const { isSettled } = this.#chains;
    return isSettled && !this.#waiting.has(controller) && this.#newOf(controller).size === 0;
  }

  get #counted(): ReadonlySet<WorkloadController> {
    return new Set([...this.#awake, ...this.#placed]);
  }

  /** Workloads that are about to start, with all that starts with them. */
  get #placed(): ReadonlySet<WorkloadController> {
    return new Set([...this.#reserved.values()].flatMap((chain) => [...chain]));
  }

  /**
   * What of all that starts with a workload has no place yet. What is being stopped has one until then: who has come before gets
   * it, or would wait for it in vain where it is wanted again and again.
   */
  #newOf(controller: WorkloadController): ReadonlySet<WorkloadController> {
    const [first = controller] = this.#waiting;
    const placed = this.#placed;
    const hasPlace = (one: WorkloadController) =>
      placed.has(one) || (this.#awake.has(one) && (first === controller || !one.isLeaving));
    return new Set([...this.#chains.chainOf(controller)].filter((one) => !hasPlace(one)));
  }

  /** The limits that lack what a workload needs with all that starts with it. */
  #lacking(controller: WorkloadController): readonly Limit[] {
    if (!this.#hasLimits) return [];
    return this.#exceeded(sum(amountsOf(this.#counted), amountsOf(this.#newOf(controller))));
  }

  #reserve(controller: WorkloadController): void {
    this.#reserved.set(controller, new Set(this.#chains.chainOf(controller)));
  }

  /**
   * Not at once: whoever has changed, or asks, is in the middle of it. A reload takes one lease after the other, and so does who
   * needs several workloads; only with the last one it is known what nobody uses.
   */
  #serveSoon(): void {
    if (this.#waiting.size === 0 || this.#isServing || this.#isClosed) return;
    this.#isServing = true;
    queueMicrotask(() => {
      this.#isServing = false;
      this.#serve();
    });
  }

  /**
   * Gives places to those that wait, in their order: nobody takes what one before lacks. Of all others the first ones have room
   * made for them.
   */
  #serve(): void {
    if (!this.#chains.isSettled) return;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    const granted: WorkloadController[] = [];
    const claimed = new Set<Limit>();
    for (const controller of [...this.#waiting]) {
      // The limits, or what goes with it, may have changed since it came: it takes nobody's turn.
      if (this.explainMisfit(controller) !== undefined) continue;
      const needed = amountsOf(this.#newOf(controller));
      const lacking = this.#lacking(controller);
      const isBehind = [...needed.keys()].some((limit) => claimed.has(limit));
      if (lacking.length === 0 && !isBehind) {
        this.#waiting.delete(controller);
        this.#untold.delete(controller);
        this.#reserve(controller);
        granted.push(controller);
        continue;
      }
      for (const limit of lacking) claimed.add(limit);
      this.#tell(controller);
      if (!isBehind) this.#makeRoom(controller, needed);
    }
    for (const controller of granted) controller.roomCame();
  }

  #tell(controller: WorkloadController): void {
    if (!this.#untold.delete(controller)) return;
    const { name } = controller.policy;
    // Clients are not told who else is there.
    const holders = new Set(this.#lacking(controller).flatMap((limit) => this.#holdersOf(limit)));
    const takers = holders.size === 0 ? '' : `; taken by ${[...holders].join(', ')}`;
    const message = `${name} waits for room: ${this.describe(controller)}${takers}`;
    this.#logger.info({ event: 'wake-waits', service: name }, message);
  }

  /**
   * Puts to sleep what has been unused for the longest time, as far as there will be enough then: nothing sleeps in vain. Looks again
   * when more may sleep.
   */
  #makeRoom(controller: WorkloadController, needed: Amounts): void {
    const refused = new Set<WorkloadController>();
    for (;;) {
      const { chosen, againMs } = this.#chooseSleepers(controller, { needed, refused });
      // One that is used after all: others may do in its place.
      const used = chosen.find((one) => !one.makeRoom(`room for ${controller.policy.name}`));
      if (used !== undefined) {
        refused.add(used);
        continue;
      }
      if (againMs < Number.POSITIVE_INFINITY)
        this.#cancelRetry ??= this.#clock.schedule(againMs - this.#clock.monotonicMs(), () => {
          this.#cancelRetry = undefined;
          this.#serveSoon();
        });
      return;
    }
  }

  /** What is to sleep so that there is enough room; nothing where that isn't enough now, and when it may be. */
  #chooseSleepers(
    controller: WorkloadController,
    { needed, refused }: { readonly needed: Amounts; readonly refused: ReadonlySet<WorkloadController> },
  ): { readonly chosen: readonly WorkloadController[]; readonly againMs: number } {
    const chain = this.#chains.chainOf(controller);
    const freedWith = (one: WorkloadController) => this.#chains.freedWith(one);
    const leaving = [...this.#counted].filter((one) => one.isLeaving);
    const lackingWithout = (sleepers: readonly WorkloadController[]) => {
      const freed = new Set([...leaving, ...sleepers].flatMap((one) => [...freedWith(one)]));
      const staying = [...this.#counted].filter((one) => !freed.has(one));
      return { freed, lacking: this.#exceeded(sum(amountsOf(staying), needed)) };
    };
    const nowMs = this.#clock.monotonicMs();
    let againMs = Number.POSITIVE_INFINITY;
    const chosen: WorkloadController[] = [];
    let { freed, lacking } = lackingWithout(chosen);
    for (const candidate of this.#listCandidates(chain)) {
      if (lacking.length === 0) break;
      const isFree = !freed.has(candidate) && !refused.has(candidate);
      const atMs = isFree ? candidate.mayMakeRoomAtMs : undefined;
      if (atMs === undefined) continue;
      const given = amountsOf(freedWith(candidate));
      if (!lacking.some((limit) => given.has(limit))) continue;
      if (atMs > nowMs) {
        againMs = Math.min(againMs, atMs);
        continue;
      }
      chosen.push(candidate);
      ({ freed, lacking } = lackingWithout(chosen));
    }
    if (lacking.length > 0) return { chosen: [], againMs };
    // What was chosen for one limit may not be needed any more since another one gives both; what was used last stays first.
    const needless = (one: WorkloadController) => lackingWithout(chosen.filter((other) => other !== one));
    for (const one of chosen.toReversed())
      if (needless(one).lacking.length === 0) chosen.splice(chosen.indexOf(one), 1);
    return { chosen, againMs: Number.POSITIVE_INFINITY };
  }

  /** What is awake and not needed itself, unused for the longest time first. */
  #listCandidates(chain: ReadonlySet<WorkloadController>): readonly WorkloadController[] {
    return [...this.#awake]
      .filter((one) => !chain.has(one))
      .toSorted((a, b) => a.lastActiveMs - b.lastActiveMs);
  }

  /** The limits that these amounts are beyond. */
  #exceeded(amounts: Amounts): readonly Limit[] {
    return [...amounts].flatMap(([limit, amount]) => {
      const max = this.#maxOf(limit);
      return max !== undefined && amount > max ? [limit] : [];
    });
  }

  #maxOf(limit: Limit): number | undefined {
    const { maxAwake, memoryBytes, groups } = this.#limits;
    if (limit === 'max_awake') return maxAwake;
    if (limit === 'memory') return memoryBytes;
    const name = limit.slice('group '.length);
    return Object.hasOwn(groups, name) ? groups[name]?.maxAwake : undefined;
  }

  #show(limit: Limit, amount: number): string {
    if (limit === 'memory') return formatMemory(amount);
    return amount === 1 ? '1 place' : `${amount} places`;
  }
}

function nameOf(limit: Limit): string {
  if (limit === 'max_awake' || limit === 'memory') return `limits.${limit}`;
  return `groups.${limit.slice('group '.length)}.max_awake`;
}

/** What a workload may take of the memory; 0 where that isn't known. */
function bytesOf({ policy, observation }: WorkloadController): number {
  return policy.memoryBytes ?? observation.memoryLimitBytes ?? 0;
}

/** What workloads take together; nothing of a limit that none of them takes anything of. */
function amountsOf(controllers: Iterable<WorkloadController>): Amounts {
  const amounts: Amounts = new Map();
  const add = (limit: Limit, amount: number) => amounts.set(limit, (amounts.get(limit) ?? 0) + amount);
  for (const controller of controllers) {
    const { policy } = controller;
    add('max_awake', 1);
    const bytes = bytesOf(controller);
    if (bytes > 0) add('memory', bytes);
    if (policy.group !== undefined) add(`group ${policy.group}`, 1);
  }
  return amounts;
}

/** Of the limits that the second one takes something of: who needs nothing of a limit doesn't wait for it. */
function sum(taken: Amounts, needed: Amounts): Amounts {
  return new Map([...needed].map(([limit, amount]) => [limit, amount + (taken.get(limit) ?? 0)]));
}
