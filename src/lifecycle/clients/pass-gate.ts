/**
 * How a client gets to a workload. Input: the workload's controller and a TCP connection or UDP flow that wants one of its
 * ports. Output: a connected upstream, or a lease whose flow may send. Guarantees: the client holds a lease from its first
 * moment on, so the workload is neither left asleep nor put to sleep under it; a client that can't be served gets a Refusal.
 */
import type { Socket } from 'node:net';
import { addressGroup } from '../../model/address-group.ts';
import type { LeaseUser } from '../../model/running/client-use.ts';
import type { Endpoint } from '../../model/running/observation.ts';
import type { Protocol, TargetPort } from '../../model/service.ts';
import { shortageOf } from '../../system/descriptors.ts';
import { Refusal } from '../refusal.ts';
import { chooseHealthGate } from '../run/run-follower.ts';
import type { DatagramPassage, WorkloadRun } from '../run/workload-run.ts';
import type { Lease } from '../workload/use/lease-book.ts';
import type { WorkloadController } from '../workload/workload-controller.ts';
import type { LifecycleService } from '../workload/workload-policy.ts';
import type { Waiter } from './waiting-room.ts';

/** A service, and what keeps its workload: other services may have the same one. */
export interface ServedWorkload {
  readonly service: Pick<LifecycleService, 'name' | 'startTimeoutMs' | 'maxPending'>;
  readonly controller: WorkloadController;
}

/** A connected upstream, and the lease that keeps its workload awake. */
export interface UpstreamConnection {
  readonly socket: Socket;
  /** Gives the lease back; idempotent. */
  release(): void;
}

/** Who wants to get to which port. */
interface ClientOfPort {
  /** Target port of the workload. */
  readonly port: TargetPort;
  /** For the log: who wakes the workload. */
  readonly client: string;
  /**
   * The client's address. One address may take only its share of the places in the waiting room; left out where places are
   * not counted by address.
   */
  readonly address?: string | undefined;
  /** Whether the workload may be started for it, where clients may; default: true. */
  readonly mayWake?: boolean;
  /** Knows what it has carried; left out where nobody does. */
  readonly user?: LeaseUser | undefined;
}

export interface ConnectRequest extends ClientOfPort {
  /** How long the client has waited already while its listener tried a warm path, in ms; default: not at all. */
  readonly waitedMs?: number;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
}

export interface FlowLeaseOptions extends ClientOfPort {
  /** Puts the workload to sleep when nothing answers within the budget and nobody else uses it. */
  readonly sleepIfSilent: boolean;
}

/**
 * Takes a lease, wakes the workload where needed, and connects to its port, trying again until it answers.
 * Where the workload is ready and the port has answered before, it connects at once.
 * @throws {Refusal} when the client can't be served; the lease is given back then.
 */
export async function connectUpstream(
  served: ServedWorkload,
  request: ConnectRequest,
): Promise<UpstreamConnection> {
  const { controller } = served;
  // A client that is refused at once has not used the workload.
  throwIfAsleep(controller, request);
  const lease = controller.takeLease(request.user);
  try {
    const { socket } = await connectPort(served, request);
    return { socket, release: () => lease.release() };
  } catch (error) {
    lease.release();
    throw error;
  }
}

/** A connection to a port of one run of the workload. */
interface PortConnection {
  readonly socket: Socket;
  readonly run: WorkloadRun;
}

/** The caller holds a lease. @throws {Refusal} when the client can't be served. */
async function connectPort(served: ServedWorkload, request: ConnectRequest): Promise<PortConnection> {
  const { controller } = served;
  const begunMs = controller.monotonicMs();
  const { waitedMs = 0 } = request;
  // A client that waited for a warm path has used up its one try.
  const warm = waitedMs > 0 ? undefined : await connectWarm(served, request);
  return warm ?? connectCold(served, request, waitedMs + controller.monotonicMs() - begunMs);
}

/** @returns undefined where the workload isn't ready, or the one try has failed. */
async function connectWarm(
  { controller, service }: ServedWorkload,
  { port, signal }: ConnectRequest,
): Promise<PortConnection | undefined> {
  const { currentRun: run } = controller;
  if (controller.state.kind !== 'ready' || run === undefined) return undefined;
  const socket = await run.connectProven(port, { signal, withinMs: service.startTimeoutMs });
  return socket && { socket, run };
}

function connectCold(
  served: ServedWorkload,
  request: ConnectRequest,
  spentMs: number,
): Promise<PortConnection> {
  const { port } = request;
  return passGate(served, {
    ...request,
    spentMs,
    protocol: 'tcp',
    pass: async (run, signal) => ({ socket: await run.connect(port, signal), run }),
    discard: ({ socket }) => socket.destroy(),
  });
}

