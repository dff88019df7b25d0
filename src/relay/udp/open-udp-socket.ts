import { createSocket, type Socket, type SocketType } from 'node:dgram';
import { isIPv6 } from 'node:net';

/** Room for bursts; the kernel's own limits apply. */
const BUFFER_BYTES = 4_194_304;

interface Place {
  /** `''` stands for all addresses: IPv6 and IPv4 on one socket, or IPv4 alone on a machine without IPv6. */
  readonly address: string;
  readonly port: number;
}

/** Binds a socket; whoever calls closes it. @throws the bind error, with its `code`. */
export async function openUdpSocket({ address, port }: Place): Promise<Socket> {
  if (address !== '') return bind(isIPv6(address) ? 'udp6' : 'udp4', { address, port });
  return bind('udp6', { port }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EAFNOSUPPORT' && error.code !== 'EADDRNOTAVAIL') throw error;
    return bind('udp4', { port });
  });
}

async function bind(type: SocketType, place: Partial<Place>): Promise<Socket> {
  const socket = createSocket({
    type,
    recvBufferSize: BUFFER_BYTES,
    sendBufferSize: BUFFER_BYTES,
    // Every address is an IP address. With its own look-up, node:dgram would send a tick later, out of order with what is sent
    // by other ways.
    lookup: (host, _options, callback) => callback(null, host, type === 'udp6' ? 6 : 4),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ ...place, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  }).catch((error) => {
    socket.close();
    throw error;
  });
  return socket;
}
