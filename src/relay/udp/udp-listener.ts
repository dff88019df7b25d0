import { addressGroup } from '../../model/address-group.ts';
import type { Endpoint } from '../../model/running/observation.ts';
import type { ListenerSpec, UdpPolicy } from '../../model/service.ts';
import { AbortFan } from '../../system/waiting/abort-fan.ts';
import type { Clock } from '../../system/clock.ts';
import { DueQueue } from '../../system/waiting/due-queue.ts';
import type { OwnListeners } from '../../system/net/own-listeners.ts';
import type { AccessList, AddressSet } from '../access/access-list.ts';
import type { Admission, Admitted, Bound, ServiceBounds } from '../access/admission.ts';
import { BatchClientIo } from './batch-client-io.ts';
import { formatEndpoint, plainAddress } from '../access/client-address.ts';
import { type ProxiedEnds, UNTRUSTED_PROXY, writeProxyHeader } from '../access/proxy-protocol.ts';
import { type ClientIo, type ClientLink, type DatagramTaker, SingleClientIo } from './client-io.ts';
import { type DropReason, dropReasonOf } from './datagram-queue.ts';
import type { DatagramRun } from './datagram-run.ts';
import type { FlowLease } from './flow-lease.ts';
import type { ClientAddress } from './flow-table.ts';
import type { EndLog, FlowEnding } from '../end-log.ts';
import type { Client, Listener, ListenerTotals, PresentClient, TrackClient } from '../listener.ts';
import type { NativeDatagrams } from '../native/datagrams/native-datagrams.ts';
import { HeadedFlow, ProxiedPeer } from './proxied-datagrams.ts';
import { FlowLimit, type FlowSeat, type ListenerBudget, type UdpBudget } from './udp-budget.ts';
import { type FlowOwner, type FlowSetting, type FlowTally, UdpFlow } from './udp-flow.ts';

/** The least flow timeout, in ms: with an idle timeout of 0 a flow would end before its answer came. */
const MIN_FLOW_IDLE_MS = 5_000;

/** Where a listener's new flows go; swapped without touching the socket. */
export interface UdpBinding {
  readonly access: AccessList;
  /** Whether each datagram to the upstream begins with a PROXY header of version 2; absent = not. */
  readonly tellsClient?: boolean;
  /** The proxies in front, each of whose datagrams has to begin with a PROXY header; absent = clients come by themselves. */
  readonly proxies?: Pick<AddressSet, 'includes'> | undefined;
  /** The service's own limits; absent = none. */
  readonly bounds?: ServiceBounds | undefined;
  readonly policy: UdpPolicy;
  readonly idleTimeoutMs: number;
  /** Whether somebody asks for the bytes of a flow; absent = not. */
  readonly countsBytes?: boolean;
  /** Takes a lease for a new flow. @throws where the client can't be served. */
  lease(client: Client): FlowLease;
  /** Is told of each client; absent without a webhook. */
  readonly track: TrackClient | undefined;
  /** Told of each client that the access list refused. */
  onRefused(client: Client): void;
  /** Told of each flow that could not be served. */
  onUnserved(client: Client, error: unknown): void;
}

type LoadDatagrams = () => Promise<NativeDatagrams | undefined>;

/** The parts of the listener that a flow needs at its end. */
interface ListenerParts {
  readonly flows: Set<LiveFlow>;
  readonly byAddress: Map<string, FlowLimit>;
  readonly endLog: EndLog | undefined;
  /** Datagrams of the flows that have ended. */
  readonly past: { up: number; down: number };
}

/** A flow with everything that it gives back at its end. It is the owner of its flow itself, which saves closures. */
class LiveFlow implements FlowOwner {
  readonly flow: UdpFlow;
  /** What the client's datagrams are handed to. */
  readonly taker: DatagramTaker;
  readonly client: Client;
  readonly lease: FlowLease;
  /** Since when it lives, in whole seconds of the monotonic clock: those take no object of their own. */
  readonly sinceS: number;
  readonly #binding: UdpBinding;
  readonly #parts: ListenerParts;
  readonly #link: ClientLink | undefined;
  readonly #admitted: Admitted | undefined;
  readonly #tracked: (() => void) | undefined;
  readonly #ofAddress: FlowLimit;
  readonly #seats: readonly FlowSeat[];
  #onSocket: (() => void) | undefined;

