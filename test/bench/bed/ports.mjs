import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** Below the range from which the kernel takes ports for outgoing connections, so that nobody takes one meanwhile. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;

/** `count` different ports that were free a moment ago, for TCP and UDP. */
export async function findFreePorts(count) {
  const found = new Set();
  while (found.size < count) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    if (!found.has(port) && (await canListen(port)) && (await canBind(port))) found.add(port);
  }
  return [...found];
}

function canListen(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}

function canBind(port) {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => socket.close(() => resolve(false)));
    socket.bind(port, () => socket.close(() => resolve(true)));
  });
}
