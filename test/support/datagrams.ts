import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { settle } from './fake-clock.ts';

/** One bound UDP socket of a test, and everything it was sent. */
export interface Endpoint {
  readonly port: number;
  readonly socket: Socket;
  /** What has arrived, oldest first. */
  readonly received: readonly Buffer[];
  /** The same as text. */
  readonly texts: readonly string[];
  /** Who has sent each of them. */
  readonly senders: readonly RemoteInfo[];
  send(datagram: string | Buffer, to: { readonly port: number; readonly address?: string }): void;
  /** Resolves when that many have arrived in all. */
  arrived(count: number): Promise<void>;
  /** Gives the port back. */
  close(): Promise<void>;
}

/** The UDP sockets of one test. */
export class Datagrams {
  readonly #endpoints = new Set<Endpoint>();

  /** A socket on a free port, or on the one that is named; `onDatagram` answers where there is one. */
  async bind(
    onDatagram: (datagram: Buffer, from: RemoteInfo, endpoint: Endpoint) => void = () => {},
    { port = 0, host = '127.0.0.1' }: { readonly port?: number; readonly host?: string } = {},
  ): Promise<Endpoint> {
    const type = isIPv6(host) ? 'udp6' : 'udp4';
    const socket = createSocket({ type, recvBufferSize: 4_194_304, sendBufferSize: 1_048_576 });
    socket.bind(port, host);
    await once(socket, 'listening');
    const endpoint = createEndpoint(socket, onDatagram, host);
    this.#endpoints.add(endpoint);
    return endpoint;
  }

  /** A socket that sends everything back, `echo ` before it. */
  echo(options: { readonly port?: number; readonly host?: string } = {}): Promise<Endpoint> {
    return this.bind((datagram, from, { socket }) => {
      socket.send(Buffer.concat([Buffer.from('echo '), datagram]), from.port, from.address);
    }, options);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#endpoints].map((endpoint) => endpoint.close()));
  }
}

function createEndpoint(
  socket: Socket,
  onDatagram: (datagram: Buffer, from: RemoteInfo, endpoint: Endpoint) => void,
  host: string,
): Endpoint {
  const received: Buffer[] = [];
  const senders: RemoteInfo[] = [];
  let closed = false;
  const endpoint: Endpoint = {
    port: socket.address().port,
    socket,
    received,
    senders,
    get texts() {
      return received.map(String);
    },
    send: (datagram, { port, address = host }) => socket.send(datagram, port, address),
    async arrived(count) {
      while (received.length < count) await settle();
    },
    async close() {
      if (closed) return;
      closed = true;
      socket.close();
      await once(socket, 'close');
    },
  };
  socket.on('message', (datagram, from) => {
    received.push(datagram);
    senders.push(from);
    onDatagram(datagram, from, endpoint);
  });
  return endpoint;
}

/** Lets what was sent on this machine arrive, and what follows from it happen. */
export async function settleDatagrams(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await settle();
}
