import type { UdpPolicy } from '../../model/service.ts';
import type { AbortFan } from '../../system/abort-fan.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import type { Descriptors } from '../../system/descriptors.ts';
import type { OwnListeners } from '../../system/net/own-listeners.ts';
import { DatagramQueue, type DropReason } from './datagram-queue.ts';
import type { DatagramRun } from './datagram-run.ts';
import type { FlowLease, UdpTarget } from './flow-lease.ts';
import type { NativeDatagrams } from '../native/datagrams/native-datagrams.ts';
import { offerDatagram } from './offer-datagram.ts';
import type { QueueBudget } from './udp-budget.ts';
import { connectUdp, type UdpUpstream, type UpstreamHandlers } from './udp-upstream.ts';

/**
 * How much of what was kept is passed on at once, and how often, beside as much as has come meanwhile: a server that has
 * just begun to listen may be held up for a while, and the usual socket buffer of 208 KiB holds 277 small datagrams.
 */
const FLUSH = { maxCount: 16, maxBytes: 65_536, everyMs: 10 } as const;

/** After one question and one answer more of either is unlikely: a resolver takes a new port for the next one. */
const EXCHANGED_TIMEOUT_MS = 10_000;

/** A workload with several addresses that was silent for so long gets the next datagram at another one. */
const ALTERNATE_AFTER_MS = 250;

/** One for all: the stack of each would hold on to what was there when it was made. */
const FLOW_ENDED = new Error('the flow ended');

export interface FlowOptions {
  readonly policy: UdpPolicy;
  /** Silence after which it ends; less after one question and one answer. */
  readonly timeoutMs: number;
  /** What all flows of the listener may keep together. */
  readonly budget: QueueBudget;
  readonly lease: FlowLease;
  readonly clock: Clock;
  /** Sends a reply to the client. */
  readonly reply: (datagram: Buffer) => void;
  /** Sends many. */
  readonly replyRun: (run: DatagramRun) => void;
  readonly datagrams?: NativeDatagrams | undefined;
  readonly descriptors?: Descriptors | undefined;
  /** Called when it has a socket. */
  readonly onSocket?: (() => void) | undefined;
  readonly own?: OwnListeners | undefined;
  readonly countDrop: (reason: DropReason, count: number) => void;
  /** Tells the flows of the ends of their workload's runs. */
  readonly runEnds: AbortFan;
  /** Called with every datagram that passes, and when the workload is ready. */
  readonly onActive: () => void;
  /** Called once, when the flow has ended; `error` where it could not be served. */
  readonly onEnd: (error?: unknown) => void;
}

/** The datagrams of one client on one listener: kept in order while the workload wakes, then passed on. */
export class UdpFlow {
  readonly #options: FlowOptions;
  readonly #queue: DatagramQueue;
  readonly #ending = new AbortController();
  #upstream: UdpUpstream | undefined;
  /** Listens no longer for the end of the upstream's run. */
  #unlink: (() => void) | undefined;
  #opening = false;
  /** Where nothing has answered yet, and since when that is so. */
  #silentTarget: UdpTarget | undefined;
  #silentSinceMs: number | undefined;
  /** What is being passed on of what was kept. */
  #flushed: Buffer | undefined;
  /** What was put behind the rest since the last flush. */
  #arrived = { count: 0, bytes: 0 };
  #lastActiveMs: number;
  /** Datagrams that came from the client, and from the workload. */
  readonly #came = { questions: 0, answers: 0 };
  #cancelIdle: Cancel | undefined;
  #cancelFlush: Cancel | undefined;

  constructor(options: FlowOptions) {
    this.#options = options;
    this.#queue = new DatagramQueue(options.policy, options.budget);
    this.#lastActiveMs = options.clock.monotonicMs();
  }

