import { randomInt } from 'node:crypto';
import type { ClientIo, ClientLink, FindFlow } from './client-io.ts';
import type { ClientAddress } from './flow-table.ts';
import { AddressIndex } from '../native/datagrams/address-index.ts';
import { ADDRESS_WORDS, decodePeer, hasLocal, PEER_WORDS } from '../native/datagrams/datagram-address.ts';
import { EADDRNOTAVAIL, EINVAL, ENETUNREACH } from '../native/errno.ts';
import { BATCH_SIZE, type NativeDatagrams, type SlotRun } from '../native/datagrams/native-datagrams.ts';
import type { NativeUdpSocket, Sending } from '../native/datagrams/native-udp-socket.ts';
import { sendRun } from './send-run.ts';
import type { UdpFlow } from './udp-flow.ts';

/** Batches that one listener takes before the other sockets have their turn. */
const MAX_BATCHES = 32;
/** What the kernel says of an address that can't be sent from, and sometimes of the client. */
const SOURCE_ERRORS: ReadonlySet<number> = new Set([EINVAL, EADDRNOTAVAIL, ENETUNREACH]);

/** A flow, and what the present batch holds for it. */
interface Party {
  readonly client: ClientAddress;
  readonly flow: UdpFlow;
  run: SlotRun | undefined;
}

/**
 * Moves many datagrams at once, and answers from the address that was asked. The socket is ours alone: a batch comes with
 * one call, each datagram with its local address. Each client's datagrams then go on together, in their order.
 */
export class BatchClientIo implements ClientIo {
  readonly #socket: NativeUdpSocket;
  readonly #datagrams: NativeDatagrams;
  readonly #findFlow: FindFlow;
  readonly #byAddress = new AddressIndex<Party>(randomInt(2 ** 31));
  readonly #byFlow = new Map<UdpFlow, Party>();
  readonly #seen: Party[] = [];
  /** The words of the peer whose flow is asked for. */
  #asking = new Uint32Array(PEER_WORDS);

  /** Reads until it is closed. @throws the bind error, with its `code`. */
  constructor(
    place: { readonly address: string; readonly port: number },
    { datagrams, findFlow }: { readonly datagrams: NativeDatagrams; readonly findFlow: FindFlow },
  ) {
    this.#datagrams = datagrams;
    this.#findFlow = findFlow;
    this.#socket = datagrams.listen(place, {
      onReadable: () => this.#turn(),
      onUnsent: (sending, errno) => this.#sendFromElsewhere(sending, errno),
    });
  }

  /** Of the client whose flow is asked for now. */
  link(client: ClientAddress): ClientLink {
    const words = this.#asking;
    const to = words.slice();
    const sendOne = (datagram: Buffer) => this.#socket.send({ datagram, to });
    const sender = {
      to,
      fdOf: () => this.#socket.sendFd,
      isWritable: (fd: number) => this.#datagrams.isWritable(fd),
      sendOne,
      onRefused() {},
      onUnsent: sendOne,
      onUnsendable: (copy: () => Buffer) => sendOne(copy()),
    };
    let party: Party | undefined;
    return {
      reply: sendOne,
      replyRun: (run) => sendRun(run, sender),
      receiveWith: (flow) => {
        party = { client, flow, run: undefined };
        this.#byFlow.set(flow, party);
        this.#byAddress.set(words, party);
      },
      unlink: () => {
        if (party === undefined) return;
        this.#byFlow.delete(party.flow);
        this.#byAddress.delete(words);
      },
    };
  }

  close(): void {
    this.#socket.close();
  }

  #turn(): void {
    for (let batch = 0; batch < MAX_BATCHES && !this.#socket.isClosed; batch++) {
      if (this.#receive() < BATCH_SIZE) return;
    }
  }

  #receive(): number {
    const { count } = this.#datagrams.receive(this.#socket.fd);
    const { peers } = this.#datagrams;
    for (let slot = 0; slot < count; slot++) {
      const at = slot * PEER_WORDS;
      const party = this.#byAddress.get(peers, at) ?? this.#findParty(peers.slice(at, at + PEER_WORDS));
      if (party !== undefined) this.#sort(slot, party);
    }
    for (const party of this.#seen) this.#deliver(party);
    this.#seen.length = 0;
    return count;
  }

  #findParty(words: Uint32Array<ArrayBuffer>): Party | undefined {
    this.#asking = words;
    const flow = this.#findFlow(decodePeer(words));
    return flow && this.#byFlow.get(flow);
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
    if (run === undefined) return;
    if (!flow.hasEnded) return flow.receiveRun(run);
    // It ended because of something in this batch: what follows begins another.
    for (let index = 0; index < run.size; index++) {
      const { peers } = this.#datagrams;
      const at = run.slotOf(index) * PEER_WORDS;
      const words = peers.slice(at, at + PEER_WORDS);
      const next = this.#byAddress.get(words, 0) ?? this.#findParty(words);
      next?.flow.receive(run.copy(index));
    }
  }

  /** Nothing can be sent from a broadcast address that was asked, nor after the machine has left that network. */
  #sendFromElsewhere({ datagram, to }: Sending, errno: number): void {
    if (to === undefined || !SOURCE_ERRORS.has(errno) || !hasLocal(to)) return;
    const fromAnywhere = to.slice().fill(0, ADDRESS_WORDS);
    if (this.#socket.sendNow({ datagram, to: fromAnywhere })) to.set(fromAnywhere);
  }
}
