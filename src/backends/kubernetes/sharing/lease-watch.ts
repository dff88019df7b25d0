import type { Cancel, Clock } from '../../../system/clock.ts';
import type { Lease } from '../api/api-shapes.ts';
import { Informer, type InformerState } from '../api/informer.ts';
import type { KubeClient } from '../api/kube-client.ts';
import type { KubeRefusal } from '../api/kube-errors.ts';
import { ELECTION_LEASE, LEASE_SELECTOR, type LeaseRecord, readLease } from './lease-record.ts';
import { compareVersions, type ObjectChange } from '../api/object-cache.ts';
import { nextExpiryMs } from './other-replicas.ts';
import type { SeenLeases } from './seen-leases.ts';

export interface LeaseWatchOptions {
  readonly client: KubeClient;
  /** Of the Leases. */
  readonly path: string;
  readonly clock: Clock;
  readonly leases: SeenLeases;
  /** Of this replica's own record. */
  readonly ownName: string;
  /** The election's Lease has changed, or whether the watch is in sync. */
  readonly electionChanged: () => void;
  /** Another replica has come, gone or died, or its clients use other workloads. */
  readonly replicasChanged: () => void;
  readonly refused: (refusal: KubeRefusal) => void;
}

/** Watches all Leases of the proxy, and notices when another replica stops renewing. Whoever creates it closes it. */
export class LeaseWatch {
  readonly #options: LeaseWatchOptions;
  readonly #informer: Informer<LeaseRecord>;
  #isCutOff = false;
  #isClosed = false;
  #cancelExpiry: Cancel = () => {};

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
    this.#informer = new Informer<LeaseRecord>({
      client: options.client,
      clock: options.clock,
      path: options.path,
      query: { labelSelector: LEASE_SELECTOR },
      select: (lease: Lease) => readLease(lease),
      changed: (change) => this.#changed(change),
      state: (state) => this.#stateChanged(state),
    });
  }

  get synced(): boolean {
    return this.#informer.synced;
  }

  /** Resolves after the first look at all Leases, or its failure. It goes on by itself. */
  start(): Promise<void> {
    return this.#informer.start();
  }

  /** While this replica can't reach the API server, others may not either: their silence means nothing. */
  setCutOff({ isCutOff }: { readonly isCutOff: boolean }): void {
    this.#isCutOff = isCutOff;
    this.#sightChanged();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelExpiry();
    await this.#informer.close();
  }

  #stateChanged(state: InformerState): void {
    if (!state.synced && state.refusal !== undefined) this.#options.refused(state.refusal);
    this.#sightChanged();
  }

  #sightChanged(): void {
    const { leases, clock, electionChanged } = this.#options;
    if (this.synced && !this.#isCutOff) leases.look(clock.monotonicMs());
    else leases.blind(clock.monotonicMs());
    this.#awaitExpiry();
    electionChanged();
  }

  #changed(change: ObjectChange<LeaseRecord>): void {
    if (!this.#take(change)) return;
    const name = (change.after ?? change.before)?.name;
    if (name === ELECTION_LEASE) return this.#options.electionChanged();
    this.#awaitExpiry();
    this.#options.replicasChanged();
  }

  /** False where this replica's own write is newer than what the watch tells. */
  #take({ before, after }: ObjectChange<LeaseRecord>): boolean {
    const { leases, clock } = this.#options;
    if (after !== undefined) return leases.see(after, clock.monotonicMs());
    const known = before && leases.get(before.name)?.record;
    if (known === undefined || (compareVersions(known.version, before?.version ?? '') ?? 0) > 0) return false;
    leases.forget(known.name);
    return true;
  }

  #awaitExpiry(): void {
    this.#cancelExpiry();
    if (this.#isClosed) return;
    const { leases, ownName, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const expiryMs = nextExpiryMs({ leases, ownName, nowMs });
    if (expiryMs === undefined) return;
    this.#cancelExpiry = clock.schedule(expiryMs - nowMs, () => {
      this.#awaitExpiry();
      this.#options.replicasChanged();
    });
  }
}
