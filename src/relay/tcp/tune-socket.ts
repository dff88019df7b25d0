import { Server, type Socket } from 'node:net';
import { planKeepAlive } from './keep-alive.ts';
import { descriptorOf } from '../native/descriptor-of.ts';
import type { Libc } from '../native/libc.ts';

/**
 * Sets on a socket what every socket of a connection has: no Nagle delay, and keepalive after `keepAliveMs` of silence
 * (0 = none). On Linux those that a listening socket brings in begin with what it has itself, whoever accepts them.
 * @returns false where a listening socket stays as it is: then whoever accepts has to tune each client.
 */
export type TuneSocket = (socket: Socket | Server, keepAliveMs: number) => boolean;

/** Makes it. Without `libc` the times between the probes and their number are Node's (1 s, 10). */
export function createTuneSocket(libc?: Pick<Libc, 'tuneTcp'>): TuneSocket {
  return (socket, keepAliveMs) => {
    const fd = libc === undefined ? undefined : descriptorOf(socket);
    if (fd !== undefined && libc?.tuneTcp(fd, planKeepAlive(keepAliveMs)) === 0) return true;
    if (socket instanceof Server) return false;
    tuneByNode(socket, keepAliveMs);
    return true;
  };
}

function tuneByNode(socket: Socket, keepAliveMs: number): void {
  const { idleSeconds = 0 } = planKeepAlive(keepAliveMs) ?? {};
  socket.setNoDelay(true);
  socket.setKeepAlive(idleSeconds > 0, idleSeconds * 1_000);
}
