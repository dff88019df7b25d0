import type { Socket } from 'node:net';
import { descriptorOf } from '../../native/descriptor-of.ts';
import type { Libc } from '../../native/libc.ts';
import type { ConnectionEnding } from '../../end-log.ts';
import type { Traffic } from '../../listener.ts';
import type { OnConnectionEnd, RelayedConnection, RelaySockets } from '../../tcp/tcp-relay.ts';
import { createQuietReader, type ReadQuiet } from './quiet-reader.ts';
import type { RelayThreadHandle } from './relay-thread-handle.ts';
import { CONNECTION_ENDINGS, MAX_HANDOVERS, type ThreadReport } from '../thread-protocol.ts';

interface Handover {
  readonly onEnd: OnConnectionEnd;
  /** Set at the end. */
  traffic: Traffic | undefined;
}

interface Descriptors {
  readonly client: number;
  readonly upstream: number;
}

/** The connections that were handed to a relay thread: it gets duplicates of their descriptors, and Node's sockets are closed. */
export class Handovers {
  readonly #thread: RelayThreadHandle;
  readonly #libc: Pick<Libc, 'dup' | 'close'>;
  readonly #maxDescriptor: number;
  readonly #readQuiet: ReadQuiet;
  readonly #bySlot = new Map<number, Handover>();
  readonly #freeSlots: number[] = [];
  #nextSlot = 0;

  /** @param options.maxDescriptor the first that connections may not have. */
  constructor(
    thread: RelayThreadHandle,
    {
      libc,
      maxDescriptor,
    }: { readonly libc: Pick<Libc, 'dup' | 'close' | 'readTcpInfo'>; readonly maxDescriptor: number },
  ) {
    this.#thread = thread;
    this.#libc = libc;
    this.#maxDescriptor = maxDescriptor;
    this.#readQuiet = createQuietReader(thread, libc);
  }

  get count(): number {
    return this.#bySlot.size;
  }

  /** Hands a connection to the thread; undefined if that isn't possible, and then the sockets are untouched. */
  join(sockets: RelaySockets, onEnd: OnConnectionEnd): RelayedConnection | undefined {
    if (this.count >= MAX_HANDOVERS) return undefined;
    const descriptors = this.#duplicate(sockets);
    if (descriptors === undefined) return undefined;
    const slot = this.#freeSlots.pop() ?? this.#nextSlot++;
    const handover: Handover = { onEnd, traffic: undefined };
    this.#bySlot.set(slot, handover);
    // The connection that had the slot before has ended; until the thread has this one, it has carried nothing.
    this.#thread.shared.traffic.fill(0, slot * 2, slot * 2 + 2);
    const [clientRead, upstreamRead] = [takeRead(sockets.client), takeRead(sockets.upstream)];
    const { keepAliveMs } = sockets;
    this.#thread.post({ kind: 'join', slot, ...descriptors, clientRead, upstreamRead, keepAliveMs });
    sockets.client.destroy();
    sockets.upstream.destroy();
    return this.#createConnection(slot, handover);
  }

  /** Takes the thread's report of connections that have ended. */
  take({ ended }: ThreadReport): void {
    const { endings } = this.#thread.shared;
    for (const slot of ended) this.#end(slot, CONNECTION_ENDINGS[endings[slot] ?? 0] ?? 'closed');
  }

  /** Resets all of them. */
  destroy(): void {
    for (const slot of this.#bySlot.keys()) this.#thread.post({ kind: 'destroy', slot });
  }

  /** To be called when the thread has died, and all connections with it. */
  died(): void {
    for (const slot of [...this.#bySlot.keys()]) this.#end(slot, 'cut');
  }

  #duplicate({ client, upstream }: RelaySockets): Descriptors | undefined {
    const [near, far] = [descriptorOf(client), descriptorOf(upstream)];
    if (near === undefined || far === undefined) return undefined;
    const descriptors = { client: this.#libc.dup(near), upstream: this.#libc.dup(far) };
    // Node's own two descriptors are closed in a moment. With the duplicates above the bound, the next client would find room
    // where there is none.
    const isUsable = (fd: number) => fd >= 0 && fd < this.#maxDescriptor;
    if (isUsable(descriptors.client) && isUsable(descriptors.upstream)) return descriptors;
    for (const fd of Object.values(descriptors)) if (fd >= 0) this.#libc.close(fd);
    return undefined;
  }

  #end(slot: number, ending: ConnectionEnding): void {
    const handover = this.#bySlot.get(slot);
    if (handover === undefined) return;
    handover.traffic = this.#readTraffic(slot);
    this.#bySlot.delete(slot);
    this.#freeSlots.push(slot);
    handover.onEnd(ending);
  }

  #createConnection(slot: number, handover: Handover): RelayedConnection {
    const readTraffic = () => this.#readTraffic(slot);
    const thread = this.#thread;
    const readQuiet = this.#readQuiet;
    return {
      get traffic() {
        return handover.traffic ?? readTraffic();
      },
      quietMs: () => (handover.traffic === undefined ? readQuiet(slot) : undefined),
      closeIdle(bytes) {
        if (handover.traffic === undefined) thread.post({ kind: 'close-idle', slot, bytes });
      },
      destroy() {
        if (handover.traffic === undefined) thread.post({ kind: 'destroy', slot });
      },
    };
  }

  #readTraffic(slot: number): Traffic {
    const { traffic } = this.#thread.shared;
    return { bytesUp: traffic[slot * 2] ?? 0, bytesDown: traffic[slot * 2 + 1] ?? 0 };
  }
}

/** Takes what Node has already read of a socket, for example while its client waited. */
function takeRead(socket: Socket): Uint8Array | undefined {
  const read = socket.read() as Buffer | null;
  return read === null ? undefined : new Uint8Array(read);
}
