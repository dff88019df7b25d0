import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { type Endpoint, portKey } from '../../model/observation.ts';
import type { Protocol, TargetPort, UdpPolicy } from '../../model/service.ts';
import type { Clock } from '../../system/clock.ts';
import { linkSignals } from '../../system/link-signals.ts';
import { dial } from './dial.ts';
import { PortGate } from './port-gate.ts';
import { RefusalAllowance } from './refusal-allowance.ts';
import { type RunAddresses, RunEndpoints } from './run-endpoints.ts';
import type { OwnPlaces } from '../workload/subject.ts';

/** Delays between tries at a datagram port that refuses: spread, since the first few refusals alone come at once. */
const DATAGRAM_RETRY = { firstMs: 20, maxMs: 500 } as const;

/** How a flow gets through a datagram port: see `Passage`. */
export interface DatagramPassage<T> {
  /** `open`: a refusal is all that tells that the port is closed, so none may be missed. */
  readonly readiness: UdpPolicy['readiness'];
  /** With several targets one of them answers, and nobody knows which. */
  readonly prove: (targets: readonly Endpoint[], signal: AbortSignal) => Promise<T>;
  readonly follow: (target: Endpoint, signal: AbortSignal) => Promise<T>;
  /** Where the flow was before, and nothing answered. */
  readonly notAt?: Endpoint | undefined;
}

/** What a flow got through a datagram port. */
export interface PassedFlow<T> {
  readonly value: T;
  /** Aborts when the endpoint that the flow was given, or the whole run, is gone. */
  readonly ended: AbortSignal;
}

/** One run of a workload, from its start to its stop: where it answers, and which of its ports have proved so. */
export class WorkloadRun {
  readonly #clock: Clock;
  readonly #cold: boolean;
  readonly #own: OwnPlaces | undefined;
  readonly #onReordered: () => void;
  readonly #onUnanswered: () => void;
  readonly #endpoints: RunEndpoints;
  readonly #gates = new Map<string, PortGate>();
  /** Where each datagram port has answered, or at least not refused what proved it. */
  readonly #datagramEndpoints = new Map<TargetPort, { endpoint: Endpoint; hasAnswered: boolean }>();
  readonly #refusals: RefusalAllowance;
  /** The host that has taken the last connection of this run. */
  #dialledHost: string | undefined;
  readonly #ended = new AbortController();

  /**
   * @param options.cold false where the workload ran before it was looked at: its datagram ports need no proof.
   * @param options.own which endpoints are the proxy's own listeners; absent = none.
   * @param options.lastHost the host that answered last in the run before.
   * @param options.onUnanswered told when a port has not answered a try.
   * @param options.onReordered told when the hosts are tried in another order from now on.
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
    this.#refusals = new RefusalAllowance(clock);
    // Everybody who waits listens for the end of the run: many are no leak.
    setMaxListeners(0, this.#ended.signal);
  }

  get hosts(): readonly string[] {
    return this.#endpoints.hosts;
  }

  /** The host that answered last; undefined where none has. */
  get lastHost(): string | undefined {
    return this.#endpoints.lastHost;
  }

  /** Aborts when this run is over. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Takes other endpoints of a workload whose ports are mapped; what its ports have proved still holds. */
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
   * Proves a port with one connection that is closed at once, and carries nothing.
   * @throws where the port doesn't answer, `signal` aborts or the run is over.
   */
  async probe(port: TargetPort, signal: AbortSignal): Promise<void> {
    const tryOnce = (dialSignal: AbortSignal) => this.#dial(port, { signal: dialSignal, isProof: true });
    const socket = await this.#whileRunning(signal, (linked) => this.#tcpGate(port).tryOnce(tryOnce, linked));
    socket.destroy();
  }

  /**
   * Connects with one try, where the port has proved itself; undefined otherwise, and where that try fails.
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

  /** Where a port answers that has proved itself; undefined otherwise, and where clients are to be spread. */
  provenEndpoints(port: TargetPort): readonly Endpoint[] | undefined {
    if (!this.#tcpGate(port).proven || this.#endpoints.areEqual) return undefined;
    const endpoints = this.#endpoints.list({ protocol: 'tcp', port });
    return endpoints.length === 0 ? undefined : endpoints;
  }

  /**
   * Gets a flow through a datagram port: the one that proves it tries one endpoint after the other. Of several hosts the
   * one counts that has answered; until one has, a flow goes on to the next where its own doesn't answer.
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
      // In open mode nothing is sent twice, so that one endpoint has to do.
      const endpoint = isOpen && known?.hasAnswered ? known.endpoint : next;
      const endpoints = areEqual || isOpen ? [endpoint] : this.#endpoints.list(target);
      if (isOpen) await this.#refusals.take(linked);
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

  /** A datagram came back from there: everybody goes there from now on. */
  datagramsAnswered(port: TargetPort, endpoint: Endpoint): void {
    if (this.#endpoints.areEqual) return;
    this.#datagramEndpoints.set(port, { endpoint, hasAnswered: true });
    if (this.#endpoints.answered(endpoint)) this.#onReordered();
  }

  /** Whether a port that doesn't answer there may do so at another of the workload's hosts. */
  mayAnswerElsewhere(port: TargetPort, { host }: Endpoint): boolean {
    if (this.#endpoints.areEqual || this.#endpoints.hosts.length < 2) return false;
    // Its network is well, and that it says nothing is its nature.
    if (host === this.#dialledHost) return false;
    const known = this.#datagramEndpoints.get(port);
    return !known?.hasAnswered || known.endpoint.host !== host;
  }

  /** Why a port leads back to the proxy itself, in words; undefined where it may lead elsewhere. */
  explainLoop(target: { readonly protocol: Protocol; readonly port: TargetPort }): string | undefined {
    return this.#endpoints.explainLoop(target);
  }

  /** A datagram port has refused: it has to prove itself again. */
  doubtDatagrams(port: TargetPort): void {
    this.#refusals.empty();
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

  end(): void {
    this.#ended.abort(new Error('the workload stopped'));
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

  /** Where a flow goes whose port has proved itself. @throws where there is no host. */
  #chooseHost(port: TargetPort, notAt: Endpoint | undefined): Endpoint {
    const known = this.#datagramEndpoints.get(port);
    if (known?.hasAnswered) return known.endpoint;
    const all = this.#endpoints.list({ protocol: 'udp', port });
    const before = notAt === undefined ? -1 : all.findIndex(({ host }) => host === notAt.host);
    const endpoint = before < 0 ? (known?.endpoint ?? all[0]) : all[(before + 1) % all.length];
    if (endpoint === undefined) throw new Error('the workload has no address');
    return endpoint;
  }

  /** @param options.isProof nothing has answered there yet: what is sent back to the proxy shows then. */
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
      // What was left out explains it, too.
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
