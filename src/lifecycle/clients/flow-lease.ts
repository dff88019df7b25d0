import type { Endpoint } from '../../model/observation.ts';
import type { TargetPort } from '../../model/service.ts';
import { shortageOf } from '../../system/descriptors.ts';
import type { DatagramPassage, WorkloadRun } from '../run/workload-run.ts';
import type { Lease } from '../workload/lease-book.ts';
import { passGate, throwIfRetired } from './pass-gate.ts';
import { Refusal } from '../refusal.ts';
import { chooseHealthGate, type HealthGate } from '../run/run-follower.ts';
import type { WorkloadController } from '../workload/workload-controller.ts';

/** The lease of one UDP flow. */
export interface FlowLease {
  /**
   * Wakes the workload where needed and gets through its port; see `Passage` for who proves it.
   * @returns what `prove` or `follow` made, and the signal that aborts when this run of the workload is over.
   * @throws {Refusal} when the flow can't be served.
   */
  open<T extends { close(): void }>(
    request: DatagramPassage<T> & { readonly signal: AbortSignal },
  ): Promise<{ readonly value: T; readonly ended: AbortSignal }>;
  /** A datagram came back from there. */
  answered(target: Endpoint): void;
  /** Whether a port that doesn't answer there may do so at another address of the workload. */
  mayAnswerElsewhere(target: Endpoint): boolean;
  /** The port refused although it had proved itself: the next datagram proves it anew. */
  doubt(): void;
  /** Gives the lease back; idle time counts from `idleSinceMs` of the monotonic clock. */
  release(idleSinceMs: number): void;
}

interface FlowLeaseOptions {
  readonly port: TargetPort;
  readonly client: string;
  /** Its address: see `GateRequest`. */
  readonly address?: string | undefined;
  readonly sleepIfSilent: boolean;
}

/**
 * Takes a lease for one flow on a datagram port.
 * @param options.sleepIfSilent put the workload to sleep when nothing answers within the budget and nobody else uses it.
 */
export function takeFlowLease(controller: WorkloadController, options: FlowLeaseOptions): FlowLease {
  return new ControllerFlowLease(controller, options);
}

class ControllerFlowLease implements FlowLease {
  readonly #controller: WorkloadController;
  readonly #options: FlowLeaseOptions;
  readonly #lease: Lease;
  #current: WorkloadRun | undefined;
  #silent = false;

  constructor(controller: WorkloadController, options: FlowLeaseOptions) {
    this.#controller = controller;
    this.#options = options;
    this.#lease = controller.takeLease();
  }

  async open<T extends { close(): void }>(
    request: DatagramPassage<T> & { readonly signal: AbortSignal },
  ): Promise<{ readonly value: T; readonly ended: AbortSignal }> {
    const { port, client, address, sleepIfSilent } = this.#options;
    throwIfRetired(this.#controller);
    let isShort = false;
    const passage: DatagramPassage<T> = {
      ...request,
      prove: async (targets, signal) => {
        isShort = false;
        try {
          return await request.prove(targets, signal);
        } catch (error) {
          isShort = shortageOf(error) !== undefined;
          throw error;
        }
      },
    };
    try {
      return await passGate(this.#controller, {
        target: { protocol: 'udp', port },
        client,
        address,
        signal: request.signal,
        pass: (run, signal) => {
          this.#current = run;
          return run.passDatagrams(port, { passage, signal });
        },
        discard: ({ value }) => value.close(),
      });
    } catch (error) {
      // That the proxy had no socket to ask it by is no silence of the workload.
      this.#silent = sleepIfSilent && !isShort && error instanceof Refusal && error.code === 'timeout';
      throw error;
    }
  }

  answered(target: Endpoint): void {
    this.#current?.datagramsAnswered(this.#options.port, target);
  }

  mayAnswerElsewhere(target: Endpoint): boolean {
    return this.#current?.mayAnswerElsewhere(this.#options.port, target) ?? false;
  }

  doubt(): void {
    this.#current?.doubtDatagrams(this.#options.port);
  }

  release(idleSinceMs: number): void {
    this.#lease.release(idleSinceMs);
    const controller = this.#controller;
    // Where a health gate or somebody else has proved that the workload is well, silence is its nature.
    if (this.#silent && healthGateOf(controller) === 'none' && controller.state.kind !== 'ready')
      controller.sleepIfUnused('no answer to the first datagram');
  }
}

function healthGateOf({ observation, policy }: WorkloadController): HealthGate {
  return chooseHealthGate({ observation, httpHealthcheck: policy.httpHealthcheck });
}
