import type { Socket } from 'node:net';
import type { TargetPort } from '../../model/service.ts';
import { passGate, throwIfRetired } from './pass-gate.ts';
import type { WorkloadController } from '../workload/workload-controller.ts';

/** A connected upstream, and the lease that keeps its workload awake. */
export interface UpstreamConnection {
  readonly socket: Socket;
  /** Gives the lease back; idempotent. */
  release(): void;
}

export interface ConnectRequest {
  /** Target port of the workload. */
  readonly port: TargetPort;
  /** For the log: who wakes it. */
  readonly client: string;
  /** Its address: see `GateRequest`. */
  readonly address?: string | undefined;
  /** What of its budget it has waited already, in ms, trying to connect without asking; default: nothing. */
  readonly waitedMs?: number;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
}

/**
 * Takes a lease, wakes the workload where needed, and connects to its port, trying again until it answers.
 * A workload that is ready and whose port has answered before is connected at once.
 * @throws {Refusal} when the client can't be served; the lease is given back then.
 */
export async function connectUpstream(
  controller: WorkloadController,
  request: ConnectRequest,
): Promise<UpstreamConnection> {
  throwIfRetired(controller);
  const lease = controller.takeLease();
  const begunMs = controller.monotonicMs();
  const { waitedMs = 0 } = request;
  try {
    // Who has waited in vain has had that one try.
    let socket = waitedMs > 0 ? undefined : await connectWarm(controller, request);
    socket ??= await connectCold(controller, request, waitedMs + controller.monotonicMs() - begunMs);
    return { socket, release: () => lease.release() };
  } catch (error) {
    lease.release();
    throw error;
  }
}
/** @returns undefined where it isn't ready, or its one try has failed. */
async function connectWarm(
  controller: WorkloadController,
  { port, signal }: ConnectRequest,
): Promise<Socket | undefined> {
  if (controller.state.kind !== 'ready') return undefined;
  return controller.currentRun?.connectProven(port, { signal, withinMs: controller.policy.startTimeoutMs });
}

function connectCold(
  controller: WorkloadController,
  request: ConnectRequest,
  spentMs: number,
): Promise<Socket> {
  const { port, client, address, signal } = request;
  return passGate(controller, {
    target: { protocol: 'tcp', port },
    client,
    address,
    spentMs,
    signal,
    pass: (run, waiting) => run.connect(port, waiting),
    discard: (socket) => socket.destroy(),
  });
}