  constructor(options: {
    readonly client: Client;
    readonly binding: UdpBinding;
    readonly lease: FlowLease;
    readonly link: ClientLink | undefined;
    /** Put in front of each of its datagrams; undefined = nothing. */
    readonly header: Buffer | undefined;
    readonly admitted: Admitted | undefined;
    /** The flows of the client's address. */
    readonly ofAddress: FlowLimit;
    readonly limits: readonly FlowLimit[];
    /** To be called once it has its socket. */
    readonly onSocket: (() => void) | undefined;
    /** To be called at its end. */
    readonly tracked: (() => void) | undefined;
    readonly setting: FlowSetting;
    readonly parts: ListenerParts;
  }) {
    this.client = options.client;
    this.lease = options.lease;
    this.sinceS = secondsOf(options.setting.clock);
    this.#binding = options.binding;
    this.#parts = options.parts;
    this.#link = options.link;
    this.#admitted = options.admitted;
    this.#tracked = options.tracked;
    this.#ofAddress = options.ofAddress;
    this.#onSocket = options.onSocket;
    const flow = new UdpFlow(options.setting, this);
    this.flow = flow;
    this.lease.usedBy?.(flow);
    this.#seats = [...options.limits, options.ofAddress].map((limit) => limit.enter(flow));
    this.taker = options.header === undefined ? flow : new HeadedFlow(flow, options.header);
    this.#link?.receiveWith(this.taker);
  }

  reply(datagram: Buffer): void {
    this.#link?.reply(datagram);
  }

  replyRun(run: DatagramRun): void {
    this.#link?.replyRun(run);
  }

  onSocket(): void {
    this.#onSocket?.();
    this.#onSocket = undefined;
  }