/**
 * The lease of one HTTP request; taken at once. The connections that its upstream is asked by may outlive it: whoever keeps
 * them takes a lease for each request that uses one, and closes them when their run ends.
 */
export class RequestLease {
  readonly #served: ServedWorkload;
  readonly #client: ClientOfPort;
  readonly #lease: Lease;

  /** @throws {Refusal} where the workload sleeps, and this client doesn't wake it, or its service is gone. */
  constructor(served: ServedWorkload, client: ClientOfPort) {
    throwIfAsleep(served.controller, client);
    this.#served = served;
    this.#client = client;
    this.#lease = served.controller.takeLease(client.user);
  }

  /**
   * A new connection, for which the workload is woken where needed.
   * @returns it, and the signal that aborts when this run of the workload is over.
   * @throws {Refusal} when the client can't be served.
   */
  async connect(signal: AbortSignal): Promise<{ readonly socket: Socket; readonly ended: AbortSignal }> {
    const { socket, run } = await connectPort(this.#served, { ...this.#client, signal });
    return { socket, ended: run.ended };
  }

  /** Gives the lease back; idempotent. */
  release(): void {
    this.#lease.release();
  }
}

/**
 * The lease of one UDP flow on a datagram port; taken at once. A class without closures of its own: there may be a hundred
 * thousand flows.
 */
export class FlowLease {
  readonly #served: ServedWorkload;
  readonly #options: FlowLeaseOptions;
  readonly #lease: Lease;
  #run: WorkloadRun | undefined;
  #isSilent = false;

  constructor(served: ServedWorkload, options: FlowLeaseOptions) {
    this.#served = served;
    this.#options = options;
    this.#lease = served.controller.takeLease();
  }

  /**
   * Wakes the workload where needed and gets the flow through its port; see `Passage` for which flow proves the port.
   * @returns what `prove` or `follow` made, and the signal that aborts when this run of the workload is over.
   * @throws {Refusal} when the flow can't be served.
   */
  async open<T extends { close(): void }>(
    request: DatagramPassage<T> & { readonly signal: AbortSignal },
  ): Promise<{ readonly value: T; readonly ended: AbortSignal }> {
    const { sleepIfSilent, ...client } = this.#options;
    throwIfRetired(this.#served.controller);
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
      return await passGate(this.#served, {
        ...client,
        protocol: 'udp',
        signal: request.signal,
        pass: (run, signal) => {
          this.#run = run;
          return run.passDatagrams(client.port, { passage, signal });
        },
        discard: ({ value }) => value.close(),
      });
    } catch (error) {
      // Where the proxy had no socket to ask the workload by, it doesn't know whether the workload is silent.
      this.#isSilent = sleepIfSilent && !isShort && error instanceof Refusal && error.code === 'timeout';
      throw error;
    }
  }

  /** Knows what the flow has carried. */
  usedBy(user: LeaseUser): void {
    this.#lease.user = user;
  }

  /** A datagram came back from there. */
  answered(target: Endpoint): void {
    this.#run?.datagramsAnswered(this.#options.port, target);
  }

  /** Whether a port that doesn't answer there may do so at another address of the workload. */
  mayAnswerElsewhere(target: Endpoint): boolean {
    return this.#run?.mayAnswerElsewhere(this.#options.port, target) ?? false;
  }

  /** The port has refused a datagram although it was proved: the next datagram has to prove it again. */
  doubt(): void {
    this.#run?.doubtDatagrams(this.#options.port);
  }

