import type { Socket } from 'node:dgram';

/** What a socket of node:dgram keeps under a symbol of its own; its public way to the handle warns that it is old. */
interface SocketState {
  readonly handle?: { readonly fd?: unknown } | null;
}

/** Makes a function that tells a UDP socket's descriptor; `undefined` when it is closed, or where Node hides it. */
export function createFdOf(socket: Socket): () => number | undefined {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const state = key && (socket as unknown as Record<symbol, SocketState | undefined>)[key];
  return () => {
    const fd = state?.handle?.fd;
    return typeof fd === 'number' && fd >= 0 ? fd : undefined;
  };
}
