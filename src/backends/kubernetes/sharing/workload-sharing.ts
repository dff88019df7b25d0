/**
 * How several replicas of the proxy serve the same workloads: every one wakes them and relays, one of them puts them to
 * sleep, and none is put to sleep while a client of any replica uses it. They tell each other through Leases.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../../system/clock.ts';
import type { Logger } from '../../../system/log/logger.ts';
import type { SharedView } from '../../backend.ts';
import type { KubeClient } from '../api/kube-client.ts';
import { isPassing } from '../api/kube-errors.ts';
import { LeaseApi } from './lease-api.ts';
import {
  ELECTION_LEASE,
  type LeaseRecord,
  type LeaseTimes,
  leaseTimes,
  replicaLeaseName,
} from './lease-record.ts';
import { LeaseWatch } from './lease-watch.ts';
import { forgottenRecords, heldByOthers, notTheSleeper, type Viewpoint, whyAwake } from './other-replicas.ts';
import { ReplicaRecord } from './replica-record.ts';
import { SeenLeases } from './seen-leases.ts';
import { SharingLog } from './sharing-log.ts';
import { SleeperLease } from './sleeper-lease.ts';

export interface WorkloadSharingOptions {
  readonly client: KubeClient;
  /** Of the Leases. */
  readonly namespace: string;
  /** Tells this replica from all others, and best from its own predecessor, too. */
  readonly identity: string;
  /** After this time without a sign a replica counts as dead; at least 1000. */
  readonly leaseDurationMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called at the start, and on each change. */
  readonly told: (view: SharedView) => void;
}

const NO_SLEEP = 'this replica puts no workload to sleep';

/** Calls nothing before `start()`. Whoever creates it closes it. */
export class WorkloadSharing {
  readonly #options: WorkloadSharingOptions;
  readonly #times: LeaseTimes;
  readonly #ownName: string;
  readonly #log: SharingLog;
  readonly #leases = new SeenLeases();
  readonly #lifetime = new AbortController();
  readonly #api: LeaseApi;
  readonly #watch: LeaseWatch;
  readonly #record: ReplicaRecord;
  readonly #sleeper: SleeperLease;
  #contested: ReadonlySet<string> = new Set();
  #view: SharedView | undefined;
  #clearing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: WorkloadSharingOptions) {
    const { client, namespace, identity, clock } = options;
    this.#options = options;
    this.#times = leaseTimes(options.leaseDurationMs);
    this.#ownName = replicaLeaseName(identity);
    this.#log = new SharingLog(options.logger);
    this.#api = new LeaseApi({ client, namespace, clock, answerMs: this.#times.answerMs });
    this.#watch = this.#createWatch();
    this.#record = this.#createRecord();
    this.#sleeper = this.#createSleeper();
  }

  /** Resolves when this replica has tried to make itself known and to become the sleeper. It goes on by itself. */
  async start(): Promise<void> {
    await Promise.all([this.#watch.start(), this.#record.start()]);
    await this.#sleeper.consider();
    this.#tell();
  }

  /** A client begins to use a workload, or the last one has left. Other replicas see it soon. */
  setInUse(key: string, use: { readonly inUse: boolean }): void {
    this.#record.setInUse(key, use);
  }

  /**
   * Why a workload must not be put to sleep now, by what all replicas say at this moment; undefined where it may be.
   * @throws {KubeRefusal | KubeUnreachable} where that can't be read.
   */
  async refuseSleep(key: string): Promise<string | undefined> {
    if (!this.#sleeper.isHeld) return notTheSleeper(this.#otherHolder());
    const fresh = await this.#api.list(this.#lifetime.signal);
    if (!this.#sleeper.isHeld) return notTheSleeper(this.#otherHolder());
    return whyAwake(key, { ...this.#viewpoint(), fresh, identity: this.#options.identity });
  }

  /** Keys of all workloads that something other than a proxy keeps awake. */
  setContested(keys: ReadonlySet<string>): void {
    this.#contested = new Set(keys);
    if (this.#view !== undefined) this.#tell();
  }

  /** Gives back the Lease, and takes the own record away, within a bounded time; tells nothing more. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #createWatch(): LeaseWatch {
    const { client, clock } = this.#options;
    return new LeaseWatch({
      client,
      clock,
      path: this.#api.path,
      leases: this.#leases,
      ownName: this.#ownName,
      electionChanged: () => void this.#elect(),
      replicasChanged: () => this.#tell(),
      refused: (refusal) => this.#log.failed(refusal, NO_SLEEP),
    });
  }

  #createRecord(): ReplicaRecord {
    const { identity, clock } = this.#options;
    return new ReplicaRecord({
      api: this.#api,
      identity,
      times: this.#times,
      clock,
      published: ({ isNews }) => {
        if (isNews) this.#watch.setCutOff({ isCutOff: false });
        this.#clear();
      },
      failed: (error) => {
        this.#log.failed(error, NO_SLEEP);
        if (isPassing(error)) this.#watch.setCutOff({ isCutOff: true });
      },
    });
  }

  #createSleeper(): SleeperLease {
    const { identity, clock } = this.#options;
    return new SleeperLease({
      api: this.#api,
      leases: this.#leases,
      identity,
      times: this.#times,
      clock,
      mayHold: () => this.#watch.synced && this.#record.isFresh,
      taken: () => {
        this.#log.becameSleeper(identity);
        this.#tell();
      },
      lost: (reason) => {
        this.#log.steppedDown(reason);
        this.#tell();
      },
      failed: (error) => this.#log.failed(error, NO_SLEEP),
    });
  }

  async #elect(): Promise<void> {
    await this.#sleeper.consider();
    const holder = this.#otherHolder();
    if (holder !== undefined) this.#log.standsBy(holder);
  }

  #tell(): void {
    if (this.#lifetime.signal.aborted) return;
    const isSleeper = this.#sleeper.isHeld;
    const heldElsewhere = new Set([...heldByOthers(this.#viewpoint()), ...this.#contested]);
    const before = this.#view;
    if (before?.isSleeper === isSleeper && isDeepStrictEqual(before.heldElsewhere, heldElsewhere)) return;
    this.#view = { isSleeper, heldElsewhere };
    this.#options.told(this.#view);
  }

  /** The sleeper takes away what dead replicas have left behind. */
  #clear(): void {
    const records = forgottenRecords(this.#viewpoint(), this.#times);
    if (records.length === 0 || !this.#sleeper.isHeld) return;
    this.#clearing ??= this.#remove(records).finally(() => {
      this.#clearing = undefined;
    });
  }

  /** A record that has changed meanwhile stays. */
  async #remove(records: readonly LeaseRecord[]): Promise<void> {
    const { signal } = this.#lifetime;
    for (const { name, version } of records) {
      try {
        await this.#api.remove(name, { version, signal });
      } catch (error) {
        if (!signal.aborted) this.#log.failed(error, `the Lease ${name} stays`);
      }
    }
  }

  #otherHolder(): string | undefined {
    const holder = this.#leases.get(ELECTION_LEASE)?.record.holder;
    return holder === this.#options.identity ? undefined : holder;
  }

  #viewpoint(): Viewpoint {
    return { leases: this.#leases, ownName: this.#ownName, nowMs: this.#options.clock.monotonicMs() };
  }

  async #close(): Promise<void> {
    this.#lifetime.abort(new Error('workloads are no longer shared'));
    await Promise.all([this.#watch.close(), this.#sleeper.close(), this.#record.close(), this.#clearing]);
  }
}
