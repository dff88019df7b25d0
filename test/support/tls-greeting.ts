import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { connect } from 'node:tls';

/** What a client of TLS sends first. */
export async function greetingOf(servername: string): Promise<Buffer> {
  const sent = new PassThrough();
  const socket = Duplex.from({ readable: new PassThrough(), writable: sent });
  connect({ socket, servername }).on('error', () => {});
  const [greeting] = await once(sent, 'data');
  socket.destroy();
  return greeting;
}
