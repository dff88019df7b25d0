import type { Socket } from 'node:dgram';
import type { DatagramRun } from './datagram-run.ts';
import type { ClientAddress } from './flow-table.ts';
import type { UdpFlow } from './udp-flow.ts';

/** Finds a client's flow, or makes one; `undefined` for a client that isn't served. */
export type FindFlow = (from: ClientAddress) => UdpFlow | undefined;

/** How a listener's socket hands datagrams to the flows of its clients, and their replies back. */
export interface ClientIo {
  link(client: ClientAddress): ClientLink;
}

/** One client's part of it. */
export interface ClientLink {
  reply(datagram: Buffer): void;
  replyRun(run: DatagramRun): void;
  /** The flow that takes the client's datagrams from now on. */
  receiveWith(flow: UdpFlow): void;
  unlink(): void;
}

/** Moves each datagram alone, by node:dgram. */
export class SingleClientIo implements ClientIo {
  readonly #socket: Socket;

  /** Reads until the socket is closed. */
  constructor(socket: Socket, findFlow: FindFlow) {
    this.#socket = socket;
    socket.on('message', (datagram, from) => findFlow(from)?.receive(datagram));
  }

  link(client: ClientAddress): ClientLink {
    const reply = (datagram: Buffer) => sendTo(this.#socket, { client, datagram });
    return {
      reply,
      replyRun(run) {
        for (let index = 0; index < run.size; index++) reply(run.copy(index));
      },
      receiveWith() {},
      unlink() {},
    };
  }
}

/** Sends by node:dgram; what can't be sent is lost, as on any network. */
export function sendTo(
  socket: Socket,
  { client, datagram }: { readonly client: ClientAddress; readonly datagram: Buffer },
): void {
  socket.send(datagram, client.port, client.address, () => {});
}
