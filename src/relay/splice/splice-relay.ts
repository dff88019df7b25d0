import type { Socket } from 'node:net';
import type { Cancel, Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/logger.ts';
import type { Libc } from '../native/libc.ts';
import { descriptorOf } from '../native/descriptor-of.ts';
import type { RelayedConnection, RelayKind, RelaySockets, TcpRelay, Traffic } from '../tcp-relay.ts';
import { RelayThreadHandle } from './relay-thread-handle.ts';
import { MAX_CONNECTIONS, TRAFFIC_FIELDS } from './thread-protocol.ts';

/** An unused thread is ended after so long: it takes some 10 MB, and a new one is there in 50 ms. */
const IDLE_MS = 10_000;

export interface SpliceRelayOptions {
  readonly libc: Libc;
  /** The built `relay-thread`. */
  readonly threadFile: URL;
  /** Takes what this one can't: when descriptors or slots run out, and for good after the thread has failed. */
  readonly fallback: TcpRelay;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Handover {
  readonly client: number;
  readonly upstream: number;
  readonly onEnd: () => void;
  /** Set at the end. */
  traffic: Traffic | undefined;
}

/**
 * Relays on a thread of its own, by splice(2): bytes stay in the kernel. A connection's descriptors are duplicated for
 * the thread, and Node's own sockets closed. The thread is started with the first connection and ended when it is not used.
 */
export class SpliceRelay implements TcpRelay {
  readonly #options: SpliceRelayOptions;
  readonly #handovers: (Handover | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #thread: RelayThreadHandle | undefined;
  #live = 0;
  #hasFailed = false;
  #isClosed = false;
  #cancelIdle: Cancel | undefined;

  constructor(options: SpliceRelayOptions) {
    this.#options = options;
  }

  get kind(): RelayKind {
    return this.#hasFailed ? this.#options.fallback.kind : 'splice';
  }

  join(sockets: RelaySockets, onEnd: () => void): RelayedConnection {
    const descriptors = this.#duplicate(sockets);
    const thread = descriptors === undefined ? undefined : this.#useThread();
    if (descriptors === undefined || thread === undefined) {
      this.#closeAll(descriptors);
      return this.#options.fallback.join(sockets, onEnd);
    }
    const slot = this.#freeSlots.pop() ?? this.#handovers.length;
    const handover: Handover = { ...descriptors, onEnd, traffic: undefined };
    this.#handovers[slot] = handover;
    this.#live++;
    thread.shared.open[slot] = 1;
    thread.shared.traffic.fill(0, slot * TRAFFIC_FIELDS, (slot + 1) * TRAFFIC_FIELDS);
    const [clientRead, upstreamRead] = [takeRead(sockets.client), takeRead(sockets.upstream)];
    thread.post({ kind: 'join', slot, ...descriptors, clientRead, upstreamRead });
    sockets.client.destroy();
    sockets.upstream.destroy();
    return createConnection({ thread, slot, handover });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelIdle?.();
    if (this.#live === 0) return this.#stopThread();
    for (const slot of this.#handovers.keys()) this.#thread?.post({ kind: 'destroy', slot });
  }

  #duplicate({ client, upstream }: RelaySockets): Pick<Handover, 'client' | 'upstream'> | undefined {
    if (this.#hasFailed || this.#isClosed || this.#live >= MAX_CONNECTIONS) return undefined;
    const [near, far] = [descriptorOf(client), descriptorOf(upstream)];
    if (near === undefined || far === undefined) return undefined;
    const { libc } = this.#options;
    const descriptors = { client: libc.dup(near), upstream: libc.dup(far) };
    if (descriptors.client >= 0 && descriptors.upstream >= 0) return descriptors;
    this.#closeAll(descriptors);
    return undefined;
  }

  #closeAll(descriptors: Pick<Handover, 'client' | 'upstream'> | undefined): void {
    for (const fd of Object.values(descriptors ?? {})) if (fd >= 0) this.#options.libc.close(fd);
  }

  #useThread(): RelayThreadHandle | undefined {
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    if (this.#thread !== undefined) return this.#thread;
    const { libc, threadFile: file } = this.#options;
    try {
      const onDied = (error: Error) => this.#died(error);
      this.#thread = new RelayThreadHandle({ libc, file, onEnded: (slot) => this.#ended(slot), onDied });
      return this.#thread;
    } catch {
      return undefined;
    }
  }

  #ended(slot: number): void {
    const handover = this.#handovers[slot];
    if (handover === undefined) return;
    handover.traffic = readTraffic(this.#thread, slot);
    this.#handovers[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#live--;
    if (this.#live === 0) this.#unused();
    handover.onEnd();
  }

  #unused(): void {
    if (this.#isClosed) this.#stopThread();
    else this.#cancelIdle = this.#options.clock.schedule(IDLE_MS, () => this.#stopThread());
  }

  #stopThread(): void {
    this.#thread?.stop();
    this.#thread = undefined;
  }

  #died(error: Error): void {
    const thread = this.#thread;
    this.#hasFailed = true;
    const { libc, logger } = this.#options;
    const message = `the relay thread has failed: ${error.message}; its ${this.#live} connections were reset, new ones are relayed by streams`;
    logger.error({ event: 'relay-failed' }, message);
    for (const [slot, handover] of this.#handovers.entries()) {
      if (handover === undefined) continue;
      // What the thread had closed itself may be somebody else's by now.
      if (thread?.shared.open[slot] === 1) {
        libc.closeWithReset(handover.client);
        libc.closeWithReset(handover.upstream);
      }
      this.#ended(slot);
    }
    this.#cancelIdle?.();
    this.#thread = undefined;
  }
}

/** What Node has read of a socket already, as of a client that was held. */
function takeRead(socket: Socket): Uint8Array | undefined {
  const read = socket.read() as Buffer | null;
  return read === null ? undefined : new Uint8Array(read);
}

function readTraffic(thread: RelayThreadHandle | undefined, slot: number): Traffic {
  const [bytesUp = 0, bytesDown = 0] = thread?.shared.traffic.subarray(slot * TRAFFIC_FIELDS) ?? [];
  return { bytesUp, bytesDown };
}

function createConnection(parts: {
  readonly thread: RelayThreadHandle;
  readonly slot: number;
  readonly handover: Handover;
}): RelayedConnection {
  const { thread, slot, handover } = parts;
  return {
    get traffic() {
      return handover.traffic ?? readTraffic(thread, slot);
    },
    destroy() {
      if (handover.traffic === undefined) thread.post({ kind: 'destroy', slot });
    },
  };
}