  /** Takes a datagram of the client. */
  receive(datagram: Buffer): void {
    if (this.#ending.signal.aborted) return;
    this.#leaveSilence();
    if (this.#upstream !== undefined && this.#queue.size === 0) {
      this.#touch('questions', 1);
      return this.#upstream.send(datagram);
    }
    const limit = this.#queue.push(datagram, this.#options.clock.monotonicMs());
    if (limit !== undefined) return this.#drop(limit);
    this.#touch('questions', 1);
    this.#arrived.count++;
    this.#arrived.bytes += datagram.length;
    if (this.#upstream === undefined && !this.#opening) void this.#open();
  }

  /** Takes many, as `receive` does, but for what it copies of them. */
  receiveRun(run: DatagramRun): void {
    this.#leaveSilence();
    if (this.#upstream === undefined || this.#queue.size > 0) {
      for (let index = 0; index < run.size; index++) {
        // What is dropped costs no memory, not even until it is collected.
        const limit = this.#queue.findLimit(run.lengthOf(index));
        if (limit === undefined) this.receive(run.copy(index));
        else this.#drop(limit);
      }
      return;
    }
    this.#touch('questions', run.size);
    this.#upstream.sendRun(run);
  }

  /** Waits for nothing, and keeps nothing. */
  get isIdle(): boolean {
    return !this.#opening && this.#queue.size === 0;
  }

  /** When the last datagram came, or the workload was ready for the first ones; by the monotonic clock. */
  get lastActiveMs(): number {
    return this.#lastActiveMs;
  }

  get hasEnded(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Ends the flow. Idempotent. */
  end(error?: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(FLOW_ENDED);
    this.#cancelIdle?.();
    this.#leaveUpstream();
    this.#options.countDrop('not-ready', this.#queue.clear());
    this.#options.lease.release(this.#lastActiveMs);
    this.#options.onEnd(error);
  }

  #drop(limit: DropReason): void {
    this.#options.countDrop(limit, 1);
    this.#touch('questions', 1);
    // Nothing is left that could wake the workload, or prove that its port takes datagrams.
    if (this.#queue.size === 0 && this.#upstream === undefined && !this.#opening) this.end();
  }

  async #open(): Promise<void> {
    this.#opening = true;
    const { datagrams, descriptors, own } = this.#options;
    try {
      const { value: upstream, ended } = await this.#options.lease.open({
        readiness: this.#options.policy.readiness,
        prove: (targets, signal) => this.#prove(targets, signal),
        follow: (target) =>
          connectUdp(target, { handlers: this.#handlersFor(target), datagrams, descriptors, own }),
        notAt: this.#silentTarget,
        signal: this.#ending.signal,
      });
      this.#opening = false;
      this.#use(upstream, ended);
    } catch (error) {
      this.end(error);
    }
  }

  #prove(targets: readonly UdpTarget[], signal: AbortSignal): Promise<UdpUpstream> {
    const { policy, clock, datagrams, descriptors, own } = this.#options;
    const { readiness } = policy;
    const handlersFor = (target: UdpTarget) => this.#handlersFor(target);
    return offerDatagram(this.#queue, {
      ...{ readiness, clock, signal, targets, handlersFor, datagrams, descriptors },
      own,
    });
  }

  #handlersFor(target: UdpTarget): UpstreamHandlers {
    let heard = false;
    this.#silentTarget = target;
    this.#silentSinceMs = undefined;
    const hear = (count: number) => {
      this.#touch('answers', count);
      if (heard) return;
      heard = true;
      this.#silentTarget = undefined;
      this.#options.lease.answered(target);
    };
    return {
      onOpened: () => this.#options.onSocket?.(),
      onReply: (datagram) => {
        hear(1);
        this.#options.reply(datagram);
      },
      onReplies: (run) => {
        hear(run.size);
        this.#options.replyRun(run);
      },
      onRefused: () => this.#refused(),
      onUnsent: (datagram) => {
        // What is kept came after it.
        if (datagram === this.#flushed) return this.#queue.putBack(datagram, this.#lastActiveMs);
        this.#came.questions--;
        this.receive(datagram);
      },
      onUnsendable: () => this.#options.countDrop('unsendable', 1),
    };
  }

