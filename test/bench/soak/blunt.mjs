/** Answers as soon as a request begins, and closes with most of it unread, which resets the connection. */
import { createServer } from 'node:net';
import { BLUNT_ANSWER } from './kinds.mjs';

const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => {
    socket.write(BLUNT_ANSWER);
    socket.resetAndDestroy();
  });
});
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4_096 });
