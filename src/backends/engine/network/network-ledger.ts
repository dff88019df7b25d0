import { isSameNetwork, type NetworkRef } from './needed-networks.ts';
import { findOwnNetwork, type OwnPlace } from './own-place.ts';

/** One thing to do about the proxy's networks. */
export type NetworkStep =
  | { readonly act: 'join'; readonly network: NetworkRef; readonly container: string }
  | { readonly act: 'leave'; readonly network: NetworkRef };

/** Who needs which network, which ones the proxy joined itself, and what follows from that; no I/O. */
export class NetworkLedger {
  readonly #needs = new Map<string, readonly NetworkRef[]>();
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

  /** What failed for the container is tried again. */
  need(container: string, networks: readonly NetworkRef[]): void {
    this.#retry(container);
    this.#needs.set(container, networks);
    this.#retry(container);
  }

  /** What the container needs stays needed under its new name. */
  rename({ from, to }: { readonly from: string; readonly to: string }): void {
    const networks = this.#needs.get(from);
    if (networks === undefined) return;
    this.#needs.delete(from);
    this.#needs.set(to, networks);
  }

  forget(container: string): void {
    this.#retry(container);
    this.#needs.delete(container);
  }

  retryAll(): void {
    this.#failed.clear();
  }

  /** False: no network is needed, whatever the containers say. */
  setJoining(isJoining: boolean): void {
    this.#isJoining = isJoining;
    this.retryAll();
  }

  /** The step failed; it is not proposed again before something speaks for a new try. */
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

  /** A network that the container needs and that the proxy is still to join. */
  findMissing(container: string, place: OwnPlace): NetworkRef | undefined {
    if (!this.#isJoining || !place.canJoin) return undefined;
    const networks = this.#needs.get(container) ?? [];
    return networks.find(
      (network) => findOwnNetwork(place, network) === undefined && !this.#failed.has(keyOf(network)),
    );
  }

  /** What to do next: the networks of containers in `first`, then those of the others, then what nobody needs. */
  nextStep(place: OwnPlace, first: Iterable<string>): NetworkStep | undefined {
    if (!place.canJoin) return undefined;
    const vacated = place.networks.find(({ id }) => this.#vacated.has(id));
    if (vacated !== undefined) return { act: 'leave', network: vacated };
    for (const container of [...first, ...this.#needs.keys()]) {
      const network = this.findMissing(container, place);
      if (network !== undefined) return { act: 'join', network, container };
    }
    const needed = this.#isJoining ? [...this.#needs.values()].flat() : [];
    const idle = place.networks.find(
      (network) =>
        this.#joined.has(network.id) &&
        !this.#failed.has(keyOf(network)) &&
        !needed.some((other) => isSameNetwork(other, network)),
    );
    return idle && { act: 'leave', network: idle };
  }

  #retry(container: string): void {
    for (const network of this.#needs.get(container) ?? []) {
      this.#failed.delete(keyOf(network));
      this.#failed.delete(network.name);
    }
  }
}

function keyOf({ id, name }: NetworkRef): string {
  return id ?? name;
}
