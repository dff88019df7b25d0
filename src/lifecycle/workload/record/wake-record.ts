import type { Backend } from '../../../backends/backend.ts';
import type { WakeCause } from '../../../model/availability.ts';
import type { KeptWorkload } from '../../../model/running/kept.ts';
import type { Service } from '../../../model/service.ts';
import type { Wake, WakeCounts, WakeFailure, WakePhase, WakeUnderWay } from '../../../model/running/wake.ts';
import type { Clock } from '../../../system/clock.ts';
import type { Logger } from '../../../system/log/logger.ts';
import { withObstacle } from '../../refusal.ts';
import type { Tallies } from '../../tallies.ts';
import { LastOutput } from './last-output.ts';
import type { Transition } from '../machine.ts';

/** Of all failed wakes that are kept, how many keep what the workload had printed. */
const MAX_OUTPUTS = 5;
/** Of each line of it. */
const MAX_OUTPUT_CHARS = 512;

/** Told as the cause where the workload was awake when the proxy first looked: that was no wake. */
const ADOPTED = 'before the proxy first looked';

/** A start whose turn has not come, or for which there was no room. */
export interface MissedStart {
  readonly queuedMs: number;
  readonly roomMs: number;
  readonly failure: 'queue' | 'room';
  readonly reason: string;
}

interface Attempt {
  readonly cause: string;
  readonly by: WakeCause | undefined;
  /** It ran already when the proxy first looked: that is no wake to be counted. */
  readonly isAdopted: boolean;
  readonly atMs: number;
  readonly phases: Record<WakePhase, number>;
  phase: WakePhase;
  phaseSinceMs: number;
}

/**
 * What is known of the wakes of one workload: who caused each of the last ones that have ended, how long its phases took, how it
 * ended, and, where it failed, why and what the workload printed before. `close()` ends it.
 */
export class WakeRecord {
  readonly #clock: Clock;
  readonly #backend: Backend;
  readonly #logger: Logger;
  readonly #output: LastOutput;
  readonly #maxKept: () => number;
  #underWay: Attempt | undefined;
  /** Those that have ended, oldest first; made with the first one. */
  #kept: Wake[] | undefined;
  readonly #tallies: Tallies;
  /** Made with the first one. */
  #counts: Partial<Record<keyof WakeCounts, number>> | undefined;
  #failure: string | undefined;
  #closed = false;

  constructor(options: {
    readonly clock: Clock;
    readonly backend: Backend;
    readonly logger: Logger;
    /** How many wakes may be kept, at least 1. */
    readonly maxKeptWakes: () => number;
    readonly tallies: Tallies;
    /** What an earlier run of the proxy knew. */
    readonly kept?: Pick<KeptWorkload, 'wakes'> | undefined;
  }) {
    this.#clock = options.clock;
    this.#backend = options.backend;
    this.#logger = options.logger;
    this.#maxKept = options.maxKeptWakes;
    this.#tallies = options.tallies;
    this.#output = new LastOutput(options);
    const nowMs = options.clock.nowMs();
    for (const wake of options.kept?.wakes ?? []) if (wake.atMs <= nowMs) this.#keep(wake);
  }

  /** The last wake that has ended. */
  get last(): Wake | undefined {
    return this.#kept?.at(-1);
  }

  /** The last wakes that have ended, oldest first. */
  get kept(): readonly Wake[] {
    return this.#kept ?? [];
  }

  /** Those that are kept across a restart: not what was found awake, or each start of the proxy would add one. */
  get lasting(): readonly Wake[] {
    return this.kept.filter(({ cause }) => cause !== ADOPTED);
  }

  /** How many have ended how, since the record was begun. */
  get counts(): WakeCounts {
    return this.#counts ?? {};
  }

  /** The wake that is under way, as it is now. */
  get underWay(): WakeUnderWay | undefined {
    const wake = this.#underWay;
    if (wake === undefined) return undefined;
    this.#closePhase(wake);
    const { cause, atMs, phase } = wake;
    return { cause, atMs, phase, phases: roundPhases(wake.phases) };
  }

  /** Why the last wake that failed did so; undefined from the next one on that works, and once it is forgiven. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Somebody has seen to the workload: how its last start went is no longer told as its state. */
  forgive(): void {
    this.#failure = undefined;
  }

