import type { Socket } from 'node:net';
import type { Clock } from '../system/clock.ts';
import { linkSignals } from '../system/link-signals.ts';
import { dial } from './dial.ts';
import { PortGate } from './port-gate.ts';

/** One run of a workload, from its start to its stop: where it answers, and which of its ports have proved so. */
export class Incarnation {
  readonly hosts: readonly string[];
  readonly #clock: Clock;
  readonly #gates = new Map<number, PortGate>();
  readonly #ended = new AbortController();

  constructor(hosts: readonly string[], clock: Clock) {
    this.hosts = hosts;
    this.#clock = clock;
  }

  /** Aborts when this run is over. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /**
   * Connects to a port, trying again until it answers.
   * @throws when `signal` aborts or the run is over.
   */
  async connect(port: number, signal: AbortSignal): Promise<Socket> {
    const link = linkSignals([signal, this.#ended.signal]);
    try {
      return await this.#gate(port).connect((dialSignal) => this.#dial(port, dialSignal), link.signal);
    } finally {
      link.unlink();
    }
  }

  /** Connects with one try, where the port has proved itself; undefined otherwise, and where that try fails. */
  async connectProven(port: number, signal: AbortSignal): Promise<Socket | undefined> {
    if (!this.#gate(port).proven) return undefined;
    return this.#dial(port, signal).catch(() => undefined);
  }

  end(): void {
    this.#ended.abort(new Error('the workload stopped'));
  }

  #dial(port: number, signal: AbortSignal): Promise<Socket> {
    return dial(this.hosts, { port, signal });
  }

  #gate(port: number): PortGate {
    let gate = this.#gates.get(port);
    if (gate === undefined) {
      gate = new PortGate(this.#clock);
      this.#gates.set(port, gate);
    }
    return gate;
  }
}
