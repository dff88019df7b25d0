import type { ClientUse, LeaseUser } from '../../model/running/client-use.ts';
import type { UdpPolicy } from '../../model/service.ts';
import type { AbortFan, FanMember } from '../../system/waiting/abort-fan.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { type Descriptors, shortageOf } from '../../system/descriptors.ts';
import type { Due, DueQueue } from '../../system/waiting/due-queue.ts';
import type { OwnListeners } from '../../system/net/own-listeners.ts';
import { formatEndpoint } from '../access/client-address.ts';
import type { FlowEnding } from '../end-log.ts';
import { DatagramQueue, type DropReason, dropReasonOf } from './datagram-queue.ts';
import type { DatagramRun } from './datagram-run.ts';
import type { FlowLease, UdpTarget } from './flow-lease.ts';
import type { NativeDatagrams } from '../native/datagrams/native-datagrams.ts';
import { offerDatagram } from './offer-datagram.ts';
import type { QueueBudget } from './udp-budget.ts';
import { connectUdp, type UdpUpstream, type UpstreamHandlers } from './udp-upstream.ts';

/**
 * How many kept datagrams are passed on at once, and how often; on top come as many as have arrived meanwhile. A server that
 * has just begun to listen may be slow at first, and the usual socket buffer of 208 KiB holds 277 small datagrams.
 */
const FLUSH = { maxCount: 16, maxBytes: 65_536, everyMs: 10 } as const;

/** A flow of one question and one answer ends after this silence: a resolver takes a new port for its next question. */
const EXCHANGED_TIMEOUT_MS = 10_000;

/** A workload with several addresses that was silent for so long gets the next datagram at another one. */
const ALTERNATE_AFTER_MS = 250;

const MAX_DATAGRAM_BYTES = 65_507;

/** One error for all flows: the stack of each error of its own would keep objects alive. */
const FLOW_ENDED = new Error('the flow ended');

/** What the flows of a listener share: one object for thousands of them. */
export interface FlowSetting {
  readonly policy: UdpPolicy;
  /** Silence after which a flow ends; less after one question and one answer. */
  readonly timeoutMs: number;
  /** What all flows of the listener may keep together. */
  readonly budget: QueueBudget;
  readonly clock: Clock;
  /** Ends flows that are silent for too long. */
  readonly dues: DueQueue;
  readonly datagrams?: NativeDatagrams | undefined;
  readonly descriptors?: Descriptors | undefined;
  readonly own?: OwnListeners | undefined;
  /** Whether bytes are counted. */
  readonly countsBytes?: boolean;
  readonly countDrop: (reason: DropReason, count: number) => void;
  /** Tells the flows when the run of their workload is over. */
  readonly runEnds: AbortFan;
}

/** What a flow has carried. */
export interface FlowTally {
  /** When it began, on the clock that never jumps. */
  readonly sinceMs: number;
  /** Where it was relayed to last. */
  upstream: string | undefined;
  /** Bytes of the client that were passed on or kept, and bytes of the answers. */
  bytesUp: number;
  bytesDown: number;
}

/** The owner of a flow, which is told of what happens to it. */
export interface FlowOwner {
  readonly lease: FlowLease;
  /** Sends a reply to the client. */
  reply(datagram: Buffer): void;
  /** Sends many. */
  replyRun(run: DatagramRun): void;
  /** Called when it has a socket. */
  onSocket?(): void;
  /** Called with every datagram that passes, and when the workload is ready. */
  onActive(): void;
  /** Called before the end of a flow that could be served, where its traffic is counted. */
  onFinished?(ending: FlowEnding, tally: FlowTally): void;
  /** Called once, when the flow has ended; `error` where it could not be served. */
  onEnd(error?: unknown): void;
}