  /** What the workload had printed last when its start failed: see {@link LastOutput}. Empty once a start has worked. */
  get output(): readonly string[] {
    return this.#output.lines;
  }

  /**
   * Begins a wake with the transition that starts the workload, and ends it with the one that ends the start.
   * @param options.queuedMs how long the start has waited for its turn, and `roomMs` for room.
   * @param options.demand who waits for the workload to be awake; undefined where nobody does.
   * @param options.by as what that demand counts.
   * @param options.reason why the transition was made.
   * @param options.failure as what it counts, should the start have failed with it.
   * @returns the wake that has ended with this transition.
   */
  follow(
    { before, after }: Transition,
    {
      demand,
      by,
      queuedMs,
      roomMs,
      reason,
      failure,
    }: {
      readonly by: WakeCause | undefined;
      readonly demand: string | undefined;
      readonly queuedMs: number;
      readonly roomMs: number;
      readonly reason: string | undefined;
      readonly failure: WakeFailure;
    },
  ): Wake | undefined {
    if (after.kind === 'ready') this.#output.forget();
    if (after.kind === 'starting') {
      const isAdopted = before.kind === 'unknown' && demand === undefined;
      if (before.kind !== 'starting')
        this.#begin(demand ?? this.#causeAfter(before), {
          ...{ by: demand === undefined ? undefined : by, queuedMs, roomMs, isAdopted },
        });
      return undefined;
    }
    if (before.kind !== 'starting') return undefined;
    if (after.kind === 'ready') return this.#end('ready', undefined);
    if (after.kind === 'failed') return this.#end('failed', reason ?? 'it ended by itself', failure);
    return this.#end('ended', reason ?? `it is ${after.kind}`);
  }

  /** The wake under way, if there is one, is in this phase from now on; it may go back to an earlier one. */
  enter(phase: WakePhase): void {
    const wake = this.#underWay;
    if (wake === undefined || wake.phase === phase) return;
    this.#closePhase(wake);
    wake.phase = phase;
  }

  /** A client has waited in vain for a start whose turn never came. */
  noteMissed(cause: string, { queuedMs, roomMs, failure, reason }: MissedStart): void {
    this.#begin(cause, { by: undefined, queuedMs, roomMs, isAdopted: false });
    this.#end('failed', reason, failure);
  }

  /**
   * Asks the engine why the start has just failed, and what was printed before: both go to the log as soon as they are known.
   * @param failed whether the workload itself has failed, or its health check.
   * @returns when the engine has said why, if it can; undefined where it has nothing to say.
   */
  investigate(
    { workload, name: service }: Pick<Service, 'workload' | 'name'>,
    failed: 'workload' | 'check',
  ): Promise<void> | undefined {
    void this.#keepOutput({ workload, service, of: failed });
    return this.#backend.explain === undefined ? undefined : this.#askWhy({ workload, name: service });
  }

  /** Ends it: nothing is logged any more. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#output.close();
  }

  /** The cause of a start that nobody waits for, in words. */
  #causeAfter(before: Transition['before']): string {
    // The time of a start was up, and it has gone on all the same: its cause is that of the start.
    if (before.kind === 'failed' && before.running && this.last !== undefined) return this.last.cause;
    if (before.kind === 'failed') return 'as it has recovered';
    return before.kind === 'unknown' ? ADOPTED : 'by somebody else';
  }

  #begin(
    cause: string,
    {
      by,
      queuedMs,
      roomMs,
      isAdopted,
    }: { readonly queuedMs: number; readonly roomMs: number } & Pick<Attempt, 'by' | 'isAdopted'>,
  ): void {
    this.#underWay = {
      ...{ cause, by, isAdopted, atMs: this.#clock.nowMs() - queuedMs - roomMs },
      phases: { room: roomMs, queue: queuedMs, dependencies: 0, engine: 0, health: 0, port: 0 },
      ...{ phase: 'engine', phaseSinceMs: this.#clock.monotonicMs() },
    };
  }

  #end(result: Wake['result'], reason: string | undefined, failure?: WakeFailure): Wake | undefined {
    const wake = this.#underWay;
    if (wake === undefined) return undefined;
    this.#underWay = undefined;
    this.#closePhase(wake);
    this.#count(wake, result === 'failed' ? (failure ?? 'exited') : result);
    const { cause, by, atMs } = wake;
    const phases = roundPhases(wake.phases);
    const ended: Wake = {
      cause,
      ...(by !== undefined && { by }),
      atMs,
      phases,
      result,
      ...(reason !== undefined && { reason }),
    };
    this.#keep(ended);
    if (result === 'failed') this.#failure = reason ?? 'the start failed';
    if (result === 'ready') this.#failure = undefined;
    return ended;
  }

  #count({ phases, isAdopted }: Attempt, outcome: keyof WakeCounts): void {
    if (isAdopted) return;
    this.#counts ??= {};
    this.#counts[outcome] = (this.#counts[outcome] ?? 0) + 1;
    if (outcome !== 'ready') return;
    const { wakes } = this.#tallies;
    let allMs = 0;
    for (const [phase, ms] of Object.entries(phases) as readonly [WakePhase, number][]) {
      wakes[phase].observe(ms / 1_000);
      allMs += ms;
    }
    wakes.all.observe(allMs / 1_000);
  }

  #keep(wake: Wake): void {
    this.#kept ??= [];
    this.#kept.push(wake);
    const tooMany = this.#kept.length - this.#maxKept();
    if (tooMany > 0) this.#kept.splice(0, tooMany);
  }

  /** More is known of a wake that has ended, unless it is forgotten by now. @returns what is kept of it from now on. */
  #amend(wake: Wake, more: Partial<Wake>): Wake {
    const amended = { ...wake, ...more };
    const index = this.#kept?.lastIndexOf(wake) ?? -1;
    if (index >= 0) this.#kept?.splice(index, 1, amended);
    return amended;
  }

  async #keepOutput({
    workload,
    ...of
  }: { readonly workload: Service['workload'] } & Parameters<LastOutput['read']>[1]): Promise<void> {
    const { last } = this;
    const read = await this.#output.read(workload, of);
    // By its time, since another start may have failed meanwhile, and this wake may have been amended by an explanation.
    const wake = this.#kept?.findLast(({ atMs }) => atMs === last?.atMs);
    if (wake === undefined || read === undefined) return;
    if ('problem' in read) return void this.#amend(wake, { outputProblem: copyLine(read.problem) });
    if (read.lines.length === 0) return;
    this.#amend(wake, { output: read.lines.map(copyLine) });
    const older = this.kept.filter((kept) => kept.output !== undefined).slice(0, -MAX_OUTPUTS);
    for (const kept of older) {
      const { output: _, ...rest } = kept;
      this.#kept?.splice(this.kept.indexOf(kept), 1, rest);
    }
  }

  #closePhase(wake: Attempt): void {
    const nowMs = this.#clock.monotonicMs();
    wake.phases[wake.phase] += nowMs - wake.phaseSinceMs;
    wake.phaseSinceMs = nowMs;
  }

  /** Some engines know more of a failed start than their events tell. */
  async #askWhy({ workload, name: service }: Pick<Service, 'workload' | 'name'>): Promise<void> {
    const wake = this.last;
    if (wake === undefined) return;
    const why = await this.#backend.explain?.(workload);
    // The events may have told it already, and another wake may have ended meanwhile.
    if (why === undefined || this.#closed || wake.reason?.includes(why)) return;
    const { last } = this;
    if (last?.atMs !== wake.atMs || last.result !== 'failed') return;
    const reason = withObstacle(wake.reason ?? 'the start failed', why);
    this.#amend(last, { reason });
    this.#failure = reason;
    this.#logger.warn({ event: 'wake-explained', service }, `${service} did not become ready: ${why}`);
  }
}

/** A copy of the bytes: a string that is cut from a long line keeps the whole line in memory. */
function copyLine(line: string): string {
  return Buffer.from(line.slice(0, MAX_OUTPUT_CHARS)).toString();
}

function roundPhases(phases: Wake['phases']): Wake['phases'] {
  return {
    room: Math.round(phases.room),
    queue: Math.round(phases.queue),
    dependencies: Math.round(phases.dependencies),
    engine: Math.round(phases.engine),
    health: Math.round(phases.health),
    port: Math.round(phases.port),
  };
}
