import type { Server, Socket } from 'node:net';

/**
 * The descriptor under one of Node's sockets; undefined where it is closed, or Node doesn't tell. Node has no public way
 * to it: `_handle.fd` has been there on POSIX systems since Node 0.12, and its absence is not an error here.
 */
export function descriptorOf(socket: Socket | Server): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  const fd = handle?.fd;
  return fd !== undefined && fd >= 0 ? fd : undefined;
}
