/**
 * The networks that the proxy's own container is on. Input: the networks that watched workloads need. Output: the
 * proxy is on them as long as somebody needs them, and on no other that it joined itself. Guarantees: one operation at a
 * time; a failure is a warning, tried again when the workload it is for is looked at again.
 */
import { type WorkloadRef, workloadRefKey } from '../../../model/workload.ts';
import { abortable } from '../../../system/waiting/abortable.ts';
import type { Clock } from '../../../system/clock.ts';
import { withDeadline } from '../../../system/waiting/deadline.ts';
import type { Logger } from '../../../system/log/logger.ts';
import { describeError } from '../../../system/message-of.ts';
import type { EngineClient } from '../engine-client.ts';
import type { InspectedContainer } from '../engine-shapes.ts';
import { silence } from '../errors.ts';
import type { EngineEvent } from '../event-stream.ts';
import type { NetworkRef } from './needed-networks.ts';
import { NetworkLedger, type NetworkStep } from './network-ledger.ts';
import { logNetworkStep, takeNetworkStep } from './network-step.ts';
import { findCommonAddress, listConfiguredAddresses } from './own-address.ts';
import { findOwnNetwork, OUTSIDE, type OwnPlace, type OwnPlaceReader } from './own-place.ts';

export interface NetworkMembershipOptions {
  readonly client: EngineClient;
  readonly place: OwnPlaceReader;
  readonly clock: Clock;
  readonly logger: Logger;
  /** False: nothing is joined, and what was joined is left. */
  readonly joinNetworks: boolean;
}

/** For reading the proxy's own networks, for which a wake may have to wait. */
const READ_TIMEOUT_MS = 5_000;

/** For leaving the networks at shutdown. The next start leaves those that remain. */
const CLOSE_TIMEOUT_MS = 3_000;

/** Whoever makes it closes it, before the client. */
export class NetworkMembership {
  readonly #options: NetworkMembershipOptions;
  readonly #ledger: NetworkLedger;
  /** How many wait for the networks of a workload, by the workload's key. */
  readonly #awaited = new Map<string, number>();
  readonly #waiters = new Set<() => void>();
  #session: AbortSignal | undefined;
  #place: OwnPlace | undefined;
  #isStale = true;
  #isBusy = false;
  #work: Promise<void> = Promise.resolve();
  #isClosing = false;

  constructor(options: NetworkMembershipOptions) {
    this.#options = options;
    this.#ledger = new NetworkLedger(options.joinNetworks);
  }

  /** A connection to the engine stands: the proxy's own networks are read again. */
  begin(session: AbortSignal | undefined): void {
    this.#session = session;
    this.#place = undefined;
    this.#isStale = true;
    this.#ledger.retryAll();
    this.#options.place.forget();
    this.#touch();
  }

  /** Somebody else may have put the proxy on a network, or taken it off. */
  applyEvent(event: EngineEvent): void {
    const { containerId, networks = [] } = this.#place ?? {};
    if (event.type !== 'network' || containerId === undefined) return;
    if (event.attributes['container'] !== containerId) return;
    if (networks.some(({ id }) => id === event.id) === (event.action === 'connect')) return;
    this.#isStale = true;
    this.#touch();
  }

