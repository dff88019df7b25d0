import { randomInt } from 'node:crypto';
import type { RemoteInfo, Socket } from 'node:dgram';
import { type ClientIo, type ClientLink, type FindFlow, sendTo } from './client-io.ts';
import type { ClientAddress } from './flow-table.ts';
import { AddressIndex } from './native/address-index.ts';
import { createFdOf, createSendFdOf } from './native/fd-of.ts';
import type { NativeDatagrams, SlotRun } from './native/native-datagrams.ts';
import { ADDRESS_WORDS, decodeAddress, encodeAddress } from './native/datagram-address.ts';
import { type RunSender, sendRun } from './send-run.ts';
import type { UdpFlow } from './udp-flow.ts';

/** A flow, and what the present batch holds for it. */
interface Party {
  readonly client: ClientAddress;
  readonly flow: UdpFlow;
  run: SlotRun | undefined;
}

/**
 * Moves many datagrams at once. node:dgram tells that there is something, and reads the first of it; what follows comes
 * in one call. Each client's datagrams then go on together, in their order. Node reads at most 32 times before it looks
 * after its other sockets, which bounds what one listener takes at a time.
 */
export class BatchClientIo implements ClientIo {
  readonly #socket: Socket;
  readonly #fdOf: () => number | undefined;
  readonly #sendFdOf: () => number | undefined;
  readonly #datagrams: NativeDatagrams;
  readonly #findFlow: FindFlow;
  readonly #byAddress = new AddressIndex<Party>(randomInt(2 ** 31));
  readonly #byFlow = new Map<UdpFlow, Party>();
  readonly #seen: Party[] = [];

  /** Reads until the socket is closed. */
  constructor(
    socket: Socket,
    { datagrams, findFlow }: { readonly datagrams: NativeDatagrams; readonly findFlow: FindFlow },
  ) {
    this.#socket = socket;
    this.#fdOf = createFdOf(socket);
    this.#sendFdOf = createSendFdOf(socket);
    this.#datagrams = datagrams;
    this.#findFlow = findFlow;
    socket.on('message', (first, from) => this.#receive(first, from));
  }

  link(client: ClientAddress): ClientLink {
    const words = encodeAddress(client);
    const sendOne = (datagram: Buffer) => {
      if (this.#fdOf() !== undefined) sendTo(this.#socket, { client, datagram });
    };
    const sender = this.#createSender(words, sendOne);
    let party: Party | undefined;
    return {
      reply: sendOne,
      replyRun: (run) => sendRun(run, sender),
      receiveWith: (flow) => {
        party = { client, flow, run: undefined };
        this.#byFlow.set(flow, party);
        if (words !== undefined) this.#byAddress.set(words, party);
      },
      unlink: () => {
        if (party !== undefined) this.#byFlow.delete(party.flow);
        if (words !== undefined) this.#byAddress.delete(words);
      },
    };
  }

  /** A client whose address the kernel could not be told is answered by node:dgram. */
  #createSender(to: Uint32Array | undefined, sendOne: (datagram: Buffer) => void): RunSender {
    return {
      to,
      fdOf: to === undefined ? () => undefined : this.#sendFdOf,
      isWritable: (fd) => this.#datagrams.isWritable(fd),
      sendOne,
      onRefused() {},
      onUnsent: sendOne,
      onUnsendable() {},
    };
  }

  #receive(first: Buffer, from: RemoteInfo): void {
    const fd = this.#fdOf();
    if (fd === undefined) return this.#findFlow(from)?.receive(first);
    const { count } = this.#datagrams.receive(fd, first);
    const { senders } = this.#datagrams;
    this.#sort(0, this.#findParty(from));
    for (let slot = 1; slot < count; slot++) {
      const at = slot * ADDRESS_WORDS;
      const party = this.#byAddress.get(senders, at);
      this.#sort(slot, party ?? this.#findParty(decodeAddress(senders.subarray(at, at + ADDRESS_WORDS))));
    }
    for (const party of this.#seen) this.#deliver(party);
    this.#seen.length = 0;
  }

  #findParty(from: ClientAddress): Party | undefined {
    const flow = this.#findFlow(from);
    return flow && this.#byFlow.get(flow);
  }

  #sort(slot: number, party: Party | undefined): void {
    if (party === undefined) return;
    if (party.run === undefined) {
      party.run = this.#datagrams.createRun();
      this.#seen.push(party);
    }
    party.run.add(slot);
  }

  #deliver(party: Party): void {
    const { run, flow, client } = party;
    party.run = undefined;
    if (run === undefined) return;
    if (!flow.hasEnded) return flow.receiveRun(run);
    // It ended because of something in this batch: what follows begins another.
    for (let index = 0; index < run.size; index++) this.#findFlow(client)?.receive(run.copy(index));
  }
}