  #use(upstream: UdpUpstream, ended: AbortSignal): void {
    if (this.#ending.signal.aborted) return upstream.close();
    this.#upstream = upstream;
    this.#arrived = { count: 0, bytes: 0 };
    const leave = () => this.#leaveUpstream();
    this.#unlink = this.#options.runEnds.add(ended, leave);
    if (ended.aborted) leave();
    // However long the start took, the answers to what is passed on now are waited for.
    this.#touch('answers', 0);
    this.#silentSinceMs = this.#lastActiveMs;
    this.#flush();
    this.#watchIdle();
  }

  /** Passes on what was kept, at a pace at which the upstream's socket buffer doesn't overflow. */
  #flush(): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    const { clock } = this.#options;
    const maxCount = FLUSH.maxCount + this.#arrived.count;
    const maxBytes = FLUSH.maxBytes + this.#arrived.bytes;
    this.#arrived = { count: 0, bytes: 0 };
    let [count, bytes] = [0, 0];
    // A refusal that is told meanwhile may end it.
    while (this.#upstream === upstream && this.#queue.size > 0 && count < maxCount && bytes < maxBytes) {
      const { datagrams, expired } = this.#queue.take(clock.monotonicMs(), { maxCount: 1, maxBytes });
      this.#options.countDrop('queue-age', expired);
      for (const datagram of datagrams) {
        count++;
        bytes += datagram.length;
        this.#flushed = datagram;
        upstream.send(datagram);
        this.#flushed = undefined;
      }
    }
    if (this.#upstream === upstream && this.#queue.size > 0)
      this.#cancelFlush = clock.schedule(FLUSH.everyMs, () => this.#flush());
  }

  #leaveUpstream(): void {
    this.#cancelFlush?.();
    this.#unlink?.();
    this.#upstream?.close();
    this.#upstream = undefined;
    // What is still kept goes to the next run.
    if (this.#queue.size > 0 && !this.#opening && !this.#ending.signal.aborted) void this.#open();
  }

  /** Before a datagram is passed on: leaves an address that doesn't answer for another one that may. */
  #leaveSilence(): void {
    const silent = this.#silentTarget;
    if (silent === undefined || this.#silentSinceMs === undefined || this.#upstream === undefined) return;
    const silentMs = this.#options.clock.monotonicMs() - this.#silentSinceMs;
    if (silentMs >= ALTERNATE_AFTER_MS && this.#options.lease.mayAnswerElsewhere(silent))
      this.#leaveUpstream();
  }

  #refused(): void {
    this.#options.countDrop('refused', 1);
    if (this.#options.policy.readiness !== 'open') return;
    // In this mode a refused datagram may be sent again, so the next one asks before the others follow.
    this.#options.lease.doubt();
    this.#leaveUpstream();
  }

  #touch(side: 'questions' | 'answers', count: number): void {
    this.#lastActiveMs = this.#options.clock.monotonicMs();
    this.#came[side] += count;
    if (this.#upstream !== undefined) this.#options.onActive();
  }

  /** One timer that runs to the end of the time as it is when it fires: datagrams only note theirs. */
  #watchIdle(): void {
    this.#cancelIdle?.();
    // The start has its own limit, and this is called again after it.
    if (this.#opening) return;
    const { clock, timeoutMs } = this.#options;
    const { questions, answers } = this.#came;
    const shortMs = Math.min(EXCHANGED_TIMEOUT_MS, timeoutMs);
    const silentMs = clock.monotonicMs() - this.#lastActiveMs;
    const leftMs = (questions === 1 && answers === 1 ? shortMs : timeoutMs) - silentMs;
    if (leftMs <= 0) return this.end();
    // The answer that makes the time shorter may be yet to come.
    const mayBeShort = questions <= 1 && answers <= 1 && silentMs < shortMs;
    this.#cancelIdle = clock.schedule(mayBeShort ? shortMs - silentMs : leftMs, () => this.#watchIdle());
  }
}