  /** A workload was looked at: it needs these networks. They are joined, and others left, soon. */
  need(workload: WorkloadRef, networks: readonly NetworkRef[]): void {
    if (this.#isClosing) return;
    this.#ledger.need(workload, networks);
    this.#touch();
  }

  /** A workload has another name, under which it needs the same. */
  rename(refs: { readonly from: WorkloadRef; readonly to: WorkloadRef }): void {
    this.#ledger.rename(refs);
  }

  /** A workload needs no network any more. */
  forget(workload: WorkloadRef): void {
    this.#ledger.forget(workload);
    this.#touch();
  }

  /** Another setting counts from now on, after a reload. */
  setJoinNetworks(joinNetworks: boolean): void {
    if (this.#isClosing) return;
    this.#ledger.setJoining(joinNetworks);
    this.#touch();
  }

  /**
   * Resolves with the proxy's place as soon as it is on the networks that `workload` needs, or can't be.
   * @throws the signal's reason.
   */
  async settle(workload: WorkloadRef, signal: AbortSignal): Promise<OwnPlace> {
    const key = workloadRefKey(workload);
    this.#awaited.set(key, (this.#awaited.get(key) ?? 0) + 1);
    try {
      for (;;) {
        const place = await this.whereabouts(signal);
        if (this.#ledger.findMissing(key, place) === undefined) return place;
        await this.#nextChange(signal);
      }
    } finally {
      const others = (this.#awaited.get(key) ?? 1) - 1;
      if (others > 0) this.#awaited.set(key, others);
      else this.#awaited.delete(key);
    }
  }

  async #nextChange(signal: AbortSignal): Promise<void> {
    let call = () => {};
    const called = new Promise<void>((resolve) => {
      call = resolve;
    });
    this.#waiters.add(call);
    try {
      await abortable(called, signal);
    } finally {
      this.#waiters.delete(call);
    }
  }

  /**
   * Moves the proxy to another address where it holds the one that a container has configured, on a network that the proxy
   * joined itself. Returns the address that was in the way, and whether it is free now; undefined where none was.
   * @throws the signal's reason.
   */
  async makeWay(
    container: InspectedContainer,
    signal: AbortSignal,
  ): Promise<{ readonly address: string; readonly network: string; readonly isGone: boolean } | undefined> {
    const place = await this.whereabouts(signal);
    for (const network of place.networks) {
      const address = findCommonAddress(network.addresses, listConfiguredAddresses(container, network));
      if (address === undefined || place.containerId === container.Id) continue;
      const found = { address, network: network.name };
      if (!network.isMarked || !place.canJoin) return { ...found, isGone: false };
      this.#ledger.vacate(network.id);
      this.#touch();
      while (this.#ledger.isVacating(network.id)) await this.#nextChange(signal);
      // The container that is to start needs this network, and waits until the proxy has joined it again.
      const name = container.Name?.replace(/^\//, '') ?? '';
      const now = findOwnNetwork(await this.settle({ kind: 'docker', name }, signal), network);
      return { ...found, isGone: now === undefined || !now.addresses.includes(address) };
    }
    return undefined;
  }

  /** Resolves with the proxy's place as soon as it is known. @throws the signal's reason. */
  async whereabouts(signal: AbortSignal): Promise<OwnPlace> {
    while (this.#place === undefined) await this.#nextChange(signal);
    return this.#place;
  }

  /**
   * Whether the proxy itself runs in a container. @param options.isAwaited false = by what is known now.
   * @throws the signal's reason.
   */
  async isOwn(
    id: string,
    { isAwaited, signal }: { readonly isAwaited: boolean; readonly signal: AbortSignal },
  ): Promise<boolean> {
    if (await this.#options.place.mayBeOwn(id)) return true;
    const place = isAwaited ? await this.whereabouts(signal) : this.#place;
    return place?.containerId === id;
  }

  /** Leaves what it joined, within a few seconds. Idempotent. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#ledger.setJoining(false);
    this.#touch();
    const options = { clock: this.#options.clock, timeoutMs: CLOSE_TIMEOUT_MS, expired: silence };
    await withDeadline((signal) => abortable(this.#work, signal), options).catch(() => {});
  }

  #touch(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#work = this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (this.#session !== undefined && !this.#session.aborted) {
        const session = this.#session;
        // The await always yields: a workload that is unwatched and watched again at once must not make the proxy leave.
        const place = await this.#readPlace(session);
        if (session !== this.#session) continue;
        const step = this.#ledger.nextStep(place, this.#awaited.keys());
        this.#tell();
        if (step === undefined) return;
        await this.#take(step, { place, session });
      }
    } finally {
      this.#isBusy = false;
      this.#tell();
    }
  }

  #tell(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }

  async #readPlace(session: AbortSignal): Promise<OwnPlace> {
    if (!this.#isStale && this.#place !== undefined) return this.#place;
    this.#isStale = false;
    try {
      const options = {
        ...{ clock: this.#options.clock, timeoutMs: READ_TIMEOUT_MS, parent: session },
        expired: silence,
      };
      const place = await withDeadline((signal) => this.#options.place.read(signal), options);
      for (const { id, isMarked } of place.networks) if (isMarked) this.#ledger.setJoined(id);
      if (session === this.#session) this.#place = place;
    } catch (error) {
      this.#isStale = true;
      if (session.aborted) return OUTSIDE;
      const message = `cannot read the proxy's own networks: ${describeError(error)}`;
      this.#options.logger.warn({ event: 'own-networks', err: error }, message);
    }
    this.#place ??= OUTSIDE;
    return this.#place;
  }

  async #take(
    step: NetworkStep,
    { place, session }: { readonly place: OwnPlace; readonly session: AbortSignal },
  ): Promise<void> {
    try {
      await this.#tryStep(step, { place, session });
    } finally {
      this.#ledger.setTried(step);
    }
  }

  async #tryStep(
    step: NetworkStep,
    { place, session }: { readonly place: OwnPlace; readonly session: AbortSignal },
  ): Promise<void> {
    const { client, logger } = this.#options;
    const containerId = place.containerId ?? '';
    const failure = await takeNetworkStep(step, { client, containerId, session });
    if (session.aborted) return;
    this.#isStale = true;
    const now = findOwnNetwork(await this.#readPlace(session), step.network);
    // Engines differ in what their answers mean and how they word them. So what counts is where the proxy is now.
    const isDone = (now === undefined) === (step.act === 'leave');
    if (!isDone) this.#ledger.setFailed(step);
    else if (now !== undefined && failure === undefined) this.#ledger.setJoined(now.id);
    logNetworkStep(step, { logger, isDone, failure });
  }
}
