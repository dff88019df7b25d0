import { backoffMs } from '../../../system/waiting/backoff.ts';
import type { Cancel, Clock } from '../../../system/clock.ts';
import { describeError } from '../../../system/message-of.ts';
import { retryDelayMs } from '../api/kube-errors.ts';
import { isConflict, isMissing, type LeaseApi } from './lease-api.ts';
import {
  ELECTION_LEASE,
  freeElectionLease,
  heldElectionLease,
  type LeaseRecord,
  type LeaseTimes,
} from './lease-record.ts';
import type { SeenLease, SeenLeases } from './seen-leases.ts';

export interface SleeperLeaseOptions {
  readonly api: LeaseApi;
  readonly leases: SeenLeases;
  readonly identity: string;
  readonly times: LeaseTimes;
  readonly clock: Clock;
  /** Whether this replica may hold the Lease now; whoever changes the answer calls `consider()`. */
  readonly mayHold: () => boolean;
  readonly taken: () => void;
  /** Not called at close. */
  readonly lost: (reason: string) => void;
  readonly failed: (error: unknown) => void;
}

/** After so many conflicts in a row the replica waits before it tries again: others write the Lease all the time. */
const MAX_CONFLICTS = 3;

/**
 * The election of the replica that puts workloads to sleep: takes its Lease when that is free, renews it, and gives it
 * back. Between two holders there is always a time in which nobody holds it. It is ours because the client library has no
 * leader election for JavaScript.
 */
export class SleeperLease {
  readonly #options: SleeperLeaseOptions;
  readonly #lifetime = new AbortController();
  /** When the last renewal that succeeded was sent. */
  #renewedMs: number | undefined;
  #failures = 0;
  /** Of the last failure. */
  #error: unknown;
  #conflicts = 0;
  #isDue = false;
  #running: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #cancelNext: Cancel = () => {};
  #cancelStepDown: Cancel = () => {};

  constructor(options: SleeperLeaseOptions) {
    this.#options = options;
  }

  /** Judged by the clock, not by a timer, which may fire late. */
  get isHeld(): boolean {
    const { clock, times } = this.#options;
    return this.#renewedMs !== undefined && clock.monotonicMs() < this.#renewedMs + times.trustMs;
  }

  /** Something is known that was not before: acts on it. Resolves when that is done, or has failed. */
  consider(): Promise<void> {
    this.#isDue = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Gives the Lease back, within a bounded time. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #run(): Promise<void> {
    while (this.#isDue && !this.#lifetime.signal.aborted) {
      this.#isDue = false;
      this.#cancelNext();
      if (this.#options.mayHold()) await this.#step();
    }
  }

  async #step(): Promise<void> {
    const { leases, identity, clock, times } = this.#options;
    const nowMs = clock.monotonicMs();
    const step = decideElection(leases.get(ELECTION_LEASE), { identity, leases, nowMs });
    if (step.kind === 'wait') return this.#wait(step, nowMs);
    const dueMs = (this.#renewedMs ?? 0) + times.renewEveryMs;
    const isEarly = step.kind === 'renew' && this.isHeld && nowMs < dueMs && this.#failures === 0;
    if (isEarly) return this.#considerIn(dueMs - nowMs);
    await this.#write(step.kind === 'create' ? undefined : step.record);
  }

  #wait({ holder, untilMs }: Extract<ElectionStep, { kind: 'wait' }>, nowMs: number): void {
    // The Lease names another holder: this replica has nothing to give back.
    this.#stepDown(`${holder} has taken its Lease over`);
    this.#failures = 0;
    if (untilMs !== undefined) this.#considerIn(untilMs - nowMs);
  }

