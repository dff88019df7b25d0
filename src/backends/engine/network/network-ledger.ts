import { type WorkloadRef, workloadRefKey } from '../../../model/workload.ts';
import { isSameNetwork, type NetworkRef } from './needed-networks.ts';
import { findOwnNetwork, type OwnPlace } from './own-place.ts';

/** One thing to do about the proxy's networks. */
export type NetworkStep =
  | { readonly act: 'join'; readonly network: NetworkRef; readonly workload: WorkloadRef }
  | { readonly act: 'leave'; readonly network: NetworkRef };

interface Need {
  readonly workload: WorkloadRef;
  readonly networks: readonly NetworkRef[];
}

/** Who needs which network, which ones the proxy joined itself, and what follows from that; no I/O. */
export class NetworkLedger {
  /** By the workload's key. */
  readonly #needs = new Map<string, Need>();
  /** Ids of networks that the proxy joined itself. */
  readonly #joined = new Set<string>();
  /** Ids or names of networks where the last try failed. */
  readonly #failed = new Set<string>();
  /** Ids of networks to be left for a moment, although they are needed. */
  readonly #vacated = new Set<string>();
  #isJoining: boolean;

  constructor(isJoining: boolean) {
    this.#isJoining = isJoining;
  }

  /** What failed for the workload is tried again. */
  need(workload: WorkloadRef, networks: readonly NetworkRef[]): void {
    const key = workloadRefKey(workload);
    this.#retry(key);
    this.#needs.set(key, { workload, networks });
    this.#retry(key);
  }

  /** What the workload needs stays needed under its new name. */
  rename({ from, to }: { readonly from: WorkloadRef; readonly to: WorkloadRef }): void {
    const need = this.#needs.get(workloadRefKey(from));
    if (need === undefined) return;
    this.#needs.delete(workloadRefKey(from));
    this.#needs.set(workloadRefKey(to), { ...need, workload: to });
  }

  forget(workload: WorkloadRef): void {
    const key = workloadRefKey(workload);
    this.#retry(key);
    this.#needs.delete(key);
  }

  retryAll(): void {
    this.#failed.clear();
  }

  /** False: no network is needed, whatever the workloads say. */
  setJoining(isJoining: boolean): void {
    this.#isJoining = isJoining;
    this.retryAll();
  }

  /** The step failed. It is proposed again when a workload that needs the network is looked at, or the engine is back. */
  setFailed({ network }: NetworkStep): void {
    this.#failed.add(keyOf(network));
  }

  /** The proxy is to leave a network that it joined itself, and joins it again where it is needed. */
  vacate(id: string): void {
    this.#failed.delete(id);
    this.#vacated.add(id);
  }

  /** Whether the network is still to be left for a moment. */
  isVacating(id: string): boolean {
    return this.#vacated.has(id);
  }

  /** The step was tried, whatever came of it. */
  setTried({ act, network }: NetworkStep): void {
    if (act === 'leave' && network.id !== undefined) this.#vacated.delete(network.id);
  }

  setJoined(id: string): void {
    this.#joined.add(id);
  }

  /** A network that the workload of that key needs and that the proxy is still to join. */
  findMissing(key: string, place: OwnPlace): NetworkRef | undefined {
    if (!this.#isJoining || !place.canJoin) return undefined;
    const networks = this.#needs.get(key)?.networks ?? [];
    return networks.find(
      (network) => findOwnNetwork(place, network) === undefined && !this.#failed.has(keyOf(network)),
    );
  }

  /** What to do next: the networks of the workloads in `first`, then those of the others, then what nobody needs. */
  nextStep(place: OwnPlace, first: Iterable<string>): NetworkStep | undefined {
    if (!place.canJoin) return undefined;
    const vacated = place.networks.find(({ id }) => this.#vacated.has(id));
    if (vacated !== undefined) return { act: 'leave', network: vacated };
    for (const key of [...first, ...this.#needs.keys()]) {
      const need = this.#needs.get(key);
      const network = this.findMissing(key, place);
      if (need !== undefined && network !== undefined)
        return { act: 'join', network, workload: need.workload };
    }
    const needed = this.#isJoining ? [...this.#needs.values()].flatMap(({ networks }) => networks) : [];
    const idle = place.networks.find(
      (network) =>
        this.#joined.has(network.id) &&
        !this.#failed.has(keyOf(network)) &&
        !needed.some((other) => isSameNetwork(other, network)),
    );
    return idle && { act: 'leave', network: idle };
  }

  #retry(key: string): void {
    for (const network of this.#needs.get(key)?.networks ?? []) {
      this.#failed.delete(keyOf(network));
      this.#failed.delete(network.name);
    }
  }
}

function keyOf({ id, name }: NetworkRef): string {
  return id ?? name;
}