  onActive(): void {
    for (const seat of this.#seats) seat.touch();
  }

  onFinished(ending: FlowEnding, { sinceMs, upstream, bytesUp, bytesDown }: FlowTally): void {
    const { endLog } = this.#parts;
    const service = this.#binding.bounds?.service;
    if (endLog === undefined || service === undefined) return;
    const durationMs = endLog.monotonicMs() - sinceMs;
    const who = { service, client: this.client.endpoint, upstream };
    endLog.tell('udp', { ...who, durationMs, bytesUp, bytesDown, ending });
  }

  onEnd(error?: unknown): void {
    for (const seat of this.#seats) seat.leave();
    if (this.#ofAddress.isEmpty) this.#parts.byAddress.delete(addressGroup(this.client.address));
    this.onSocket();
    if (this.#admitted?.kind === 'seat') this.#admitted.leave();
    if (this.#parts.flows.delete(this)) {
      this.#parts.past.up += this.flow.questions;
      this.#parts.past.down += this.flow.answers;
    }
    this.#link?.unlink();
    this.#tracked?.();
    if (error !== undefined) this.#binding.onUnserved(this.client, error);
  }
}

/** One bound UDP socket: a flow per client address, whose replies return to that client alone. */
export class UdpListener implements Listener<UdpBinding> {
  readonly spec: ListenerSpec;
  readonly #clock: Clock;
  readonly #onDrained: () => void;
  readonly #admission: Admission | undefined;
  readonly #own: OwnListeners | undefined;
  readonly #flows = new Set<LiveFlow>();
  readonly #dues: DueQueue;
  readonly #budget: ListenerBudget;
  readonly #runEnds = new AbortFan();
  /** The flows of each address. */
  readonly #byAddress = new Map<string, FlowLimit>();
  readonly #parts: ListenerParts;
  readonly #told = { up: 0, down: 0 };
  #accepted = 0;
  /** The setting of the present binding; undefined until a flow needs it. */
  #setting: FlowSetting | undefined;
  readonly #drops = new Map<DropReason, number>();
  readonly #loadDatagrams: LoadDatagrams;
  #datagrams: NativeDatagrams | undefined;
  #binding: UdpBinding;
  #io: ClientIo | undefined;
  #closing = false;

  constructor(options: {
    readonly spec: ListenerSpec;
    readonly binding: UdpBinding;
    readonly clock: Clock;
    /** What the flows of all listeners may take together. */
    readonly budget: UdpBudget;
    /** Logs each flow at its end; absent if the log doesn't show debug. */
    readonly endLog?: EndLog | undefined;
    /** Limits the sockets of flows; absent = no limit. */
    readonly admission?: Admission | undefined;
    /** The proxy's own listeners: datagrams from them are dropped, or two listeners might answer each other for ever. */
    readonly own?: OwnListeners | undefined;
    /**
     * The most flows at once. The flow that was idle longest makes room for a new one; if none is idle, the new client's
     * datagram is dropped.
     */
    readonly maxFlows?: number;
    /** Loads the calls that move many datagrams at once, if the machine has them; without them each is moved alone. */
    readonly loadDatagrams?: LoadDatagrams | undefined;
    /** Called when the listener is closed and its last flow has ended. */
    readonly onDrained: () => void;
  }) {
    this.spec = options.spec;
    this.#binding = options.binding;
    this.#clock = options.clock;
    this.#dues = new DueQueue(options.clock);
    this.#onDrained = options.onDrained;
    this.#admission = options.admission;
    this.#own = options.own;
    const past = { up: 0, down: 0 };
    this.#parts = { flows: this.#flows, byAddress: this.#byAddress, endLog: options.endLog, past };
    this.#loadDatagrams = options.loadDatagrams ?? (async () => undefined);
    this.#budget = options.budget.openListener(options.maxFlows);
  }

  /** Flows that live now. */
  get activeConnections(): number {
    return this.#flows.size;
  }

  get blocked(): number {
    return this.#drops.get('blocked') ?? 0;
  }

  readTotals(): ListenerTotals {
    let { up, down } = this.#parts.past;
    for (const { flow } of this.#flows) {
      up += flow.questions;
      down += flow.answers;
    }
    // A datagram that could not be sent is taken back, and counted when it is sent again.
    this.#told.up = Math.max(this.#told.up, up);
    this.#told.down = Math.max(this.#told.down, down);
    return { accepted: this.#accepted, ...this.#told, unserved: {} };
  }

  listClients(max: number): readonly PresentClient[] {
    const nowMs = this.#clock.nowMs();
    const nowS = secondsOf(this.#clock);
    const oldest: PresentClient[] = [];
    for (const { client, sinceS, flow } of this.#flows) {
      if (oldest.length === max) break;
      oldest.push({
        endpoint: client.endpoint,
        sinceMs: nowMs - (nowS - sinceS) * 1_000,
        isWaiting: flow.isWaiting,
      });
    }
    return oldest;
  }

  /** Datagrams that were dropped, by reason, since the listener was made. */
  get drops(): Readonly<Partial<Record<DropReason, number>>> {
    return Object.fromEntries(this.#drops);
  }

  async open(): Promise<void> {
    this.#datagrams = await this.#loadDatagrams();
    // The listener may have been closed while the calls were loading.
    if (this.#closing) return;
    const io = await this.#openIo();
    if (this.#closing) return io.close();
    this.#io = io;
  }

  /** Ends the flows of clients that the new access list refuses: a flow that is used would never end by itself. */
  rebind(binding: UdpBinding): void {
    // Who the client of a flow is was found out in another way, or the upstream would be told in another way.
    const isOther =
      (binding.proxies === undefined) !== (this.#binding.proxies === undefined) ||
      binding.tellsClient !== this.#binding.tellsClient;
    this.#binding = binding;
    this.#setting = undefined;
    if (isOther) this.cutClients();
    for (const { flow, client } of [...this.#flows])
      if (!binding.access.allows(client.address)) flow.end('blocked');
  }

  /** Takes no new client, and ends all flows: a flow that is used would never end by itself. Idempotent. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    for (const { flow } of [...this.#flows]) flow.end('unlistened');
    this.#io?.close();
    this.#onDrained();
  }

  cutClients(): void {
    for (const { flow } of [...this.#flows]) flow.end('cut');
  }

  destroy(): void {
    this.close();
  }

  async #openIo(): Promise<ClientIo> {
    const createFlow = (from: ClientAddress) => (this.#closing ? undefined : this.#createFlow(from));
    const datagrams = this.#datagrams;
    if (datagrams === undefined) return SingleClientIo.open(this.spec, createFlow);
    return new BatchClientIo(this.spec, { datagrams, createFlow });
  }

  #settingOf(binding: UdpBinding): FlowSetting {
    this.#setting ??= {
      policy: binding.policy,
      timeoutMs: flowTimeoutOf(binding),
      budget: this.#budget.queue,
      runEnds: this.#runEnds,
      clock: this.#clock,
      dues: this.#dues,
      datagrams: this.#datagrams,
      descriptors: this.#admission?.descriptors,
      own: this.#own,
      countsBytes:
        this.#parts.endLog !== undefined || binding.track !== undefined || binding.countsBytes === true,
      countDrop: (reason, count) => this.#countDrop(reason, count),
    };
    return this.#setting;
  }

  #createFlow(from: ClientAddress): DatagramTaker | undefined {
    const peer = describeClient(from.address, from.port);
    if (this.#binding.proxies !== undefined) return this.#createPeer(from, peer);
    return this.#openFlow(peer, { from });
  }

  /** Takes the datagrams of a proxy in front. */
  #createPeer(from: ClientAddress, peer: Client): DatagramTaker | undefined {
    const isTrusted = () => this.#binding.proxies?.includes(peer.address) === true;
    const onRefused = (why: 'untrusted' | 'malformed', reason?: string) => {
      this.#countDrop(why === 'untrusted' ? 'untrusted-proxy' : 'bad-proxy-header', 1);
      this.#binding.onUnserved(peer, why === 'untrusted' ? UNTRUSTED_PROXY : createHeaderRefusal(reason));
    };
    // Without a link, the next datagram asks again.
    if (!isTrusted()) return void onRefused('untrusted');
    const openFlow = (ends: ProxiedEnds | undefined, link: ClientLink) => {
      const client = ends === undefined ? peer : describeClient(ends.source.host, ends.source.port);
      return this.#openFlow(client, { from, link, destination: ends?.destination });
    };
    return new ProxiedPeer({ link: this.#io?.link(from), openFlow, isTrusted, onRefused });
  }

  /**
   * @param options.link default: that of the sender.
   * @param options.destination where the client has sent to, as the proxy in front says; undefined = here.
   */
  #openFlow(
    client: Client,
    {
      from,
      link,
      destination,
    }: {
      readonly from: ClientAddress;
      readonly link?: ClientLink;
      readonly destination?: Endpoint | undefined;
    },
  ): DatagramTaker | undefined {
    if (this.#closing) return undefined;
    const binding = this.#binding;
    const { address } = client;
    if (!binding.access.allows(address)) {
      this.#countDrop('blocked', 1);
      binding.onRefused(client);
      return undefined;
    }
    if (this.#isOwn({ host: plainAddress(from.address), port: from.port }, binding)) {
      this.#countDrop('own-listener', 1);
      return undefined;
    }
    const setting = this.#settingOf(binding);
    const nowMs = this.#clock.monotonicMs();
    if (!this.#budget.limits.every((limit) => limit.makeRoom(nowMs))) {
      this.#countDrop('too-many-flows', 1);
      this.#tellTooMany(client);
      return undefined;
    }
    const admitted = this.#admit(client, { binding, nowMs });
    if (admitted?.kind === 'refused') {
      this.#countDrop(admitted.bound, 1);
      admitted.tell();
      return undefined;
    }
    const lease = this.#takeLease(client, binding);
    if (lease === undefined) {
      admitted?.leave();
      return undefined;
    }
    const group = addressGroup(address);
    const ofAddress = this.#byAddress.get(group) ?? new FlowLimit(Number.POSITIVE_INFINITY);
    this.#byAddress.set(group, ofAddress);
    const live: LiveFlow = new LiveFlow({
      ...{ client, binding, lease, ofAddress, admitted },
      onSocket: this.#admission?.descriptors.expectOne(),
      tracked: binding.track?.(client, () => live.flow.traffic),
      link: link ?? this.#io?.link(from),
      header: binding.tellsClient
        ? this.#writeHeader(client, destination ?? this.#reachedBy(from))
        : undefined,
      limits: this.#budget.limits,
      setting,
      parts: this.#parts,
    });
    this.#accepted++;
    this.#flows.add(live);
    // The `track` callback may have closed the listener.
    if (this.#closing) live.flow.end('unlistened');
    return live.taker;
  }

  #writeHeader({ address: host, port }: Client, destination: Endpoint): Buffer {
    return writeProxyHeader('v2', { source: { host, port }, destination, protocol: 'udp' });
  }

  /** Where a sender has sent to, as far as that is known. */
  #reachedBy({ address, localAddress }: ClientAddress): Endpoint {
    const { address: own, port } = this.spec;
    const unknown = plainAddress(address).includes(':') ? '::' : '0.0.0.0';
    return { host: own === '' ? (localAddress ?? unknown) : own, port };
  }

  /** If a limit is met, ends the flow that was idle longest, of the service or of the address that has too many, and tries again. */
  #admit(
    client: Client,
    { binding, nowMs }: { readonly binding: UdpBinding; readonly nowMs: number },
  ): Admitted | undefined {
    const { bounds } = binding;
    if (this.#admission === undefined || bounds === undefined) return undefined;
    const { address, endpoint } = client;
    const applicant = { bounds, address, endpoint, kind: 'flow' } as const;
    const admitted = this.#admission.admit(applicant);
    if (admitted.kind === 'seat') return admitted;
    const flows = isOfAddress(admitted.bound)
      ? this.#byAddress.get(addressGroup(address))
      : this.#budget.limits[0];
    return flows?.endOldest(nowMs) ? this.#admission.admit(applicant) : admitted;
  }

  /** Whether the datagram comes from one of the proxy's own listeners, or is one that a flow of its own has sent and somebody sent back. */
  #isOwn(from: Endpoint, { bounds }: UdpBinding): boolean {
    if (this.#own === undefined) return false;
    if (this.#own.find('udp', from) !== undefined) return true;
    const { protocol, address, port } = this.spec;
    return this.#own.hasDatagramComeBack(from, { protocol, address, port, service: bounds?.service });
  }

  #tellTooMany({ endpoint }: Client): void {
    const { bounds } = this.#binding;
    if (bounds === undefined) return;
    const message = `the limit of UDP flows is reached (16,384 of one listener; 65,536 or half of the file descriptors in all), and none of them is idle: a datagram of ${endpoint} for ${bounds.service} was dropped`;
    this.#admission?.tell(bounds.service, { bound: 'too-many-flows', message });
  }

  #takeLease(client: Client, binding: UdpBinding): FlowLease | undefined {
    try {
      return binding.lease(client);
    } catch (error) {
      this.#countDrop(dropReasonOf(error), 1);
      binding.onUnserved(client, error);
      return undefined;
    }
  }

  #countDrop(reason: DropReason, count: number): void {
    if (count > 0) this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + count);
  }
}

function describeClient(from: string, port: number): Client {
  const address = plainAddress(from);
  return { address, port, endpoint: formatEndpoint(address, port) };
}

function createHeaderRefusal(reason = ''): Error {
  return Object.assign(new Error(`its PROXY header can't be read: ${reason}`), { code: 'bad-proxy-header' });
}

function secondsOf(clock: Pick<Clock, 'monotonicMs'>): number {
  return Math.floor(clock.monotonicMs() / 1_000);
}

function isOfAddress(bound: Bound): boolean {
  return bound === 'address-share' || bound === 'max-connections-per-address';
}

/** The flow timeout, at most the idle timeout of the service: a flow that is silent for longer must not keep it awake. */
function flowTimeoutOf({ policy, idleTimeoutMs }: UdpBinding): number {
  return idleTimeoutMs === 0 ? MIN_FLOW_IDLE_MS : Math.min(policy.flowTimeoutMs, idleTimeoutMs);
}