  async #write(before: LeaseRecord | undefined): Promise<void> {
    const { api, leases, identity, clock, times } = this.#options;
    const { signal } = this.#lifetime;
    const sentMs = clock.monotonicMs();
    const held = heldElectionLease(before, { identity, durationMs: times.durationMs, nowMs: clock.nowMs() });
    try {
      const record = before === undefined ? await api.create(held, signal) : await api.patch(held, signal);
      leases.see(record, clock.monotonicMs());
      if (!signal.aborted) this.#renewed(sentMs);
    } catch (error) {
      if (!signal.aborted) await this.#lost(error, before);
    }
  }

  #renewed(sentMs: number): void {
    const { clock, times, taken } = this.#options;
    const wasHeld = this.isHeld;
    const nowMs = clock.monotonicMs();
    this.#renewedMs = sentMs;
    this.#failures = 0;
    this.#conflicts = 0;
    this.#cancelStepDown();
    this.#cancelStepDown = clock.schedule(sentMs + times.trustMs - nowMs, () => this.#expire());
    this.#considerIn(sentMs + times.renewEveryMs - nowMs);
    if (!wasHeld && this.isHeld) taken();
  }

  /** A write failed: the Lease has changed meanwhile, or can't be written at all. */
  async #lost(error: unknown, before: LeaseRecord | undefined): Promise<void> {
    const isStale = isConflict(error) || (before !== undefined && isMissing(error));
    if (!isStale || ++this.#conflicts > MAX_CONFLICTS) return this.#fail(error);
    try {
      await this.#look();
      this.#isDue = true;
    } catch (cause) {
      if (!this.#lifetime.signal.aborted) this.#fail(cause);
    }
  }

  /** Reads the Lease: the watch may be behind. */
  async #look(signal = this.#lifetime.signal): Promise<LeaseRecord | undefined> {
    const { api, leases, clock } = this.#options;
    const record = await api.read(ELECTION_LEASE, signal);
    if (record === undefined) leases.forget(ELECTION_LEASE);
    else leases.see(record, clock.monotonicMs());
    return record;
  }

  #fail(error: unknown): void {
    this.#conflicts = 0;
    this.#failures += 1;
    this.#error = error;
    this.#considerIn(retryDelayMs(error, backoffMs(this.#failures, this.#options.times.retry)));
    this.#options.failed(error);
  }

  #considerIn(delayMs: number): void {
    this.#cancelNext();
    this.#cancelNext = this.#options.clock.schedule(delayMs, () => void this.consider());
  }

  /** Runs before anybody else may take the Lease over. */
  #expire(): void {
    const why = this.#failures > 0 ? `: ${describeError(this.#error)}` : '';
    this.#stepDown(`its Lease was not renewed in time${why}`);
  }

  #stepDown(reason: string): void {
    this.#cancelStepDown();
    if (this.#renewedMs === undefined) return;
    this.#renewedMs = undefined;
    this.#options.lost(reason);
  }

  async #close(): Promise<void> {
    const hadIt = this.isHeld;
    this.#lifetime.abort(new Error('the Lease was given back'));
    this.#cancelNext();
    this.#cancelStepDown();
    this.#renewedMs = undefined;
    await this.#running;
    if (hadIt) await this.#giveBack(MAX_CONFLICTS).catch(this.#options.failed);
  }

  /** A renewal may have been under way: the Lease is ours as long as it names us. */
  async #giveBack(tries: number): Promise<void> {
    const { api, leases, identity, clock } = this.#options;
    const { signal } = new AbortController();
    const record = leases.get(ELECTION_LEASE)?.record;
    if (record?.holder !== identity) return;
    try {
      await api.patch(freeElectionLease(record, { nowMs: clock.nowMs() }), signal);
    } catch (error) {
      if (!isConflict(error) || tries <= 1) throw error;
      await this.#look(signal);
      await this.#giveBack(tries - 1);
    }
  }
}

/** What a replica does about the Lease that says who puts workloads to sleep. */
export type ElectionStep =
  /** There is none. */
  | { readonly kind: 'create' }
  | { readonly kind: 'renew'; readonly record: LeaseRecord }
  /** Nobody holds it any more. */
  | { readonly kind: 'take'; readonly record: LeaseRecord }
  /** Another replica holds it, until `untilMs`; undefined where that can't be told now. */
  | { readonly kind: 'wait'; readonly holder: string; readonly untilMs: number | undefined };

/** @param options.nowMs monotonic. */
export function decideElection(
  seen: SeenLease | undefined,
  options: { readonly identity: string; readonly leases: SeenLeases; readonly nowMs: number },
): ElectionStep {
  if (seen === undefined) return { kind: 'create' };
  const { record } = seen;
  const { leases, nowMs } = options;
  if (record.holder === options.identity) return { kind: 'renew', record };
  if (record.holder === undefined || leases.isExpired(seen, nowMs)) return { kind: 'take', record };
  return { kind: 'wait', holder: record.holder, untilMs: leases.expiresMs(seen) };
}
