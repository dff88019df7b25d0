import { once } from 'node:events';
import { createConnection, createServer, type NetConnectOpts, type Socket } from 'node:net';

/** Where something listens: on a port of this machine, or on a socket file. */
export type RelayPlace = { readonly port: number } | { readonly path: string };

/** A way to an engine that can be cut; whoever opens it closes it. */
export interface SwitchedRelay {
  /** Cuts what is connected, and refuses what comes. */
  cut(): Promise<void>;
  /** Takes connections again. Idempotent. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** Listens at `at` and connects whoever comes with `engine`, as bytes. */
export async function openSwitchedRelay(at: RelayPlace, engine: NetConnectOpts): Promise<SwitchedRelay> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = createConnection({ ...engine, allowHalfOpen: true });
    for (const [from, to] of [[client, upstream] as const, [upstream, client] as const]) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  const restore = async () => {
    if (server.listening) return;
    server.listen('port' in at ? { port: at.port, host: '127.0.0.1' } : { path: at.path });
    await once(server, 'listening');
  };
  const cut = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await restore();
  return { cut, restore, close: cut };
}
