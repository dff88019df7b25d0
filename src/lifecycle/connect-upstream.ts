import type { Socket } from 'node:net';
import { Refusal } from './refusal.ts';
import type { Waiter } from './waiting-room.ts';
import type { WorkloadController } from './workload-controller.ts';

/** A connected upstream, and the lease that keeps its workload awake. */
export interface UpstreamConnection {
  readonly socket: Socket;
  /** Gives the lease back; idempotent. */
  release(): void;
}

export interface ConnectRequest {
  /** Target port on the workload. */
  readonly port: number;
  /** For the log: who wakes it. */
  readonly client: string;
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
  const release = controller.takeLease();
  try {
    const socket = (await connectWarm(controller, request)) ?? (await connectCold(controller, request));
    return { socket, release };
  } catch (error) {
    release();
    throw error;
  }
}

async function connectWarm(
  controller: WorkloadController,
  { port, signal }: ConnectRequest,
): Promise<Socket | undefined> {
  return controller.state.kind === 'ready' ? controller.incarnation?.connectProven(port, signal) : undefined;
}

async function connectCold(controller: WorkloadController, request: ConnectRequest): Promise<Socket> {
  // Once more: the service may have gone while a dial failed.
  throwIfRetired(controller);
  const { room, policy } = controller;
  if (room.size >= policy.maxPending) {
    throw new Refusal('overloaded', `${policy.maxPending} clients are waiting already`);
  }
  const waiter = room.enter({
    budgetMs: policy.startTimeoutMs,
    // A stop has its own time limit; what the client waits for it is not taken from the start's.
    budgetFrom: controller.state.kind === 'stopping' ? 'whenStarted' : 'now',
    signal: request.signal,
  });
  try {
    waiter.signal.throwIfAborted();
    controller.demand(`for ${request.client}`);
    const socket = await connectWhenReady(controller, { port: request.port, waiter });
    controller.prove();
    return socket;
  } finally {
    waiter.leave();
    controller.endEmptyGate(waiter.signal.reason);
  }
}

function throwIfRetired(controller: WorkloadController): void {
  if (controller.retired) throw new Refusal('removed', 'the service was removed');
}

async function connectWhenReady(
  controller: WorkloadController,
  { port, waiter }: { readonly port: number; readonly waiter: Waiter },
): Promise<Socket> {
  for (;;) {
    waiter.signal.throwIfAborted();
    const { incarnation } = controller;
    if (incarnation === undefined) {
      await controller.room.nextTurn(waiter);
      continue;
    }
    // It fails where the workload stops meanwhile: that wakes it again, and this client goes on waiting.
    const socket = await incarnation.connect(port, waiter.signal).catch(() => undefined);
    if (socket === undefined) continue;
    if (!waiter.signal.aborted) return socket;
    socket.destroy();
  }
}
