import type { UdpPolicy } from '../../model/service.ts';
import type { Clock } from '../../system/clock.ts';
import { type Descriptors, shortageOf } from '../../system/descriptors.ts';
import type { OwnListeners } from '../../system/net/own-listeners.ts';
import type { DatagramQueue } from './datagram-queue.ts';
import type { UdpTarget } from './flow-lease.ts';
import type { NativeDatagrams } from '../native/datagrams/native-datagrams.ts';
import { connectUdp, type UdpUpstream, type UpstreamHandlers } from './udp-upstream.ts';

/** A datagram without an answer is offered again after so long (lazy-tcp-proxy does the same). */
const OFFER_INTERVAL_MS = 500;

/** A port that refuses says so well within this time on the networks of one machine. */
const REFUSAL_WINDOW_MS = 50;

/**
 * Proves with the first datagram of a queue that a workload's port takes datagrams, and takes that datagram out.
 * `reply`: it is sent again and again until the upstream answers. Of several targets, each gets it in turn, and the first
 * that answers is chosen. `open`: it is sent once, and proves the port if it isn't refused.
 * @returns the connected upstream.
 * @throws when the port refuses, so that the datagram may be offered again; the signal's reason when it aborts.
 */
export async function offerDatagram(queue: DatagramQueue, options: OfferOptions): Promise<UdpUpstream> {
  const { clock, signal } = options;
  const isReply = options.readiness === 'reply';
  let pause = new AbortController();
  const endPause = () => pause.abort(new Error('settled'));
  const offers = options.targets.map((target) => new Offer(target, options, endPause));
  signal.addEventListener('abort', endPause, { once: true });
  let offered: Buffer | undefined;
  let chosen: Offer | undefined;
  try {
    for (let turn = 0; chosen === undefined; turn++) {
      const offer = offers[turn % offers.length];
      if (offer === undefined) throw new Error('the workload has no address');
      pause = new AbortController();
      await offer.connect({ isAlone: offers.length === 1 });
      signal.throwIfAborted();
      offered = queue.peek();
      if (offered !== undefined) offer.send(offered);
      if (offer.isOpen)
        await clock.sleep(isReply ? OFFER_INTERVAL_MS : REFUSAL_WINDOW_MS, pause.signal).catch(() => {});
      // An answer may have arrived already, although its event has not been dealt with.
      for (const each of offers) each.look();
      if (offers.every(({ isRefused }) => isRefused))
        throw new Error(`port ${offer.target.port} refuses datagrams`);
      chosen = isReply ? offers.find(({ hasAnswered }) => hasAnswered) : offer;
      signal.throwIfAborted();
    }
    return chosen.use();
  } finally {
    signal.removeEventListener('abort', endPause);
    // A datagram that may have arrived is never sent again, not even to the next run.
    const mayHaveArrived = offers.some(
      ({ hasAnswered, isRefused }) => hasAnswered || (!isReply && !isRefused),
    );
    if (mayHaveArrived && offered !== undefined && queue.peek() === offered) queue.shift();
    for (const offer of offers) offer.closeUnused();
  }
}

interface OfferOptions {
  readonly readiness: UdpPolicy['readiness'];
  /** At least one; nobody knows yet which of them answers. */
  readonly targets: readonly UdpTarget[];
  /** Makes the handlers for what comes from a target. */
  readonly handlersFor: (target: UdpTarget) => UpstreamHandlers;
  readonly datagrams?: NativeDatagrams | undefined;
  readonly descriptors?: Descriptors | undefined;
  readonly own?: OwnListeners | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** One target that is offered the datagram. */
class Offer {
  readonly target: UdpTarget;
  readonly #options: OfferOptions;
  readonly #onSettled: () => void;
  #upstream: UdpUpstream | undefined;
  #state: 'offering' | 'used' | 'over' = 'offering';
  hasAnswered = false;
  /** The last news of it is a refusal. */
  isRefused = false;

  constructor(target: UdpTarget, options: OfferOptions, onSettled: () => void) {
    this.target = target;
    this.#options = options;
    this.#onSettled = onSettled;
  }

  /** Whether it is connected, and has not refused the last datagram. */
  get isOpen(): boolean {
    return this.#upstream !== undefined && !this.isRefused;
  }

  /** @throws where it can't be reached and is the only target, or where the proxy has no socket left. */
  async connect({ isAlone }: { readonly isAlone: boolean }): Promise<void> {
    if (this.#upstream !== undefined) return;
    const { datagrams, descriptors, own, handlersFor } = this.#options;
    const handlers = this.#watch(handlersFor(this.target));
    try {
      this.#upstream = await connectUdp(this.target, { handlers, datagrams, descriptors, own });
    } catch (error) {
      // Where the proxy has no socket, that says nothing about the port.
      if (isAlone || shortageOf(error) !== undefined) throw error;
      this.isRefused = true;
    }
  }

  send(datagram: Buffer): void {
    if (this.#upstream === undefined) return;
    this.isRefused = false;
    this.#upstream.send(datagram);
  }

  look(): void {
    this.#upstream?.look();
  }

  use(): UdpUpstream {
    if (this.#upstream === undefined) throw new Error('an upstream answered that was never connected');
    this.#state = 'used';
    return this.#upstream;
  }

  closeUnused(): void {
    if (this.#state === 'used') return;
    this.#state = 'over';
    this.#upstream?.close();
  }

  /** Wraps the flow's handlers: until the port is proved, a refusal concerns the offer and not the flow. */
  #watch(handlers: UpstreamHandlers): UpstreamHandlers {
    const answered = () => {
      this.hasAnswered = true;
      this.#onSettled();
    };
    return {
      onReply: (datagram) => {
        answered();
        handlers.onReply(datagram);
      },
      onReplies: (run) => {
        answered();
        handlers.onReplies(run);
      },
      onRefused: () => {
        if (this.#state === 'used') return handlers.onRefused();
        this.isRefused = true;
        this.#onSettled();
      },
      onUnsent: (datagram) => {
        if (this.#state === 'used') handlers.onUnsent(datagram);
      },
      onUnsendable: () => handlers.onUnsendable(),
    };
  }
}
