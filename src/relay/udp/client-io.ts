import type { Socket } from 'node:dgram';
import type { DatagramRun } from './datagram-run.ts';
import { type ClientAddress, FlowTable } from './flow-table.ts';
import { openUdpSocket } from './open-udp-socket.ts';
import type { UdpFlow } from './udp-flow.ts';

/** Makes the flow of a client that has none; `undefined` for a client that isn't served. */
export type CreateFlow = (from: ClientAddress) => UdpFlow | undefined;

/** A listener's socket: hands datagrams to the flows of its clients, and their replies back. */
export interface ClientIo {
  /** For a flow that is being made, while it is asked for. */
  link(client: ClientAddress): ClientLink;
  /** Gives the port back. Idempotent. */
  close(): void;
}

/** One client's part of it. */
export interface ClientLink {
  reply(datagram: Buffer): void;
  replyRun(run: DatagramRun): void;
  /** The flow that takes the client's datagrams from now on. */
  receiveWith(flow: UdpFlow): void;
  unlink(): void;
}

/**
 * Moves each datagram alone, by node:dgram. On a socket for all addresses of the machine the kernel chooses the one that
 * answers come from: nothing tells which one was asked.
 */
export class SingleClientIo implements ClientIo {
  readonly #socket: Socket;
  readonly #flows = new FlowTable<UdpFlow>();
  #closed = false;

  private constructor(socket: Socket, createFlow: CreateFlow) {
    this.#socket = socket;
    socket.on('message', (datagram, from) => (this.#flows.get(from) ?? createFlow(from))?.receive(datagram));
    // A client that is gone (ICMP) is no reason to stop listening.
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
    // What can't be sent is lost, as on any network.
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
