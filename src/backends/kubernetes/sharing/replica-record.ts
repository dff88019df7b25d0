import { isDeepStrictEqual } from 'node:util';
import { backoffMs } from '../../../system/waiting/backoff.ts';
import type { Cancel, Clock } from '../../../system/clock.ts';
import { retryDelayMs } from '../api/kube-errors.ts';
import { isConflict, isMissing, type LeaseApi } from './lease-api.ts';
import { type LeaseRecord, type LeaseTimes, replicaLease, replicaLeaseName } from './lease-record.ts';

export interface ReplicaRecordOptions {
  readonly api: LeaseApi;
  readonly identity: string;
  readonly times: LeaseTimes;
  readonly clock: Clock;
  /** The record was written; `isNews`: others may have taken this replica for dead before, or it was cut off. */
  readonly published: (news: { readonly isNews: boolean }) => void;
  readonly failed: (error: unknown) => void;
}

/** Workloads that come into use within this time are written together. */
const GATHER_MS = 5;
/** At most one write in this time, however much changes. */
const SPACING_MS = 100;
/** A workload stays in use for so long after its last client: one short connection may follow another. */
const RELEASE_MS = 1_000;

/** This replica's own Lease: says that it lives, and which workloads its clients use. */
export class ReplicaRecord {
  readonly #options: ReplicaRecordOptions;
  readonly #lifetime = new AbortController();
  /** Until when each workload counts as in use; Infinity while a client uses it. */
  readonly #untilMs = new Map<string, number>();
  /** What the last write said, or tried to say. */
  #told: ReadonlySet<string> = new Set();
  #exists = false;
  #sentMs: number | undefined;
  #failures = 0;
  /** Of the last failure. */
  #error: unknown;
  #next: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  #writing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: ReplicaRecordOptions) {
    this.#options = options;
  }

  /** Whether the record was written recently enough, so that all others know of this replica. */
  get isFresh(): boolean {
    const { clock, times } = this.#options;
    return this.#sentMs !== undefined && clock.monotonicMs() < this.#sentMs + times.trustMs;
  }

  /** Resolves when the record was written, or that has failed. It is renewed by itself from then on. */
  start(): Promise<void> {
    return this.#publish();
  }

  setInUse(key: string, { inUse }: { readonly inUse: boolean }): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (inUse) this.#untilMs.set(key, Number.POSITIVE_INFINITY);
    else if (this.#untilMs.has(key)) this.#untilMs.set(key, nowMs + RELEASE_MS);
    if (this.#sentMs === undefined || this.#failures > 0) return;
    if (!inUse) this.#wakeBy(nowMs + RELEASE_MS);
    else if (!this.#told.has(key)) this.#wakeBy(Math.max(nowMs + GATHER_MS, this.#sentMs + SPACING_MS));
  }

  /** Takes the record away, within a bounded time. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #wakeBy(atMs: number): void {
    if (this.#lifetime.signal.aborted || this.#writing !== undefined) return;
    if (this.#next !== undefined && this.#next.atMs <= atMs) return;
    this.#next?.cancel();
    const { clock } = this.#options;
    const cancel = clock.schedule(atMs - clock.monotonicMs(), () => this.#woken());
    this.#next = { atMs, cancel };
  }

  #woken(): void {
    this.#next = undefined;
    const { clock, times } = this.#options;
    const nowMs = clock.monotonicMs();
    const isDue = this.#failures > 0 || nowMs >= (this.#sentMs ?? 0) + times.renewEveryMs;
    if (isDue || !isDeepStrictEqual(this.#inUse(), this.#told)) void this.#publish();
    else this.#plan();
  }

  #publish(): Promise<void> {
    this.#next?.cancel();
    this.#next = undefined;
    if (this.#lifetime.signal.aborted) return Promise.resolve();
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      this.#plan();
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    const { clock, published, failed } = this.#options;
    const sentMs = clock.monotonicMs();
    this.#told = this.#inUse();
    try {
      await this.#put(this.#told);
      const isNews = !this.isFresh || this.#failures > 0;
      this.#sentMs = sentMs;
      this.#failures = 0;
      published({ isNews });
    } catch (error) {
      this.#failures += 1;
      this.#error = error;
      if (!this.#lifetime.signal.aborted) failed(error);
    }
  }

  /** Another replica may have removed the record of one it took for dead; a predecessor may have left its own. */
  async #put(inUse: ReadonlySet<string>): Promise<void> {
    try {
      await this.#send(inUse);
    } catch (error) {
      if (!(this.#exists ? isMissing(error) : isConflict(error))) throw error;
      this.#exists = !this.#exists;
      await this.#send(inUse);
    }
    this.#exists = true;
  }

  #send(inUse: ReadonlySet<string>): Promise<LeaseRecord> {
    const { api, identity, clock, times } = this.#options;
    const { signal } = this.#lifetime;
    const lease = replicaLease({ identity, inUse, durationMs: times.durationMs, nowMs: clock.nowMs() });
    return this.#exists ? api.patch(lease, signal) : api.create(lease, signal);
  }

  /** What comes next: the renewal at the latest. */
  #plan(): void {
    const { clock, times } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#failures > 0)
      return this.#wakeBy(nowMs + retryDelayMs(this.#error, backoffMs(this.#failures, times.retry)));
    const sentMs = this.#sentMs ?? nowMs;
    this.#wakeBy(sentMs + times.renewEveryMs);
    for (const [key, untilMs] of this.#untilMs) {
      if (!this.#told.has(key)) this.#wakeBy(Math.max(nowMs + GATHER_MS, sentMs + SPACING_MS));
      this.#wakeBy(untilMs);
    }
  }

  #inUse(): ReadonlySet<string> {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [key, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(key);
    return new Set(this.#untilMs.keys());
  }

  async #close(): Promise<void> {
    this.#lifetime.abort(new Error('the record was taken away'));
    this.#next?.cancel();
    await this.#writing;
    // A write that failed may have reached the API server all the same.
    if (!this.#exists && this.#failures === 0) return;
    const { api, identity, failed } = this.#options;
    const { signal } = new AbortController();
    await api.remove(replicaLeaseName(identity), { signal }).catch(failed);
  }
}
