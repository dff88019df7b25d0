import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { type Endpoint, type ExplainOwn, portKey } from '../../model/running/observation.ts';
import type { Protocol, TargetPort, UdpPolicy } from '../../model/service.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { linkSignals } from '../../system/waiting/link-signals.ts';
import { dial } from './dial.ts';
import { IcmpAllowance, PortGate } from './port-gate.ts';
import { type RunAddresses, RunEndpoints } from './run-endpoints.ts';

/** Delays between tries at a closed datagram port: spread, since the kernel limits its ICMP answers. */
const DATAGRAM_RETRY = { firstMs: 20, maxMs: 500 } as const;
/** Between rounds of `proveAny`: no client waits, so they may come slower than a client's tries. */
const ROUND_RETRY = { firstMs: 5, maxMs: 500 } as const;
/** How many ports `proveAny` dials at once: a range may have a thousand. */
const MAX_CONCURRENT_PROOFS = 8;

/** What is known of the proxy's own listeners, which must not be taken for a workload's ports. */
export interface OwnPlaces {
  readonly explain: ExplainOwn;
  /**
   * Why a URL of a workload's services may not lead to an endpoint: the endpoint is a listener of one of them, which waits for
   * the answer. Undefined where the URL may lead there.
   */
  readonly explainOwnOf: (
    services: readonly { readonly name: string }[],
    endpoint: Endpoint,
  ) => string | undefined;
  /** Told of each connection to an endpoint that has not answered yet, so that the proxy knows it if it comes in again. */
  readonly noteDial: (socket: Socket, endpoint: Endpoint) => void;
}

/** How a flow gets through a datagram port: see `Passage`. */
export interface DatagramPassage<T> {
  /** `open`: only ICMP "port unreachable" tells that the port is closed, so each try must be one that the kernel answers. */
  readonly readiness: UdpPolicy['readiness'];
  /** Proves the port: tries all targets, since nobody knows yet which of them answers. */
  readonly prove: (targets: readonly Endpoint[], signal: AbortSignal) => Promise<T>;
  /** Uses the port after its proof. */
  readonly follow: (target: Endpoint, signal: AbortSignal) => Promise<T>;
  /** Where the flow sent to before without getting an answer. */
  readonly notAt?: Endpoint | undefined;
}

/** What a flow got through a datagram port. */
export interface PassedFlow<T> {
  readonly value: T;
  /** Aborts when the endpoint that the flow was given, or the whole run, is gone. */
  readonly ended: AbortSignal;
}

/** One run of a workload, from its start to its stop: where its ports answer, and which of them have been proved to. */
export class WorkloadRun {
  readonly #clock: Clock;
  readonly #cold: boolean;
  readonly #own: OwnPlaces | undefined;
  readonly #onReordered: () => void;
  readonly #onUnanswered: () => void;
  readonly #endpoints: RunEndpoints;
  readonly #gates = new Map<string, PortGate>();
  /** For each datagram port the endpoint that answered, or that was at least not found closed by the proof. */
  readonly #datagramEndpoints = new Map<TargetPort, { endpoint: Endpoint; hasAnswered: boolean }>();
  readonly #allowance: IcmpAllowance;
  /** The host that accepted the last TCP connection of this run. */
  #dialledHost: string | undefined;
  readonly #ended = new AbortController();