/** The datagrams of one client on one listener: kept in order while the workload wakes, then passed on. */
export class UdpFlow implements Due, FanMember, ClientUse, LeaseUser {
  readonly #setting: FlowSetting;
  readonly #owner: FlowOwner;
  readonly #queue: DatagramQueue;
  #hasEnded = false;
  #upstream: UdpUpstream | undefined;
  /** Aborts when the run that the upstream belongs to is over. */
  #runEnd: AbortSignal | undefined;
  /** Set while the flow waits for an upstream; aborting it ends the wait. */
  #opening: AbortController | undefined;
  /** The target that the flow sends to, until it answers; and since when it has been silent. */
  #silentTarget: UdpTarget | undefined;
  #silentSinceMs: number | undefined;
  /** The kept datagram that is being sent right now. */
  #flushed: Buffer | undefined;
  /** What was added to the queue since the last flush. */
  #arrivedCount = 0;
  #arrivedBytes = 0;
  #lastActiveMs: number;
  /** Datagrams from the client, and datagrams from the workload. */
  #questions = 0;
  #answers = 0;
  /** The flow's place in `FlowSetting.dues`. */
  dueMs = 0;
  duePlace = -1;
  #cancelFlush: Cancel | undefined;
  readonly #tally: FlowTally | undefined;

  constructor(setting: FlowSetting, owner: FlowOwner) {
    this.#setting = setting;
    this.#owner = owner;
    this.#queue = new DatagramQueue(setting.policy, setting.budget);
    this.#lastActiveMs = setting.clock.monotonicMs();
    if (setting.countsBytes === true)
      this.#tally = { sinceMs: this.#lastActiveMs, upstream: undefined, bytesUp: 0, bytesDown: 0 };
  }

