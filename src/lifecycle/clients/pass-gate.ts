import { addressGroup } from '../../model/address-group.ts';
import { findPortProblem } from '../../model/observation.ts';
import type { Protocol, TargetPort } from '../../model/service.ts';
import { DEFAULT_GRACE_MS } from '../workload/engine-calls.ts';
import type { WorkloadRun } from '../run/workload-run.ts';
import { Refusal } from '../refusal.ts';
import type { Waiter } from './waiting-room.ts';
import type { WorkloadController } from '../workload/workload-controller.ts';

export interface GateRequest<T> {
  /** The port to get through. */
  readonly target: { readonly protocol: Protocol; readonly port: TargetPort };
  /** For the log: who wakes it. */
  readonly client: string;
  /** The client's address, which has no more than its part of the places; left out where nobody asks. */
  readonly address?: string | undefined;
  /** What of its budget is spent already, in ms; default: nothing. */
  readonly spentMs?: number;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
  /** Gets through one port of the run, or rejects when the signal aborts or the run is over. */
  readonly pass: (run: WorkloadRun, signal: AbortSignal) => Promise<T>;
  /** Frees what `pass` made, where it came too late. */
  readonly discard: (result: T) => void;
}

/**
 * Waits in a workload's waiting room until it is awake, waking it where needed, and gets through one of its ports; again
 * where the run ends meanwhile. The caller holds a lease.
 * @throws {Refusal} when the client can't be served.
 */
export async function passGate<T>(controller: WorkloadController, request: GateRequest<T>): Promise<T> {
  throwIfUnservable(controller, request.target);
  const { room, policy } = controller;
  const { maxPending } = policy;
  const address = request.address === undefined ? undefined : addressGroup(request.address);
  switch (room.findBound(address, maxPending)) {
    case 'all':
      throw new Refusal('overloaded', `${maxPending} clients are waiting already (max_pending)`);
    case 'address':
      throw new Refusal(
        'overloaded',
        `clients of ${address} have a quarter of the ${maxPending} places (max_pending) already`,
      );
  }
  const { queuedMs } = controller;
  const waiter = room.enter({
    budgetMs: policy.startTimeoutMs,
    spentMs: request.spentMs ?? 0,
    // A stop has its own time limit, the grace; what the client waits for it is not taken from the start's.
    ...(controller.state.kind === 'stopping' && { extraMs: graceOf(controller) }),
    signal: request.signal,
    address,
    obstacle: () => controller.obstacleTo(request.target),
    spentOn: () => controller.describeQueue({ sinceMs: queuedMs }),
  });
  try {
    waiter.signal.throwIfAborted();
    controller.demand(`for ${request.client}`);
    const result = await passWhenAwake(controller, { request, waiter });
    controller.prove();
    return result;
  } finally {
    waiter.leave();
    controller.endEmptyGate(waiter.signal.reason);
  }
}

function graceOf({ policy, observation }: WorkloadController): number {
  return policy.stopTimeoutMs ?? observation.ownGraceMs ?? DEFAULT_GRACE_MS;
}

/** @throws {Refusal} where something has to be mended before the port can be served. */
function throwIfUnservable(
  controller: WorkloadController,
  target: { readonly protocol: Protocol; readonly port: TargetPort },
): void {
  throwIfRetired(controller);
  const problem = findPortProblem(controller.observation, target) ?? controller.explainLoop(target);
  if (problem !== undefined) throw new Refusal('failed', problem);
}

/** @throws {Refusal} where the controller's service is gone. */
export function throwIfRetired({ retired }: WorkloadController): void {
  if (retired) throw new Refusal('removed', 'the service was removed');
}

async function passWhenAwake<T>(
  controller: WorkloadController,
  { request, waiter }: { readonly request: GateRequest<T>; readonly waiter: Waiter },
): Promise<T> {
  for (;;) {
    waiter.signal.throwIfAborted();
    // What was not known before may show now that it waits in vain.
    throwIfUnservable(controller, request.target);
    const { currentRun } = controller;
    if (currentRun === undefined) {
      await controller.room.nextTurn(waiter);
      continue;
    }
    // It fails where the workload stops meanwhile: that wakes it again, and this client goes on waiting.
    const passed = await request.pass(currentRun, waiter.signal).then(
      (value) => ({ value }),
      () => undefined,
    );
    if (passed === undefined) continue;
    if (!waiter.signal.aborted) return passed.value;
    request.discard(passed.value);
  }
}
