import type { Socket as UdpSocket } from 'node:dgram';
import type { Server, Socket } from 'node:net';

/**
 * The descriptor of one of Node's sockets, for reading and writing the same bytes as through it; undefined where it is closed, Node
 * doesn't tell, or the bytes below are encrypted.
 */
export function descriptorOf(socket: Socket | Server): number | undefined {
  return 'encrypted' in socket ? undefined : wireDescriptorOf(socket);
}

/**
 * The descriptor of the connection under one of Node's sockets, also under TLS; undefined where it is closed, or Node doesn't tell.
 * Node has no public way to it: `_handle.fd` has been there on POSIX systems since Node 0.12, and its absence is not an error here.
 */
export function wireDescriptorOf(socket: Socket | Server): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  const fd = handle?.fd;
  return fd !== undefined && fd >= 0 ? fd : undefined;
}

/** What a socket of node:dgram keeps under a private symbol. The public way to the handle prints a deprecation warning. */
interface SocketState {
  readonly handle?: { readonly fd?: unknown } | null;
}

/** Makes a function that returns the descriptor of a UDP socket; undefined when it is closed, or where Node hides it. */
export function createDescriptorOfUdp(socket: UdpSocket): () => number | undefined {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const state = key && (socket as unknown as Record<symbol, SocketState | undefined>)[key];
  return () => {
    const fd = state?.handle?.fd;
    return typeof fd === 'number' && fd >= 0 ? fd : undefined;
  };
}