  /** Gives the lease back; idle time counts from `idleSinceMs` of the monotonic clock. */
  release(idleSinceMs: number): void {
    this.#lease.release(idleSinceMs);
    const { controller } = this.#served;
    // Where a health gate has passed, or another client was served, the workload works: its protocol just never answers.
    if (this.#isSilent && !hasHealthGate(controller) && controller.state.kind !== 'ready')
      controller.sleepIfUnused({ kind: 'silence', words: 'no answer to the first datagram' });
  }
}

function hasHealthGate({ observation, policy: { httpHealthcheck } }: WorkloadController): boolean {
  return chooseHealthGate({ observation, httpHealthcheck }) !== 'none';
}

interface GateRequest<T> extends ClientOfPort {
  readonly protocol: Protocol;
  /** How much of the client's budget is spent already, in ms; default: nothing. */
  readonly spentMs?: number;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
  /** Gets through one port of the run, or rejects when the signal aborts or the run is over. */
  readonly pass: (run: WorkloadRun, signal: AbortSignal) => Promise<T>;
  /** Frees what `pass` made, where it came too late. */
  readonly discard: (result: T) => void;
}

/**
 * Waits in the workload's waiting room until the workload is awake, waking it where needed, and gets through one of its
 * ports; starts again where the run ends meanwhile. The caller holds a lease.
 * @throws {Refusal} when the client can't be served.
 */
async function passGate<T>(served: ServedWorkload, request: GateRequest<T>): Promise<T> {
  const { controller, service } = served;
  throwIfUnservable(controller, request);
  const waiter = enterRoom(served, request);
  const sinceMs = controller.monotonicMs() - (request.spentMs ?? 0);
  const heldMs = () => controller.monotonicMs() - sinceMs;
  try {
    waiter.signal.throwIfAborted();
    controller.demand(`for ${request.client}`, { by: request.mayWake === false ? 'guest' : 'client' });
    const result = await passWhenAwake(controller, { request, waiter });
    controller.prove();
    controller.noteHeld('served', heldMs());
    return result;
  } catch (error) {
    const hasLeft = error instanceof Refusal && error.code === 'left';
    controller.noteHeld(hasLeft ? 'left' : 'refused', heldMs());
    throw error;
  } finally {
    waiter.leave();
    controller.endEmptyGate({ reason: waiter.signal.reason, budgetMs: service.startTimeoutMs });
  }
}

/** @throws {Refusal} where the room is full. */
function enterRoom(
  { controller, service: { name: service, maxPending, startTimeoutMs } }: ServedWorkload,
  request: Omit<GateRequest<never>, 'pass' | 'discard'>,
): Waiter {
  const { waitingRoom, state, graceMs } = controller;
  const address = request.address === undefined ? undefined : addressGroup(request.address);
  const place = { service, address };
  switch (waitingRoom.findBound(place, maxPending)) {
    case 'all':
      throw new Refusal('overloaded', `${maxPending} clients are waiting already (max_pending)`);
    case 'address':
      throw new Refusal(
        'overloaded',
        `clients of ${address} have a quarter of the ${maxPending} places (max_pending) already`,
      );
  }
  return waitingRoom.enter({
    budgetMs: startTimeoutMs,
    spentMs: request.spentMs ?? 0,
    // A stop has a time limit of its own, the grace. What the client waits for the stop is not taken from the start's budget.
    ...(state.kind === 'stopping' && { extraMs: graceMs }),
    signal: request.signal,
    mayWake: request.mayWake ?? true,
    place,
    obstacle: () => controller.obstacles.between(request),
    spentOn: controller.watchQueue(),
  });
}

async function passWhenAwake<T>(
  controller: WorkloadController,
  { request, waiter }: { readonly request: GateRequest<T>; readonly waiter: Waiter },
): Promise<T> {
  for (;;) {
    waiter.signal.throwIfAborted();
    // The engine may have told meanwhile that this port can never be served.
    throwIfUnservable(controller, request);
    const { currentRun } = controller;
    if (currentRun === undefined) {
      await controller.waitingRoom.nextCall(waiter);
      continue;
    }
    // It fails where the workload stops meanwhile. That wakes the workload again, and this client goes on waiting.
    const passed = await request.pass(currentRun, waiter.signal).then(
      (value) => ({ value }),
      () => undefined,
    );
    if (passed === undefined) continue;
    if (!waiter.signal.aborted) return passed.value;
    request.discard(passed.value);
  }
}

/** @throws {Refusal} where a setting or the workload has to be mended before the port can be served. */
function throwIfUnservable(
  controller: WorkloadController,
  target: Pick<GateRequest<never>, 'protocol' | 'port' | 'mayWake'>,
): void {
  throwIfAsleep(controller, target);
  const problem = controller.obstacles.explainUnservable(target);
  if (problem !== undefined) throw new Refusal('failed', problem);
}

/** @throws {Refusal} where the workload sleeps, and this client doesn't wake it, or its service is gone. */
function throwIfAsleep(
  controller: WorkloadController,
  { mayWake = true }: Pick<ClientOfPort, 'mayWake'>,
): void {
  throwIfRetired(controller);
  const refusal = controller.obstacles.refusalOf({ mayWake });
  if (refusal !== undefined) throw refusal;
}

/** @throws {Refusal} where the controller's service is gone. */
function throwIfRetired({ retired }: WorkloadController): void {
  if (retired) throw new Refusal('removed', 'the service was removed');
}
