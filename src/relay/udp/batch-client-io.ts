import { randomInt } from 'node:crypto';
import type { ClientIo, ClientLink, CreateFlow, DatagramTaker } from './client-io.ts';
import type { DatagramRun } from './datagram-run.ts';
import { AddressIndex } from '../native/datagrams/address-index.ts';
import { ADDRESS_WORDS, decodePeer, hasLocal, PEER_WORDS } from '../native/datagrams/datagram-address.ts';
import { EADDRNOTAVAIL, EINVAL, ENETUNREACH } from '../native/errno.ts';
import { BATCH_SIZE, type NativeDatagrams, type SlotRun } from '../native/datagrams/native-datagrams.ts';
import type { NativeUdpSocket, Sending, SocketHandlers } from '../native/datagrams/native-udp-socket.ts';
import { type RunSender, sendRun } from './send-run.ts';

/** Batches that one listener takes before the other sockets have their turn. */
const MAX_BATCHES = 32;
/** The errors of an address that nothing can be sent from; sometimes they are about the client's address. */
const SOURCE_ERRORS: ReadonlySet<number> = new Set([EINVAL, EADDRNOTAVAIL, ENETUNREACH]);

/** What all clients of one listener share. */
interface Shared {
  readonly socket: NativeUdpSocket;
  readonly datagrams: NativeDatagrams;
  readonly byAddress: AddressIndex<Party>;
}

/** A client with its flow, and its datagrams of the present batch. */
class Party implements ClientLink, RunSender {
  /** The client's address, and the local address to answer from. */
  readonly to: Uint32Array;
  flow: DatagramTaker | undefined;
  run: SlotRun | undefined;
  readonly #words: Uint32Array;
  readonly #io: Shared;

  constructor(words: Uint32Array, io: Shared) {
    this.#words = words;
    // The local address may be taken out of it later: see `onSendFailed`.
    this.to = hasLocal(words) ? words.slice() : words;
    this.#io = io;
  }

  reply(datagram: Buffer): void {
    this.#io.socket.send({ datagram, to: this.to });
  }

  replyRun(run: DatagramRun): void {
    sendRun(run, this);
  }

  receiveWith(flow: DatagramTaker): void {
    this.flow = flow;
    this.#io.byAddress.set(this.#words, this);
  }

  unlink(): void {
    if (this.flow !== undefined) this.#io.byAddress.delete(this.#words);
  }

  fdOf(): number | undefined {
    return this.#io.socket.sendFd;
  }

  isWritable(fd: number): boolean {
    return this.#io.datagrams.isWritable(fd);
  }

  sendOne(datagram: Buffer): void {
    this.reply(datagram);
  }

  onRefused(): void {}

  onUnsent(datagram: Buffer): void {
    this.reply(datagram);
  }

  onUnsendable(copy: () => Buffer): void {
    this.reply(copy());
  }
}

/**
 * Moves many datagrams at once, and answers from the address that was asked. One call receives a batch, each datagram with
 * its local address. The datagrams of each client then go on together, in their order.
 */
export class BatchClientIo implements ClientIo, SocketHandlers {
  readonly #datagrams: NativeDatagrams;
  readonly #createFlow: CreateFlow;
  readonly #byAddress = new AddressIndex<Party>(randomInt(2 ** 31));
  readonly #shared: Shared;
  readonly #seen: Party[] = [];
  #hasNewFlow = false;
  /** The peer whose flow is being created. */
  #asking: Uint32Array = new Uint32Array(PEER_WORDS);

  /** Reads until it is closed. @throws the bind error, with its `code`. */
  constructor(
    place: { readonly address: string; readonly port: number },
    { datagrams, createFlow }: { readonly datagrams: NativeDatagrams; readonly createFlow: CreateFlow },
  ) {
    this.#datagrams = datagrams;
    this.#createFlow = createFlow;
    const socket = datagrams.listen(place, this);
    this.#shared = { socket, datagrams, byAddress: this.#byAddress };
  }

  /** The link of the client whose flow is being created. */
  link(): ClientLink {
    return new Party(this.#asking, this.#shared);
  }

  close(): void {
    this.#shared.socket.close();
  }

  onReadable(): void {
    const { socket } = this.#shared;
    this.#hasNewFlow = false;
    // After a batch with new flows, these get their turn to reach their port. Otherwise a burst of new clients would look like
    // as many clients that wait for a start.
    for (let batch = 0; batch < MAX_BATCHES && !socket.isClosed && !this.#hasNewFlow; batch++) {
      if (this.#receive() < BATCH_SIZE) return;
    }
  }

  /** Tries again from any address: nothing can be sent from a broadcast address, or from one that the machine has lost. */
  onSendFailed({ datagram, to }: Sending, errno: number): void {
    if (to === undefined || !SOURCE_ERRORS.has(errno) || !hasLocal(to)) return;
    const fromAnywhere = to.slice().fill(0, ADDRESS_WORDS);
    if (this.#shared.socket.sendNow({ datagram, to: fromAnywhere })) to.set(fromAnywhere);
  }

  #receive(): number {
    const { count } = this.#datagrams.receive(this.#shared.socket.fd);
    const { peers } = this.#datagrams;
    for (let slot = 0; slot < count; slot++) {
      const party = this.#findParty(peers, slot * PEER_WORDS);
      if (party !== undefined) this.#sort(slot, party);
    }
    for (const party of this.#seen) this.#deliver(party);
    this.#seen.length = 0;
    return count;
  }

  #findParty(peers: Uint32Array, at: number): Party | undefined {
    const known = this.#byAddress.get(peers, at);
    if (known !== undefined) return known;
    this.#asking = peers.slice(at, at + PEER_WORDS);
    const flow = this.#createFlow(decodePeer(this.#asking));
    this.#hasNewFlow = true;
    return flow && this.#byAddress.get(this.#asking, 0);
  }

  #sort(slot: number, party: Party): void {
    if (party.run === undefined) {
      party.run = this.#datagrams.createRun();
      this.#seen.push(party);
    }
    party.run.add(slot);
  }

  #deliver(party: Party): void {
    const { run, flow } = party;
    party.run = undefined;
    if (run === undefined || flow === undefined) return;
    if (!flow.hasEnded) return flow.receiveRun(run);
    // Something in this batch ended the flow: the datagrams after it begin another one.
    for (let index = 0; index < run.size; index++) {
      const next = this.#findParty(this.#datagrams.peers, run.slotOf(index) * PEER_WORDS);
      next?.flow?.receive(run.copy(index));
    }
  }
}
