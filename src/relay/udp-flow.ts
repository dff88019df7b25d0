import type { UdpPolicy } from '../model/service.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import { DatagramQueue, type DropReason } from './datagram-queue.ts';
import type { DatagramRun } from './datagram-run.ts';
import type { FlowLease, UdpTarget } from './flow-lease.ts';
import type { NativeDatagrams } from './native/native-datagrams.ts';
import { offerDatagram } from './offer-datagram.ts';
import { UdpUpstream, type UpstreamHandlers } from './udp-upstream.ts';

/**
 * How much of what was kept is passed on at once, and how often, beside as much as has come meanwhile: a server that has
 * just begun to listen may be held up for a while, and the usual socket buffer of 208 KiB holds 277 small datagrams.
 */
const FLUSH = { maxCount: 16, maxBytes: 65_536, everyMs: 10 } as const;

export interface FlowOptions {
  readonly policy: UdpPolicy;
  readonly idleTimeoutMs: number;
  readonly lease: FlowLease;
  readonly clock: Clock;
  /** Sends a reply to the client. */
  readonly reply: (datagram: Buffer) => void;
  /** Sends many. */
  readonly replyRun: (run: DatagramRun) => void;
  readonly datagrams?: NativeDatagrams | undefined;
  readonly countDrop: (reason: DropReason, count: number) => void;
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
  /** What was put behind the rest since the last flush. */
  #arrived = { count: 0, bytes: 0 };
  #lastActiveMs: number;
  #cancelIdle: Cancel | undefined;
  #cancelFlush: Cancel | undefined;

  constructor(options: FlowOptions) {
    this.#options = options;
    this.#queue = new DatagramQueue(options.policy);
    this.#lastActiveMs = options.clock.monotonicMs();
  }

  /** Takes a datagram of the client. */
  receive(datagram: Buffer): void {
    if (this.#ending.signal.aborted) return;
    const nowMs = this.#touch();
    if (this.#upstream !== undefined && this.#queue.size === 0) return this.#upstream.send(datagram);
    const dropped = this.#queue.push(datagram, nowMs);
    if (dropped !== undefined) this.#options.countDrop(dropped, 1);
    this.#arrived.count++;
    this.#arrived.bytes += datagram.length;
    if (this.#upstream === undefined && !this.#opening) void this.#open();
  }

  /** Takes many, as `receive` does, but for what it copies of them. */
  receiveRun(run: DatagramRun): void {
    if (this.#upstream === undefined || this.#queue.size > 0) {
      for (let index = 0; index < run.size; index++) this.receive(run.copy(index));
      return;
    }
    this.#touch();
    this.#upstream.sendRun(run);
  }

  get hasEnded(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Ends the flow. Idempotent. */
  end(error?: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(new Error('the flow ended'));
    this.#cancelIdle?.();
    this.#leaveUpstream();
    this.#options.countDrop('not-ready', this.#queue.clear());
    this.#options.lease.release(this.#lastActiveMs);
    this.#options.onEnd(error);
  }

  async #open(): Promise<void> {
    this.#opening = true;
    const { datagrams } = this.#options;
    try {
      const { value: upstream, ended } = await this.#options.lease.open({
        readiness: this.#options.policy.readiness,
        prove: (target, signal) => this.#prove(target, signal),
        follow: (target) => UdpUpstream.connect(target, { handlers: this.#handlers(), datagrams }),
        signal: this.#ending.signal,
      });
      this.#opening = false;
      this.#use(upstream, ended);
    } catch (error) {
      this.end(error);
    }
  }

  #prove(target: UdpTarget, signal: AbortSignal): Promise<UdpUpstream> {
    const { policy, clock, datagrams } = this.#options;
    const { readiness } = policy;
    const handlers = this.#handlers();
    return offerDatagram(this.#queue, { readiness, clock, signal, target, handlers, datagrams });
  }

  #handlers(): UpstreamHandlers {
    return {
      onReply: (datagram) => {
        this.#touch();
        this.#options.reply(datagram);
      },
      onReplies: (run) => {
        this.#touch();
        this.#options.replyRun(run);
      },
      onRefused: () => this.#refused(),
      onUnsent: (datagram) => this.receive(datagram),
      onUnsendable: () => this.#options.countDrop('unsendable', 1),
    };
  }

  #use(upstream: UdpUpstream, ended: AbortSignal): void {
    if (this.#ending.signal.aborted) return upstream.close();
    this.#upstream = upstream;
    this.#arrived = { count: 0, bytes: 0 };
    const leave = () => this.#leaveUpstream();
    ended.addEventListener('abort', leave, { once: true });
    this.#unlink = () => ended.removeEventListener('abort', leave);
    if (ended.aborted) leave();
    // However long the start took, the answers to what is passed on now are waited for.
    this.#touch();
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
    const { datagrams, expired } = this.#queue.take(clock.monotonicMs(), { maxCount, maxBytes });
    this.#options.countDrop('queue-age', expired);
    for (const datagram of datagrams) upstream.send(datagram);
    if (this.#queue.size > 0) this.#cancelFlush = clock.schedule(FLUSH.everyMs, () => this.#flush());
  }

  #leaveUpstream(): void {
    this.#cancelFlush?.();
    this.#unlink?.();
    this.#upstream?.close();
    this.#upstream = undefined;
    // What is still kept goes to the next run.
    if (this.#queue.size > 0 && !this.#opening && !this.#ending.signal.aborted) void this.#open();
  }

  #refused(): void {
    this.#options.countDrop('refused', 1);
    if (this.#options.policy.readiness !== 'open') return;
    // In this mode a refused datagram may be sent again, so the next one asks before the others follow.
    this.#options.lease.doubt();
    this.#leaveUpstream();
  }

  #touch(): number {
    this.#lastActiveMs = this.#options.clock.monotonicMs();
    return this.#lastActiveMs;
  }

  /** One timer that runs to the end of the idle time as it is when it fires: datagrams only note the time. */
  #watchIdle(): void {
    this.#cancelIdle?.();
    // The start has its own limit, and this is called again after it.
    if (this.#opening) return;
    const { clock, idleTimeoutMs } = this.#options;
    const leftMs = this.#lastActiveMs + idleTimeoutMs - clock.monotonicMs();
    if (leftMs <= 0) return this.end();
    this.#cancelIdle = clock.schedule(leftMs, () => this.#watchIdle());
  }
}
