// Answers each datagram with the time.
import { createSocket } from 'node:dgram';

const server = createSocket('udp4');
server.on('message', (_message, { port, address }) =>
  server.send(`${new Date().toISOString()}\n`, port, address),
);
server.bind(3002, '127.0.0.1');
