import { addressGroup } from '../../model/address-group.ts';
import type { Endpoint } from '../../model/observation.ts';
import type { ListenerSpec, UdpPolicy } from '../../model/service.ts';
import { AbortFan } from '../../system/abort-fan.ts';
import type { Clock } from '../../system/clock.ts';
import type { OwnListeners } from '../../system/net/own-listeners.ts';
import type { AccessList } from '../access/access-list.ts';
import type { Admission, Admitted, Bound, ServiceBounds } from '../access/admission.ts';
import { BatchClientIo } from './batch-client-io.ts';
import { formatEndpoint, plainAddress } from '../access/client-address.ts';
import { type ClientIo, SingleClientIo } from './client-io.ts';
import type { DropReason } from './datagram-queue.ts';
import type { FlowLease } from './flow-lease.ts';
import { type ClientAddress, FlowTable } from './flow-table.ts';
import type { Client, Listener, TrackClient } from '../listener.ts';
import type { NativeDatagrams } from '../native/datagrams/native-datagrams.ts';
import { FlowLimit, type ListenerBudget, type UdpBudget } from './udp-budget.ts';
import { UdpFlow } from './udp-flow.ts';

/** With an idle timeout of 0 a flow would end before its answer came. */
const MIN_FLOW_IDLE_MS = 5_000;

/** Where a listener's new flows go; swapped without touching the socket. */
export interface UdpBinding {
  readonly access: AccessList;
  /** Absent = nobody counts. */
  readonly bounds?: ServiceBounds | undefined;
  readonly policy: UdpPolicy;
  readonly idleTimeoutMs: number;
  /** Takes a lease for a new flow. @throws where the client can't be served. */
  lease(client: Client): FlowLease;
  /** Absent where nobody wants to know. */
  readonly track: TrackClient | undefined;
  /** Told of each client that the access list refused. */
  onRefused(client: Client): void;
  /** Told of each flow that could not be served. */
  onUnserved(client: Client, error: unknown): void;
}

type LoadDatagrams = () => Promise<NativeDatagrams | undefined>;

interface LiveFlow {
  readonly flow: UdpFlow;
  readonly address: string;
}

