import type { DatagramRun } from '../../udp/datagram-run.ts';
import { ADDRESS_WORDS, addressBytes, hasLocal, isIpv6, PEER_WORDS } from './datagram-address.ts';
import { EAGAIN, EMSGSIZE } from '../errno.ts';
import type { LibcDatagrams } from './libc-datagrams.ts';
import type { LoopPoll } from '../loop-poll.ts';
import { layoutFor, type MessageLayout, putPointer } from './message-layout.ts';
import { NativeUdpSocket, type Sending, type SocketHandlers } from './native-udp-socket.ts';
import { PacketInfo } from './packet-info.ts';

/** Datagrams that are received at once. */
export const BATCH_SIZE = 64;
/**
 * Room for the longest datagram. Not a power of two: otherwise the beginnings of all slots would compete for the same few
 * lines of the processor's caches.
 */
const SLOT_BYTES = 65_536 + 192;
const MAX_DATAGRAM_BYTES = 65_535;
const LONG_ADDRESS_BYTES = ADDRESS_WORDS * 4;

/**
 * Memory for one batch of datagrams, and the calls that fill and send it. All sockets share it, because a batch is dealt with
 * before the next one is received. Pages that no datagram has touched cost nothing.
 */
export class NativeDatagrams {
  readonly #libc: LibcDatagrams;
  readonly #means: {
    readonly libc: LibcDatagrams;
    readonly poll: LoopPoll;
    readonly sendAlone: (fd: number, sending: Sending) => number;
  };
  readonly #layout: MessageLayout;
  /** One slot more than a batch has, for a datagram that is sent alone. */
  readonly #bytes = Buffer.from(new ArrayBuffer((BATCH_SIZE + 1) * SLOT_BYTES));
  readonly #incoming: Messages;
  readonly #outgoing: Messages;
  readonly #info: PacketInfo;
  /** Where each slot begins, as the words of a pointer. */
  readonly #slots: Uint32Array;
  readonly #peerPointer = new Uint32Array(2);
  readonly #lengths = new Uint32Array(BATCH_SIZE + 1);
  readonly #alone = Int32Array.of(BATCH_SIZE);
  readonly #runs = Array.from({ length: BATCH_SIZE }, () => new SlotRun(this));
  #usedRuns = 0;

  constructor(libc: LibcDatagrams, poll: LoopPoll) {
    this.#libc = libc;
    this.#means = { libc, poll, sendAlone: (fd, sending) => this.sendAlone(fd, sending) };
    this.#layout = layoutFor(libc.pointerBytes);
    this.#info = new PacketInfo(libc, { layout: this.#layout, count: BATCH_SIZE });
    this.#incoming = createMessages(libc, this.#layout);
    this.#outgoing = createMessages(libc, this.#layout);
    this.#slots = new Uint32Array((BATCH_SIZE + 1) * 2);
    const begin = libc.addressOf(this.#bytes.buffer as ArrayBuffer);
    const { message, iovec } = this.#layout;
    for (let slot = 0; slot <= BATCH_SIZE; slot++) {
      const address = begin + BigInt(slot * SLOT_BYTES);
      putPointer(this.#slots, { at: slot * 2, address, layout: this.#layout });
      if (slot === BATCH_SIZE) break;
      const { headers, iovecs, namesAddress } = this.#incoming;
      putPointer(iovecs, { at: slot * iovec.words + iovec.base, address, layout: this.#layout });
      iovecs[slot * iovec.words + iovec.length] = SLOT_BYTES;
      const name = namesAddress + BigInt(slot * PEER_WORDS * 4);
      const header = slot * message.words;
      putPointer(headers, { at: header + message.name, address: name, layout: this.#layout });
      headers[header + message.nameLength] = LONG_ADDRESS_BYTES;
      const control = this.#info.addressOf(slot);
      putPointer(headers, { at: header + message.control, address: control, layout: this.#layout });
      headers[header + message.controlLength] = this.#info.bytes;
    }
    putPointer(this.#peerPointer, { at: 0, address: this.#outgoing.namesAddress, layout: this.#layout });
  }

  /** Opens a socket for clients; whoever calls closes it. @throws the bind error, with its `code`. */
  listen(place: Place, handlers: SocketHandlers): NativeUdpSocket {
    return NativeUdpSocket.listen(place, { means: this.#means, handlers });
  }

  /** Opens a socket to a workload; whoever calls closes it. @throws the error of connect(2), with its `code`. */
  connect(place: Place, handlers: SocketHandlers): NativeUdpSocket {
    return NativeUdpSocket.connect(place, { means: this.#means, handlers });
  }

  /** Begins a new batch with what the socket's buffer holds. */
  receive(fd: number): Batch {
    this.#usedRuns = 0;
    const { message } = this.#layout;
    const { headers, names, address } = this.#incoming;
    const count = this.#libc.receive(fd, address, BATCH_SIZE);
    for (let slot = 0; slot < count; slot++) {
      const header = slot * message.words;
      const peer = slot * PEER_WORDS;
      this.#lengths[slot] = headers[header + message.length] ?? 0;
      // Otherwise the rest of a longer address, from an earlier batch, would be read as part of a shorter one.
      if (headers[header + message.nameLength] !== LONG_ADDRESS_BYTES) {
        names.fill(0, peer + 4, peer + ADDRESS_WORDS);
        headers[header + message.nameLength] = LONG_ADDRESS_BYTES;
      }
      this.#info.read(slot, {
        bytes: headers[header + message.controlLength] ?? 0,
        into: names,
        at: peer + ADDRESS_WORDS,
      });
      headers[header + message.controlLength] = this.#info.bytes;
    }
    if (count >= 0) return { count, error: 0 };
    return { count: 0, error: count === -EAGAIN ? 0 : -count };
  }

  /** Who has sent each datagram of the batch: `PEER_WORDS` for each. */
  get peers(): Uint32Array {
    return this.#incoming.names;
  }

  /** An empty run of this batch. */
  createRun(): SlotRun {
    const run = this.#runs[this.#usedRuns++];
    if (run === undefined) throw new Error('a batch has no more runs than datagrams');
    run.clear();
    return run;
  }

  /** The first datagrams of this batch as one run. */
  createRunOf(count: number): DatagramRun {
    const run = this.createRun();
    for (let slot = 0; slot < count; slot++) run.add(slot);
    return run;
  }

  isWritable(fd: number): boolean {
    return this.#libc.isWritable(fd);
  }

  lengthOf(slot: number): number {
    return this.#lengths[slot] ?? 0;
  }

  copy(slot: number): Buffer {
    const begin = slot * SLOT_BYTES;
    const end = begin + (this.#lengths[slot] ?? 0);
    // Memory of its own: a datagram that is kept must not keep a whole piece of Node's buffer pool alive.
    return Buffer.from(this.#bytes.buffer.slice(begin, end) as ArrayBuffer);
  }

  /** Sends one datagram that is no part of the batch: 1, or the negative `errno`. */
  sendAlone(fd: number, { datagram, to }: Sending): number {
    // A longer one would not fit into the slot, and the kernel takes none.
    if (datagram.length > MAX_DATAGRAM_BYTES) return -EMSGSIZE;
    this.#bytes.set(datagram, BATCH_SIZE * SLOT_BYTES);
    this.#lengths[BATCH_SIZE] = datagram.length;
    return this.send(fd, { slots: this.#alone, from: 0, end: 1, to });
  }

  /** Sends the datagrams of the slots `slots[from]` to `slots[end - 1]`: see `DatagramRun`. */
  send(
    fd: number,
    { slots, from, end, to }: { slots: Int32Array; from: number; end: number; to?: Uint32Array | undefined },
  ): number {
    const { message, iovec, pointerWords } = this.#layout;
    const { headers, iovecs, names, address } = this.#outgoing;
    if (to !== undefined) names.set(to);
    const controlBytes = to !== undefined && hasLocal(to) ? this.#info.write(to, isIpv6(to)) : 0;
    const [controlLow = 0, controlHigh = 0] = controlBytes === 0 ? [] : this.#info.outgoingPointer;
    const nameLength = to === undefined ? 0 : addressBytes(to);
    const [nameLow = 0, nameHigh = 0] = to === undefined ? [] : this.#peerPointer;
    for (let index = from; index < end; index++) {
      const slot = slots[index] ?? 0;
      const part = (index - from) * iovec.words;
      iovecs[part + iovec.base] = this.#slots[slot * 2] ?? 0;
      if (pointerWords === 2) iovecs[part + iovec.base + 1] = this.#slots[slot * 2 + 1] ?? 0;
      iovecs[part + iovec.length] = this.#lengths[slot] ?? 0;
      const header = (index - from) * message.words;
      headers[header + message.name] = nameLow;
      if (pointerWords === 2) headers[header + message.name + 1] = nameHigh;
      headers[header + message.nameLength] = nameLength;
      headers[header + message.control] = controlLow;
      if (pointerWords === 2) headers[header + message.control + 1] = controlHigh;
      headers[header + message.controlLength] = controlBytes;
    }
    return this.#libc.send(fd, address, end - from);
  }
}

interface Place {
  readonly address: string;
  readonly port: number;
}

/** How many datagrams came; `error` is the `errno` where none came for another reason than an empty buffer, else 0. */
interface Batch {
  readonly count: number;
  readonly error: number;
}

/** Some datagrams of the present batch. */
export class SlotRun implements DatagramRun {
  readonly #datagrams: NativeDatagrams;
  readonly #slots = new Int32Array(BATCH_SIZE);
  #size = 0;

  constructor(datagrams: NativeDatagrams) {
    this.#datagrams = datagrams;
  }

  get size(): number {
    return this.#size;
  }

  clear(): void {
    this.#size = 0;
  }

  add(slot: number): void {
    this.#slots[this.#size++] = slot;
  }

  lengthOf(index: number): number {
    return this.#datagrams.lengthOf(this.#slots[index] ?? 0);
  }

  /** The slot of one of them in the batch. */
  slotOf(index: number): number {
    return this.#slots[index] ?? 0;
  }

  copy(index: number): Buffer {
    return this.#datagrams.copy(this.#slots[index] ?? 0);
  }

  send(fd: number, { from, to }: { readonly from: number; readonly to?: Uint32Array | undefined }): number {
    return this.#datagrams.send(fd, { slots: this.#slots, from, end: this.#size, to });
  }
}

/** The C structures of one batch: headers, the memory that they point to, and socket addresses. */
interface Messages {
  readonly headers: Uint32Array;
  readonly iovecs: Uint32Array;
  readonly names: Uint32Array;
  /** Of the headers. */
  readonly address: number;
  readonly namesAddress: bigint;
}

function createMessages(libc: LibcDatagrams, layout: MessageLayout): Messages {
  const { message, iovec } = layout;
  const headers = new Uint32Array(new ArrayBuffer(BATCH_SIZE * message.words * 4));
  const iovecs = new Uint32Array(new ArrayBuffer(BATCH_SIZE * iovec.words * 4));
  const names = new Uint32Array(new ArrayBuffer(BATCH_SIZE * PEER_WORDS * 4));
  const iovecsAddress = libc.addressOf(iovecs.buffer);
  for (let index = 0; index < BATCH_SIZE; index++) {
    const header = index * message.words;
    const address = iovecsAddress + BigInt(index * iovec.words * 4);
    putPointer(headers, { at: header + message.iovec, address, layout });
    headers[header + message.iovecCount] = 1;
  }
  const address = Number(libc.addressOf(headers.buffer));
  return { headers, iovecs, names, address, namesAddress: libc.addressOf(names.buffer) };
}
