import type { DatagramRun } from '../datagram-run.ts';
import { EAGAIN } from './errno.ts';
import type { LibcDatagrams } from './libc-datagrams.ts';
import { layoutFor, type MessageLayout, putPointer } from './message-layout.ts';
import { ADDRESS_WORDS, addressBytes } from './datagram-address.ts';

/** Datagrams that are taken at once. */
export const BATCH_SIZE = 64;
/**
 * Room for the longest datagram. Not a power of two, or else the beginnings of all datagrams would compete for the same
 * few lines of the processor's caches.
 */
const SLOT_BYTES = 65_536 + 192;
const LONG_ADDRESS_BYTES = ADDRESS_WORDS * 4;

/**
 * Memory for one batch of datagrams, and the calls that fill and send it. All sockets of a thread share it: a batch is
 * dealt with before the next one is taken. Pages that no datagram has touched cost nothing.
 */
export class NativeDatagrams {
  readonly #libc: LibcDatagrams;
  readonly #layout: MessageLayout;
  readonly #bytes = Buffer.from(new ArrayBuffer(BATCH_SIZE * SLOT_BYTES));
  readonly #incoming: Messages;
  readonly #outgoing: Messages;
  /** Where each slot begins, as the words of a pointer. */
  readonly #slots: Uint32Array;
  readonly #peerPointer = new Uint32Array(2);
  readonly #lengths = new Uint32Array(BATCH_SIZE);
  readonly #runs = Array.from({ length: BATCH_SIZE }, () => new SlotRun(this));
  #usedRuns = 0;

  constructor(libc: LibcDatagrams) {
    this.#libc = libc;
    this.#layout = layoutFor(libc.pointerBytes);
    this.#incoming = createMessages(libc, this.#layout);
    this.#outgoing = createMessages(libc, this.#layout);
    this.#slots = new Uint32Array(BATCH_SIZE * 2);
    const begin = libc.addressOf(this.#bytes.buffer as ArrayBuffer);
    const { message, iovec } = this.#layout;
    for (let slot = 0; slot < BATCH_SIZE; slot++) {
      const address = begin + BigInt(slot * SLOT_BYTES);
      putPointer(this.#slots, { at: slot * 2, address, layout: this.#layout });
      const { headers, iovecs, namesAddress } = this.#incoming;
      putPointer(iovecs, { at: slot * iovec.words + iovec.base, address, layout: this.#layout });
      iovecs[slot * iovec.words + iovec.length] = SLOT_BYTES;
      const name = namesAddress + BigInt(slot * LONG_ADDRESS_BYTES);
      putPointer(headers, { at: slot * message.words + message.name, address: name, layout: this.#layout });
      headers[slot * message.words + message.nameLength] = LONG_ADDRESS_BYTES;
    }
    putPointer(this.#peerPointer, { at: 0, address: this.#outgoing.namesAddress, layout: this.#layout });
  }

  /** Begins a batch with a datagram that was received otherwise, and adds what the socket's buffer holds. */
  receive(fd: number, first: Uint8Array): { readonly count: number; readonly error: number } {
    this.#usedRuns = 0;
    this.#bytes.set(first, 0);
    this.#lengths[0] = first.length;
    const { message } = this.#layout;
    const { headers, names, address } = this.#incoming;
    const result = this.#libc.receive(fd, address + message.words * 4, BATCH_SIZE - 1);
    for (let slot = 1; slot <= result; slot++) {
      const header = slot * message.words;
      this.#lengths[slot] = headers[header + message.length] ?? 0;
      // What is left from a longer address before it would be read as a part of a shorter one.
      if (headers[header + message.nameLength] !== LONG_ADDRESS_BYTES) {
        names.fill(0, slot * ADDRESS_WORDS + 4, (slot + 1) * ADDRESS_WORDS);
        headers[header + message.nameLength] = LONG_ADDRESS_BYTES;
      }
    }
    if (result >= 0) return { count: result + 1, error: 0 };
    return { count: 1, error: result === -EAGAIN ? 0 : -result };
  }

  /** The senders' addresses, `ADDRESS_WORDS` for each datagram; not the first one's. */
  get senders(): Uint32Array {
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

  copy(slot: number): Buffer {
    const begin = slot * SLOT_BYTES;
    return Buffer.from(this.#bytes.subarray(begin, begin + (this.#lengths[slot] ?? 0)));
  }

  /** Sends the datagrams of the slots `slots[from]` to `slots[end - 1]`: see `DatagramRun`. */
  send(
    fd: number,
    { slots, from, end, to }: { slots: Int32Array; from: number; end: number; to?: Uint32Array | undefined },
  ): number {
    const { message, iovec, pointerWords } = this.#layout;
    const { headers, iovecs, names, address } = this.#outgoing;
    if (to !== undefined) names.set(to);
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
    }
    return this.#libc.send(fd, address, end - from);
  }
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

  copy(index: number): Buffer {
    return this.#datagrams.copy(this.#slots[index] ?? 0);
  }

  send(fd: number, { from, to }: { readonly from: number; readonly to?: Uint32Array | undefined }): number {
    return this.#datagrams.send(fd, { slots: this.#slots, from, end: this.#size, to });
  }
}

/** Headers, the pieces of memory that they name, and addresses, for one batch. */
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
  const names = new Uint32Array(new ArrayBuffer(BATCH_SIZE * LONG_ADDRESS_BYTES));
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
