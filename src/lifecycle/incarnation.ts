import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { UdpPolicy } from '../model/service.ts';
import type { Clock } from '../system/clock.ts';
import { linkSignals } from '../system/link-signals.ts';
import { dial } from './dial.ts';
import { PortGate } from './port-gate.ts';
import { RefusalAllowance } from './refusal-allowance.ts';

/** Delays between tries at a datagram port that refuses: spread, since the first few refusals alone come at once. */
const DATAGRAM_RETRY = { firstMs: 20, maxMs: 500 } as const;

/** Where a workload takes datagrams. */
export interface DatagramTarget {
  readonly host: string;
  readonly port: number;
}

/** How a flow gets through a datagram port: see `Passage`. */
export interface DatagramPassage<T> {
  /** `open`: a refusal is all that tells that the port is closed, so none may be missed. */
  readonly readiness: UdpPolicy['readiness'];
  readonly prove: (target: DatagramTarget, signal: AbortSignal) => Promise<T>;
  readonly follow: (target: DatagramTarget, signal: AbortSignal) => Promise<T>;
}

/** One run of a workload, from its start to its stop: where it answers, and which of its ports have proved so. */
export class Incarnation {
  readonly hosts: readonly string[];
  readonly #clock: Clock;
  readonly #cold: boolean;
  readonly #gates = new Map<string, PortGate>();
  /** The address at which each datagram port has answered. */
  readonly #datagramHosts = new Map<number, string>();
  readonly #refusals: RefusalAllowance;
  readonly #ended = new AbortController();

  /** @param options.cold false where the workload ran before it was looked at: its datagram ports need no proof. */
  constructor(hosts: readonly string[], { clock, cold }: { readonly clock: Clock; readonly cold: boolean }) {
    this.hosts = hosts;
    this.#clock = clock;
    this.#cold = cold;
    this.#refusals = new RefusalAllowance(clock);
    // Everybody who waits listens for the end of the run: many are no leak.
    setMaxListeners(0, this.#ended.signal);
  }

  /** Aborts when this run is over. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /**
   * Connects to a port, trying again until it answers.
   * @throws when `signal` aborts or the run is over.
   */
  connect(port: number, signal: AbortSignal): Promise<Socket> {
    const tryOnce = (dialSignal: AbortSignal) => this.#dial(port, dialSignal);
    const passage = { prove: tryOnce, follow: tryOnce };
    return this.#whileRunning(signal, (linked) => this.#tcpGate(port).pass(passage, linked));
  }

  /** Connects with one try, where the port has proved itself; undefined otherwise, and where that try fails. */
  async connectProven(port: number, signal: AbortSignal): Promise<Socket | undefined> {
    if (!this.#tcpGate(port).proven) return undefined;
    const tryOnce = (linked: AbortSignal) => this.#dial(port, linked);
    return this.#whileRunning(signal, tryOnce).catch(() => undefined);
  }

  /**
   * Gets a flow through a datagram port: the one that proves it tries one address after the other.
   * @throws when `signal` aborts or the run is over.
   */
  passDatagrams<T>(
    port: number,
    { passage, signal }: { readonly passage: DatagramPassage<T>; readonly signal: AbortSignal },
  ): Promise<T> {
    let tries = 0;
    const prove = async (linked: AbortSignal) => {
      const host = this.hosts[tries++ % this.hosts.length];
      if (host === undefined) throw new Error('the workload has no address');
      if (passage.readiness === 'open') await this.#refusals.take(linked);
      const result = await passage.prove({ host, port }, linked);
      this.#datagramHosts.set(port, host);
      return result;
    };
    const follow = (linked: AbortSignal) => {
      const host = this.#datagramHosts.get(port) ?? this.hosts[0] ?? '';
      return passage.follow({ host, port }, linked);
    };
    return this.#whileRunning(signal, (linked) => this.#udpGate(port).pass({ prove, follow }, linked));
  }

  /** A datagram port has refused: it has to prove itself again. */
  doubtDatagrams(port: number): void {
    this.#refusals.empty();
    this.#udpGate(port).doubt();
  }

  end(): void {
    this.#ended.abort(new Error('the workload stopped'));
  }

  async #whileRunning<T>(signal: AbortSignal, task: (linked: AbortSignal) => Promise<T>): Promise<T> {
    const link = linkSignals([signal, this.#ended.signal]);
    try {
      return await task(link.signal);
    } finally {
      link.unlink();
    }
  }

  #dial(port: number, signal: AbortSignal): Promise<Socket> {
    return dial(this.hosts, { port, signal, clock: this.#clock });
  }

  #tcpGate(port: number): PortGate {
    return this.#gate(`tcp/${port}`, { proven: false });
  }

  #udpGate(port: number): PortGate {
    return this.#gate(`udp/${port}`, { proven: !this.#cold, retry: DATAGRAM_RETRY });
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
