import type { Socket } from 'node:dgram';
import type { DatagramRun } from './datagram-run.ts';
import { type ClientAddress, FlowTable } from './flow-table.ts';
import { openUdpSocket } from './open-udp-socket.ts';

/** Takes the datagrams of one sender: a client's flow, as a rule. */
export interface DatagramTaker {
  /** It takes no more; the next datagram of the sender begins something new. */
  readonly hasEnded: boolean;
  receive(datagram: Buffer): void;
  /** Takes many; the run is valid only until this returns. */
  receiveRun(run: DatagramRun): void;
}

/** Makes what takes the datagrams of a sender that has nothing yet; `undefined` for one that isn't served. */
export type CreateFlow = (from: ClientAddress) => DatagramTaker | undefined;

/** A listener's socket: hands datagrams to the flows of its clients, and their replies back. */
export interface ClientIo {
  /** The link of a new flow; to be called only while `CreateFlow` runs. */
  link(client: ClientAddress): ClientLink;
  /** Gives the port back. Idempotent. */
  close(): void;
}

/** What one client has of a listener's socket. */
export interface ClientLink {
  reply(datagram: Buffer): void;
  replyRun(run: DatagramRun): void;
  /** Hands the client's datagrams to this one from now on. */
  receiveWith(taker: DatagramTaker): void;
  unlink(): void;
}

/**
 * Moves each datagram alone, by node:dgram, which doesn't tell the local address that a datagram was sent to. So on a
 * listener for all addresses, the kernel chooses the address that answers come from.
 */
export class SingleClientIo implements ClientIo {
  readonly #socket: Socket;
  readonly #flows = new FlowTable<DatagramTaker>();
  #closed = false;

  private constructor(socket: Socket, createFlow: CreateFlow) {
    this.#socket = socket;
    socket.on('message', (datagram, from) => (this.#flows.get(from) ?? createFlow(from))?.receive(datagram));
    // Such as an ICMP error for a client that is gone: the listener goes on.
    socket.on('error', () => {});
  }

  /** Reads until it is closed. @throws the bind error, with its `code`. */
  static async open(
    place: { readonly address: string; readonly port: number },
    createFlow: CreateFlow,
  ): Promise<SingleClientIo> {
    return new SingleClientIo(await openUdpSocket(place), createFlow);
  }

  link(client: ClientAddress): ClientLink {
    // A datagram that can't be sent is lost, as on any network.
    const reply = (datagram: Buffer) => {
      if (!this.#closed) this.#socket.send(datagram, client.port, client.address, () => {});
    };
    return {
      reply,
      replyRun(run) {
        for (let index = 0; index < run.size; index++) reply(run.copy(index));
      },
      receiveWith: (taker) => this.#flows.set(client, taker),
      unlink: () => this.#flows.delete(client),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}