  /** Takes a datagram of the client. */
  receive(datagram: Buffer): void {
    if (this.#hasEnded) return;
    this.#leaveSilence();
    if (this.#upstream !== undefined && this.#queue.size === 0) {
      this.#touchBy(1, 0);
      if (this.#tally !== undefined) this.#tally.bytesUp += datagram.length;
      return this.#upstream.send(datagram);
    }
    const limit = this.#queue.push(datagram, this.#setting.clock.monotonicMs());
    if (limit !== undefined) return this.#drop(limit);
    this.#touchBy(1, 0);
    if (this.#tally !== undefined) this.#tally.bytesUp += datagram.length;
    this.#arrivedCount++;
    this.#arrivedBytes += datagram.length;
    if (this.#upstream === undefined && this.#opening === undefined) void this.#open();
  }

  /** Takes many datagrams of the client. Copies only those that have to be kept. */
  receiveRun(run: DatagramRun): void {
    this.#leaveSilence();
    if (this.#upstream === undefined || this.#queue.size > 0) {
      for (let index = 0; index < run.size; index++) {
        // A datagram that will be dropped is not copied first.
        const limit = this.#queue.findLimit(run.lengthOf(index));
        if (limit === undefined) this.receive(run.copy(index));
        else this.#drop(limit);
      }
      return;
    }
    this.#touchBy(run.size, 0);
    if (this.#tally !== undefined) this.#tally.bytesUp += bytesOf(run);
    this.#upstream.sendRun(run);
  }

  /** What it has carried so far, in bytes; undefined where they aren't counted. */
  get traffic(): Pick<FlowTally, 'bytesUp' | 'bytesDown'> | undefined {
    return this.#tally;
  }

  /** Where bytes aren't counted, as many as its datagrams may have at most. */
  get bytes(): number {
    const tally = this.#tally;
    if (tally !== undefined) return tally.bytesUp + tally.bytesDown;
    return (this.#questions + this.#answers) * MAX_DATAGRAM_BYTES;
  }

  quietMs(): number {
    return this.#setting.clock.monotonicMs() - this.#lastActiveMs;
  }

  closeIdle(bytes: number): void {
    if (this.bytes <= bytes && this.isIdle) this.end('silent');
  }

  listUses(): readonly ClientUse[] {
    return [this];
  }

  /** Datagrams that the client has sent. */
  get questions(): number {
    return this.#questions;
  }

  /** Datagrams that the workload has sent. */
  get answers(): number {
    return this.#answers;
  }

  /** Whether it has no way to the workload yet. */
  get isWaiting(): boolean {
    return this.#upstream === undefined;
  }

  /** Waits for nothing, and keeps nothing. */
  get isIdle(): boolean {
    return this.#opening === undefined && this.#queue.size === 0;
  }

  /** When the last datagram passed, or the workload became ready for the kept ones; on the monotonic clock. */
  get lastActiveMs(): number {
    return this.#lastActiveMs;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Ends the flow. Idempotent. */
  end(ending: FlowEnding, error?: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (error === undefined && this.#tally !== undefined) this.#owner.onFinished?.(ending, this.#tally);
    this.#opening?.abort(FLOW_ENDED);
    this.#setting.dues.delete(this);
    this.#leaveUpstream();
    this.#setting.countDrop(dropReasonOf(error), this.#queue.clear());
    this.#owner.lease.release(this.#lastActiveMs);
    this.#owner.onEnd(error);
  }

  #drop(limit: DropReason): void {
    this.#setting.countDrop(limit, 1);
    this.#touchBy(1, 0);
    // Without a kept datagram there is nothing to wake the workload for, or to prove its port with.
    if (this.#queue.size === 0 && this.#upstream === undefined && this.#opening === undefined)
      this.end('dropped');
  }

  async #open(): Promise<void> {
    const opening = new AbortController();
    this.#opening = opening;
    const { policy, datagrams, descriptors, own } = this.#setting;
    try {
      const { value: upstream, ended } = await this.#owner.lease.open({
        readiness: policy.readiness,
        prove: (targets, signal) => this.#prove(targets, signal),
        follow: (target) =>
          connectUdp(target, { handlers: this.#listenTo(target), datagrams, descriptors, own }).catch(
            (error: unknown) => this.#failToFollow(error),
          ),
        notAt: this.#silentTarget,
        signal: opening.signal,
      });
      this.#opening = undefined;
      this.#use(upstream, ended);
    } catch (error) {
      this.end('dropped', error);
    }
  }

  /** Without a socket, datagrams are dropped at once: kept ones would take room from the datagrams of all other flows. */
  #failToFollow(error: unknown): never {
    if (shortageOf(error) !== undefined) {
      this.#setting.countDrop('no-descriptors', this.#queue.clear());
      this.end('dropped');
    }
    throw error;
  }

  #prove(targets: readonly UdpTarget[], signal: AbortSignal): Promise<UdpUpstream> {
    const { policy, clock, datagrams, descriptors, own } = this.#setting;
    const { readiness } = policy;
    const handlersFor = (target: UdpTarget) => this.#listenTo(target);
    return offerDatagram(this.#queue, {
      ...{ readiness, clock, signal, targets, handlersFor, datagrams, descriptors },
      own,
    });
  }

  #listenTo(target: UdpTarget): UpstreamHandlers {
    if (this.#tally !== undefined) this.#tally.upstream = formatEndpoint(target.host, target.port);
    this.#silentTarget = target;
    this.#silentSinceMs = undefined;
    return new UdpFlow.#Ear(this, target);
  }

  /** A class instead of an object of closures, which would cost more memory: each flow has one. */
  static readonly #Ear = class implements UpstreamHandlers {
    readonly #flow: UdpFlow;
    readonly #target: UdpTarget;
    #hasHeard = false;

    constructor(flow: UdpFlow, target: UdpTarget) {
      this.#flow = flow;
      this.#target = target;
    }

    onOpened(): void {
      this.#flow.#owner.onSocket?.();
    }

    onReply(datagram: Buffer): void {
      this.#hear(1);
      const tally = this.#flow.#tally;
      if (tally !== undefined) tally.bytesDown += datagram.length;
      this.#flow.#owner.reply(datagram);
    }

    onReplies(run: DatagramRun): void {
      this.#hear(run.size);
      const tally = this.#flow.#tally;
      if (tally !== undefined) tally.bytesDown += bytesOf(run);
      this.#flow.#owner.replyRun(run);
    }

    onRefused(): void {
      this.#flow.#refused();
    }

    onUnsent(datagram: Buffer): void {
      this.#flow.#takeBack(datagram);
    }

    onUnsendable(): void {
      this.#flow.#setting.countDrop('unsendable', 1);
    }

    #hear(count: number): void {
      this.#flow.#touchBy(0, count);
      if (this.#hasHeard) return;
      this.#hasHeard = true;
      this.#flow.#silentTarget = undefined;
      this.#flow.#owner.lease.answered(this.#target);
    }
  };

  #takeBack(datagram: Buffer): void {
    // It is older than everything in the queue.
    if (datagram === this.#flushed) return this.#queue.putBack(datagram, this.#lastActiveMs);
    this.#questions--;
    if (this.#tally !== undefined) this.#tally.bytesUp -= datagram.length;
    this.receive(datagram);
  }

  #use(upstream: UdpUpstream, ended: AbortSignal): void {
    if (this.#hasEnded) return upstream.close();
    this.#upstream = upstream;
    this.#clearArrived();
    this.#runEnd = ended;
    this.#setting.runEnds.add(ended, this);
    if (ended.aborted) this.#leaveUpstream();
    // The flow's silence counts from now, however long the start took: answers to what is sent now are still to come.
    this.#touchBy(0, 0);
    this.#silentSinceMs = this.#lastActiveMs;
    this.#flush();
    this.onDue();
  }

  /** Passes on what was kept, at a pace at which the upstream's socket buffer doesn't overflow. */
  #flush(): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    const { clock } = this.#setting;
    this.#cancelFlush = undefined;
    const maxCount = FLUSH.maxCount + this.#arrivedCount;
    const maxBytes = FLUSH.maxBytes + this.#arrivedBytes;
    this.#clearArrived();
    let [count, bytes] = [0, 0];
    // Sending may bring a refusal, which closes the upstream.
    while (this.#upstream === upstream && this.#queue.size > 0 && count < maxCount && bytes < maxBytes) {
      const { datagrams, expired } = this.#queue.take(clock.monotonicMs(), { maxCount: 1, maxBytes });
      this.#setting.countDrop('queue-age', expired);
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

  /** The run of the upstream is over. */
  onAborted(): void {
    this.#leaveUpstream();
  }

  #leaveUpstream(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    if (this.#runEnd !== undefined) this.#setting.runEnds.delete(this.#runEnd, this);
    this.#runEnd = undefined;
    this.#upstream?.close();
    this.#upstream = undefined;
    // Datagrams that are still kept go to the next run.
    if (this.#queue.size > 0 && this.#opening === undefined && !this.#hasEnded) void this.#open();
  }

  /** Before a datagram is passed on: leaves an address that has been silent, where another one of the workload may answer. */
  #leaveSilence(): void {
    const silent = this.#silentTarget;
    if (silent === undefined || this.#silentSinceMs === undefined || this.#upstream === undefined) return;
    const silentMs = this.#setting.clock.monotonicMs() - this.#silentSinceMs;
    if (silentMs >= ALTERNATE_AFTER_MS && this.#owner.lease.mayAnswerElsewhere(silent)) this.#leaveUpstream();
  }

  #refused(): void {
    this.#setting.countDrop('refused', 1);
    if (this.#setting.policy.readiness !== 'open') return;
    // In this mode a refused datagram may be sent again. The next one has to prove the port before the others follow.
    this.#owner.lease.doubt();
    this.#leaveUpstream();
  }

  #touchBy(questions: number, answers: number): void {
    this.#lastActiveMs = this.#setting.clock.monotonicMs();
    this.#questions += questions;
    this.#answers += answers;
    if (this.#upstream !== undefined) this.#owner.onActive();
  }

  #clearArrived(): void {
    this.#arrivedCount = 0;
    this.#arrivedBytes = 0;
  }

  /** Ends the flow if it has been silent for long enough; otherwise comes back when it may have been. */
  onDue(): void {
    // A start has a time limit of its own, and `#use` calls this again.
    if (this.#opening !== undefined || this.#hasEnded) return;
    const { clock, timeoutMs, dues } = this.#setting;
    const [questions, answers] = [this.#questions, this.#answers];
    const shortMs = Math.min(EXCHANGED_TIMEOUT_MS, timeoutMs);
    const silentMs = clock.monotonicMs() - this.#lastActiveMs;
    const leftMs = (questions === 1 && answers === 1 ? shortMs : timeoutMs) - silentMs;
    if (leftMs <= 0) return this.end('silent');
    // The one answer that makes the time limit shorter may still come.
    const mayBeShort = questions <= 1 && answers <= 1 && silentMs < shortMs;
    dues.set(this, mayBeShort ? shortMs - silentMs : leftMs);
  }
}

function bytesOf(run: DatagramRun): number {
  let bytes = 0;
  for (let index = 0; index < run.size; index++) bytes += run.lengthOf(index);
  return bytes;
}