  /**
   * @param options.cold false where the workload ran already when the proxy first looked: its datagram ports need no proof.
   * @param options.own which endpoints are the proxy's own listeners; absent = none.
   * @param options.lastHost the host that answered last in the run before.
   * @param options.onUnanswered told when a port has not answered a try.
   * @param options.onReordered told when the hosts will be tried in another order from now on.
   */
  constructor(
    addresses: RunAddresses,
    options: {
      readonly clock: Clock;
      readonly cold: boolean;
      readonly own?: OwnPlaces | undefined;
      readonly lastHost?: string | undefined;
      readonly onReordered?: () => void;
      readonly onUnanswered?: () => void;
    },
  ) {
    const { clock, cold, own, lastHost } = options;
    this.#own = own;
    this.#endpoints = new RunEndpoints(addresses, { lastHost, explainOwn: own?.explain });
    this.#clock = clock;
    this.#cold = cold;
    this.#onReordered = options.onReordered ?? (() => {});
    this.#onUnanswered = options.onUnanswered ?? (() => {});
    this.#allowance = new IcmpAllowance(clock);
    // Every client that waits listens for the end of the run: many listeners are no leak.
    setMaxListeners(0, this.#ended.signal);
  }

  get hosts(): readonly string[] {
    return this.#endpoints.hosts;
  }

  /** Aborts when the run is over; its reason has the code `stopped-by-others` where somebody else has ended it. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** The host that answered last; undefined where none has. */
  get lastHost(): string | undefined {
    return this.#endpoints.lastHost;
  }

  /** Replaces the endpoints of a workload whose ports are mapped. Ports that were proved stay proved. */
  replaceEndpoints(addresses: RunAddresses): void {
    this.#endpoints.replace(addresses);
  }

  /**
   * Connects to a port, trying again until it answers.
   * @throws when `signal` aborts or the run is over.
   */
  connect(port: TargetPort, signal: AbortSignal): Promise<Socket> {
    const passage = {
      prove: (dialSignal: AbortSignal) => this.#dial(port, { signal: dialSignal, isProof: true }),
      follow: (dialSignal: AbortSignal) => this.#dial(port, { signal: dialSignal, isProof: false }),
    };
    return this.#whileRunning(signal, (linked) => this.#tcpGate(port).pass(passage, linked));
  }

  /**
   * Dials ports on the proxy's own behalf, while no client waits, until one of them answers: a workload that runs counts as
   * awake only when a client could use it. The connections carry nothing and are closed at once.
   * @param ports at least one; all are tried in each round.
   * @throws when `signal` aborts or the run is over.
   */
  async proveAny(ports: readonly TargetPort[], signal: AbortSignal): Promise<void> {
    // The first answer ends the dials beside it.
    const over = new AbortController();
    const link = linkSignals([signal, this.#ended.signal, over.signal]);
    try {
      for (let round = 1; ; round++) {
        for (let first = 0; first < ports.length; first += MAX_CONCURRENT_PROOFS) {
          const dials = ports
            .slice(first, first + MAX_CONCURRENT_PROOFS)
            .map((port) => this.#probe(port, link.signal));
          const answered = await Promise.any(dials).then(
            () => true,
            () => false,
          );
          if (answered) return;
          link.signal.throwIfAborted();
        }
        await this.#clock.sleep(backoffMs(round, ROUND_RETRY), link.signal);
      }
    } finally {
      over.abort(new Error('one port has answered'));
      link.unlink();
    }
  }

  /**
   * Connects with one try; undefined where the port is not proved, or the try fails.
   * @param options.withinMs how long the try may take.
   */
  async connectProven(
    port: TargetPort,
    { signal, withinMs }: { readonly signal: AbortSignal; readonly withinMs: number },
  ): Promise<Socket | undefined> {
    if (!this.#tcpGate(port).proven) return undefined;
    const tryOnce = (linked: AbortSignal) => this.#dial(port, { signal: linked, isProof: false, withinMs });
    return this.#whileRunning(signal, tryOnce).catch(() => undefined);
  }

  /** Where a proved port answers; undefined where it is not proved, or where clients are spread over equal endpoints. */
  provenEndpoints(port: TargetPort): readonly Endpoint[] | undefined {
    if (!this.#tcpGate(port).proven || this.#endpoints.areEqual) return undefined;
    const endpoints = this.#endpoints.list({ protocol: 'tcp', port });
    return endpoints.length === 0 ? undefined : endpoints;
  }

  /**
   * Gets a flow through a datagram port. The flow that proves the port tries one endpoint after the other. Of several hosts,
   * flows use the one that has answered; until one has, a flow whose host doesn't answer goes on to the next.
   * @throws when `signal` aborts or the run is over.
   */
  passDatagrams<T>(
    port: TargetPort,
    { passage, signal }: { readonly passage: DatagramPassage<T>; readonly signal: AbortSignal },
  ): Promise<PassedFlow<T>> {
    const target = { protocol: 'udp', port } as const;
    const { areEqual } = this.#endpoints;
    const prove = async (linked: AbortSignal) => {
      const isOpen = passage.readiness === 'open';
      const known = areEqual ? undefined : this.#datagramEndpoints.get(port);
      const next = this.#endpoints.next(target);
      // In open mode nothing is sent twice: the datagram goes to one endpoint only.
      const endpoint = isOpen && known?.hasAnswered ? known.endpoint : next;
      const endpoints = areEqual || isOpen ? [endpoint] : this.#endpoints.list(target);
      if (isOpen) await this.#allowance.take(linked);
      const value = await passage.prove(endpoints, linked);
      if (isOpen && !this.#datagramEndpoints.get(port)?.hasAnswered)
        this.#datagramEndpoints.set(port, { endpoint, hasAnswered: false });
      return { value, ended: this.#endpoints.lifetime(endpoint) };
    };
    const follow = async (linked: AbortSignal) => {
      const endpoint = areEqual ? this.#endpoints.next(target) : this.#chooseHost(port, passage.notAt);
      const value = await passage.follow(endpoint, linked);
      return { value, ended: this.#endpoints.lifetime(endpoint) };
    };
    return this.#whileRunning(signal, (linked) => this.#udpGate(port).pass({ prove, follow }, linked));
  }

  /** A datagram came back from there: all flows of the port go there from now on. */
  datagramsAnswered(port: TargetPort, endpoint: Endpoint): void {
    if (this.#endpoints.areEqual) return;
    this.#datagramEndpoints.set(port, { endpoint, hasAnswered: true });
    if (this.#endpoints.answered(endpoint)) this.#onReordered();
  }

  /** Whether a port that doesn't answer there may do so at another of the workload's hosts. */
  mayAnswerElsewhere(port: TargetPort, { host }: Endpoint): boolean {
    if (this.#endpoints.areEqual || this.#endpoints.hosts.length < 2) return false;
    // This host has accepted a TCP connection, so it can be reached: the port there just doesn't answer.
    if (host === this.#dialledHost) return false;
    const known = this.#datagramEndpoints.get(port);
    return !known?.hasAnswered || known.endpoint.host !== host;
  }

  /** Why a port leads back to the proxy itself, in words; undefined where it may lead elsewhere. */
  explainLoop(target: { readonly protocol: Protocol; readonly port: TargetPort }): string | undefined {
    return this.#endpoints.explainLoop(target);
  }

  /** A datagram port was found closed: it has to prove itself again. */
  doubtDatagrams(port: TargetPort): void {
    this.#allowance.empty();
    this.#onUnanswered();
    this.#udpGate(port).doubt();
  }

  /**
   * Why the last try at a port failed, in words; undefined where none has since it answered.
   * @param target left out: any of the ports.
   */
  lastFailure(target?: { readonly protocol: Protocol; readonly port: TargetPort }): string | undefined {
    if (target !== undefined) return this.#gates.get(portKey(target.protocol, target.port))?.lastFailure;
    const failures = [...this.#gates.values()].map((gate) => gate.lastFailure);
    return failures.find((failure) => failure !== undefined);
  }

  /**
   * The workload has stopped, or its addresses have changed: whatever goes on in this run is given up. Idempotent.
   * @param options.byOthers somebody has stopped, killed or removed it, and not the proxy.
   */
  end({ byOthers = false }: { readonly byOthers?: boolean } = {}): void {
    const reason = new Error('the workload stopped');
    this.#ended.abort(byOthers ? Object.assign(reason, { code: 'stopped-by-others' }) : reason);
    this.#endpoints.end();
  }

  async #whileRunning<T>(signal: AbortSignal, task: (linked: AbortSignal) => Promise<T>): Promise<T> {
    const link = linkSignals([signal, this.#ended.signal]);
    try {
      return await task(link.signal);
    } finally {
      link.unlink();
    }
  }

  /** The endpoint for a flow on a proved port. @throws where there is no host. */
  #chooseHost(port: TargetPort, notAt: Endpoint | undefined): Endpoint {
    const known = this.#datagramEndpoints.get(port);
    if (known?.hasAnswered) return known.endpoint;
    const all = this.#endpoints.list({ protocol: 'udp', port });
    const before = notAt === undefined ? -1 : all.findIndex(({ host }) => host === notAt.host);
    const endpoint = before < 0 ? (known?.endpoint ?? all[0]) : all[(before + 1) % all.length];
    if (endpoint === undefined) throw new Error('the workload has no address');
    return endpoint;
  }

  /** Dials once, for a proof. @throws where the port doesn't answer, or `signal` aborts. */
  async #probe(port: TargetPort, signal: AbortSignal): Promise<void> {
    const tryOnce = (dialSignal: AbortSignal) => this.#dial(port, { signal: dialSignal, isProof: true });
    const socket = await this.#whileRunning(signal, (linked) => this.#tcpGate(port).tryOnce(tryOnce, linked));
    socket.destroy();
  }

  /** @param options.isProof nothing has answered there yet, so the connection might lead back to the proxy: it is noted. */
  async #dial(
    port: TargetPort,
    options: { readonly signal: AbortSignal; readonly isProof: boolean; readonly withinMs?: number },
  ): Promise<Socket> {
    const { signal, isProof, withinMs } = options;
    const target = { protocol: 'tcp', port } as const;
    const endpoints = this.#endpoints.list(target);
    const own = this.#own;
    const { socket, endpoint } = await dial(endpoints, {
      ...{ signal, withinMs, clock: this.#clock, explainOwn: own?.explain },
      ...(isProof && { onDial: own?.noteDial }),
    }).catch((error: unknown) => {
      if (!signal.aborted) this.#onUnanswered();
      // Endpoints were left out because they are the proxy's own: that is part of the reason.
      const reason = this.#endpoints.explainOwn(target);
      if (reason === undefined || signal.aborted) throw error;
      throw endpoints.length === 0 ? new Error(reason) : new AggregateError([new Error(reason), error]);
    });
    this.#dialledHost = endpoint.host;
    if (this.#endpoints.answered(endpoint)) this.#onReordered();
    return socket;
  }

  #tcpGate(port: TargetPort): PortGate {
    return this.#gate(portKey('tcp', port), { proven: false });
  }

  #udpGate(port: TargetPort): PortGate {
    return this.#gate(portKey('udp', port), { proven: !this.#cold, retry: DATAGRAM_RETRY });
  }

  #gate(key: string, options: ConstructorParameters<typeof PortGate>[1]): PortGate {
    let gate = this.#gates.get(key);
    if (gate === undefined) {
      gate = new PortGate(this.#clock, options);
      this.#gates.set(key, gate);
    }
    return gate;
  }
}
