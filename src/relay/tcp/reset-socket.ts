import type { Socket } from 'node:net';

/**
 * Resets a connection: the one way to do so. While a socket sends its own end, Node refuses a reset (`EINVAL` of libuv's
 * `uv_tcp_close_reset`), but takes the socket for closed. It would never be: its descriptor stays open, no `close` tells of it, and at
 * the end the process waits for it for ever, at full speed. The end is sent within a turn of the event loop, and then it is reset.
 */
export function resetSocket(socket: Socket): void {
  if (!('encrypted' in socket) && isSendingEnd(socket))
    socket.once('finish', () => void socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

/** Lets a reset of a TLS socket reset the one below: TLS itself has none, and closed by itself it would leave that one open. */
export function resetBelow(inside: Socket, below: Socket): void {
  inside.resetAndDestroy = () => {
    // The last words of TLS may wait for a client that reads nothing.
    if (isSendingEnd(inside)) below.destroy();
    else below.resetAndDestroy();
    return inside;
  };
}

function isSendingEnd({ writableEnded, writableFinished, writableLength }: Socket): boolean {
  return writableEnded && !writableFinished && writableLength === 0;
}
