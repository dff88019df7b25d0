import { setMaxListeners } from 'node:events';
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
  async connect(port: number, signal: AbortSignal): Promise<Socket> {
    return this.#whileRunning(signal, (linked) =>
      this.#gate(port).connect((dialSignal) => this.#dial(port, dialSignal), linked),
    );
  }

  /** Connects with one try, where the port has proved itself; undefined otherwise, and where that try fails. */
  async connectProven(port: number, signal: AbortSignal): Promise<Socket | undefined> {
    if (!this.#gate(port).proven) return undefined;
    return this.#whileRunning(signal, (linked) => this.#dial(port, linked)).catch(() => undefined);
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
