import type { Socket } from 'node:dgram';
import type { DatagramRun } from './datagram-run.ts';
import { type ClientAddress, FlowTable } from './flow-table.ts';
import { openUdpSocket } from './open-udp-socket.ts';
import type { UdpFlow } from './udp-flow.ts';

/** Makes the flow of a client that has none; `undefined` for a client that isn't served. */
export type CreateFlow = (from: ClientAddress) => UdpFlow | undefined;

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
  /** Hands the client's datagrams to this flow from now on. */
  receiveWith(flow: UdpFlow): void;
  unlink(): void;
}

/**
 * Moves each datagram alone, by node:dgram, which doesn't tell the local address that a datagram was sent to. So on a
 * listener for all addresses, the kernel chooses the address that answers come from.
 */
export class SingleClientIo implements ClientIo {
  readonly #socket: Socket;
  readonly #flows = new FlowTable<UdpFlow>();
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
      receiveWith: (flow) => this.#flows.set(client, flow),
      unlink: () => this.#flows.delete(client),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}
