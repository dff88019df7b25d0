import type { Socket } from 'node:net';

/**
 * Relays bytes both ways until both directions have ended, with back-pressure. The end of one direction is passed on
 * alone (half-close); a reset or any other break on one side resets the other.
 * Both sockets must allow half-open. `onEnd` is called once, when both are closed.
 */
export function relayTcp(client: Socket, upstream: Socket, onEnd: () => void): void {
  if (client.destroyed || upstream.destroyed) {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
    onEnd();
    return;
  }
  let open = 2;
  const closed = () => {
    if (--open === 0) onEnd();
  };
  join(client, upstream, closed);
  join(upstream, client, closed);
}

function join(source: Socket, target: Socket, closed: () => void): void {
  source.on('error', () => target.resetAndDestroy());
  source.once('close', () => {
    // Not the orderly end of both directions: the other side must not wait for the rest.
    if (!source.readableEnded || !source.writableFinished) target.resetAndDestroy();
    closed();
  });
  source.pipe(target);
}