/** One bound UDP socket: a flow per client address, whose replies return to that client alone. */
export class UdpListener implements Listener<UdpBinding> {
  readonly spec: ListenerSpec;
  readonly #clock: Clock;
  readonly #onDrained: () => void;
  readonly #admission: Admission | undefined;
  readonly #own: OwnListeners | undefined;
  readonly #flows = new FlowTable<LiveFlow>();
  readonly #budget: ListenerBudget;
  readonly #runEnds = new AbortFan();
  /** The flows of each address. */
  readonly #byAddress = new Map<string, FlowLimit>();
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
    /** Bounds the sockets of flows; absent = as many as are wanted. */
    readonly admission?: Admission | undefined;
    /** The proxy's own listeners: what comes from there is dropped, or two of them might answer each other for ever. */
    readonly own?: OwnListeners | undefined;
    /** Flows at once; the one that was idle for the longest time makes room, else what a further client sends is dropped. */
    readonly maxFlows?: number;
    /** What moves many datagrams at once, where the machine has it; without it each is moved alone. */
    readonly loadDatagrams?: LoadDatagrams | undefined;
    /** Called when the listener is closed and its last flow has ended. */
    readonly onDrained: () => void;
  }) {
    this.spec = options.spec;
    this.#binding = options.binding;
    this.#clock = options.clock;
    this.#onDrained = options.onDrained;
    this.#admission = options.admission;
    this.#own = options.own;
    this.#loadDatagrams = options.loadDatagrams ?? (async () => undefined);
    this.#budget = options.budget.openListener(options.maxFlows);
  }

  /** Flows that live now. */
  get activeConnections(): number {
    return this.#flows.size;
  }

  /** Datagrams that were dropped, by reason, since the listener was made. */
  get drops(): Readonly<Partial<Record<DropReason, number>>> {
    return Object.fromEntries(this.#drops);
  }

  async open(): Promise<void> {
    this.#datagrams = await this.#loadDatagrams();
    // Closed while the means were being prepared.
    if (this.#closing) return;
    const io = await this.#openIo();
    if (this.#closing) return io.close();
    this.#io = io;
  }

  /** A flow may live for ever, so that those whom the new access list refuses are ended. */
  rebind(binding: UdpBinding): void {
    this.#binding = binding;
    for (const { flow, address } of this.#flows.all()) if (!binding.access.allows(address)) flow.end();
  }

  /** Takes no new client; a flow has no end of its own, so those that live are ended too. Idempotent. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    for (const { flow } of this.#flows.all()) flow.end();
    this.#io?.close();
    this.#onDrained();
  }

  destroy(): void {
    this.close();
  }

  async #openIo(): Promise<ClientIo> {
    const findFlow = (from: ClientAddress) => (this.#closing ? undefined : this.#findFlow(from));
    const datagrams = this.#datagrams;
    if (datagrams === undefined) return SingleClientIo.open(this.spec, findFlow);
    return new BatchClientIo(this.spec, { datagrams, findFlow });
  }

  #findFlow(from: ClientAddress): UdpFlow | undefined {
    return this.#flows.get(from)?.flow ?? this.#createFlow(from);
  }

  #createFlow(from: ClientAddress): UdpFlow | undefined {
    const binding = this.#binding;
    const address = plainAddress(from.address);
    const client = { address, port: from.port, endpoint: formatEndpoint(address, from.port) };
    if (!binding.access.allows(address)) {
      this.#countDrop('blocked', 1);
      binding.onRefused(client);
      return undefined;
    }
    if (this.#isOwn({ host: address, port: from.port }, binding)) {
      this.#countDrop('own-listener', 1);
      return undefined;
    }
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
    const hasSocket = this.#admission?.descriptors.expectOne();
    const ended = binding.track?.(client);
    const link = this.#io?.link(from);
    const flow = new UdpFlow({
      policy: binding.policy,
      timeoutMs: flowTimeoutOf(binding),
      budget: this.#budget.queue,
      runEnds: this.#runEnds,
      lease,
      clock: this.#clock,
      datagrams: this.#datagrams,
      descriptors: this.#admission?.descriptors,
      onSocket: hasSocket,
      own: this.#own,
      reply: (datagram) => link?.reply(datagram),
      replyRun: (run) => link?.replyRun(run),
      countDrop: (reason, count) => this.#countDrop(reason, count),
      onActive: () => {
        for (const seat of seats) seat.touch();
      },
      onEnd: (error) => {
        for (const seat of seats) seat.leave();
        if (ofAddress.isEmpty) this.#byAddress.delete(group);
        hasSocket?.();
        admitted?.leave();
        this.#flows.delete(from);
        link?.unlink();
        ended?.();
        if (error !== undefined) binding.onUnserved(client, error);
      },
    });
    const group = addressGroup(address);
    const ofAddress = this.#byAddress.get(group) ?? new FlowLimit(Number.POSITIVE_INFINITY);
    this.#byAddress.set(group, ofAddress);
    const seats = [...this.#budget.limits, ofAddress].map((limit) => limit.enter(flow));
    this.#flows.set(from, { flow, address });
    link?.receiveWith(flow);
    // Closed by who was told of the client.
    if (this.#closing) flow.end();
    return flow;
  }

  /** A flow that was idle for the longest time makes room: of the service, or of the address where that has too much. */
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

  /** Whether a listener of the proxy's own is there, or a flow of its own has sent what has come back from there. */
  #isOwn(from: Endpoint, { bounds }: UdpBinding): boolean {
    if (this.#own === undefined) return false;
    if (this.#own.find('udp', from) !== undefined) return true;
    const { protocol, address, port } = this.spec;
    return this.#own.hasDatagramComeBack(from, { protocol, address, port, service: bounds?.service });
  }

  #tellTooMany({ endpoint }: Client): void {
    const { bounds } = this.#binding;
    if (bounds === undefined) return;
    const message = `as many UDP flows are open as may be (65,536, or half of the file descriptors; 16,384 for a listener), and none is idle: a datagram of ${endpoint} for ${bounds.service} was dropped`;
    this.#admission?.tell(bounds.service, { bound: 'too-many-flows', message });
  }

  #takeLease(client: Client, binding: UdpBinding): FlowLease | undefined {
    try {
      return binding.lease(client);
    } catch (error) {
      this.#countDrop('not-ready', 1);
      binding.onUnserved(client, error);
      return undefined;
    }
  }

  #countDrop(reason: DropReason, count: number): void {
    if (count > 0) this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + count);
  }
}

function isOfAddress(bound: Bound): boolean {
  return bound === 'address-share' || bound === 'max-connections-per-address';
}

/** Whoever is silent for longer than the service's idle timeout holds it awake no longer. */
function flowTimeoutOf({ policy, idleTimeoutMs }: UdpBinding): number {
  return idleTimeoutMs === 0 ? MIN_FLOW_IDLE_MS : Math.min(policy.flowTimeoutMs, idleTimeoutMs);
}
