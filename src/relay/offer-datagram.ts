import type { UdpPolicy } from '../model/service.ts';
import type { Clock } from '../system/clock.ts';
import type { DatagramQueue } from './datagram-queue.ts';
import type { UdpTarget } from './flow-lease.ts';
import type { NativeDatagrams } from './native/native-datagrams.ts';
import { UdpUpstream, type UpstreamHandlers } from './udp-upstream.ts';

/** A datagram without an answer is offered again after so long (lazy-tcp-proxy does the same). */
const OFFER_INTERVAL_MS = 500;

/** A port that refuses says so well within this time on the networks of one machine. */
const REFUSAL_WINDOW_MS = 50;

/**
 * Proves with the first datagram of a queue that a workload's port takes datagrams, and takes it from the queue.
 * `reply`: it is offered until the upstream answers. `open`: it is sent once, and proves the port if it isn't refused.
 * @returns the connected upstream.
 * @throws when the port refuses, so that the datagram may be offered again; the signal's reason when it aborts.
 */
export async function offerDatagram(queue: DatagramQueue, options: OfferOptions): Promise<UdpUpstream> {
  const { clock, signal, target } = options;
  const isReply = options.readiness === 'reply';
  const outcome = new AbortController();
  const settle = () => outcome.abort(new Error('settled'));
  const seen: Seen = { answer: false, refusal: false, proven: false };
  const upstream = await UdpUpstream.connect(target, {
    handlers: watch(options.handlers, { seen, settle }),
    datagrams: options.datagrams,
  });
  signal.addEventListener('abort', settle, { once: true });
  let offered: Buffer | undefined;
  try {
    do {
      signal.throwIfAborted();
      offered = queue.peek();
      if (offered !== undefined) upstream.send(offered);
      await clock.sleep(isReply ? OFFER_INTERVAL_MS : REFUSAL_WINDOW_MS, outcome.signal).catch(() => {});
      if (seen.refusal) throw new Error(`port ${target.port} refuses datagrams`);
    } while (isReply && !seen.answer);
    signal.throwIfAborted();
    seen.proven = true;
    return upstream;
  } catch (error) {
    upstream.close();
    throw error;
  } finally {
    signal.removeEventListener('abort', settle);
    // What may have arrived is not sent again, be it to the next run.
    const mayHaveArrived = seen.answer || (!isReply && !seen.refusal);
    if (mayHaveArrived && offered !== undefined && queue.peek() === offered) queue.shift();
  }
}

interface OfferOptions {
  readonly readiness: UdpPolicy['readiness'];
  readonly target: UdpTarget;
  readonly handlers: UpstreamHandlers;
  readonly datagrams?: NativeDatagrams | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

interface Seen {
  answer: boolean;
  refusal: boolean;
  proven: boolean;
}

/** Notes what comes while the datagram is offered; a refusal is the flow's business only after that. */
function watch(
  handlers: UpstreamHandlers,
  { seen, settle }: { readonly seen: Seen; readonly settle: () => void },
): UpstreamHandlers {
  return {
    onReply: (datagram) => {
      seen.answer = true;
      settle();
      handlers.onReply(datagram);
    },
    onReplies: (run) => {
      seen.answer = true;
      settle();
      handlers.onReplies(run);
    },
    onRefused: () => {
      if (seen.proven) return handlers.onRefused();
      seen.refusal = true;
      settle();
    },
    onUnsent: (datagram) => {
      if (seen.proven) handlers.onUnsent(datagram);
    },
    onUnsendable: () => handlers.onUnsendable(),
  };
}
