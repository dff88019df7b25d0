/**
 * A program that holds connections, for the part `held`: `node held-client.mjs HOST PORT COUNT`. Each carries one request
 * to its answer and is then left alone; `ask`, a message, has each carry one more. Tells how many were answered.
 */
import { connect } from 'node:net';

const BURST = 100;
const TIMEOUT_MS = 20_000;
const REQUEST = 'GET / HTTP/1.1\r\nhost: bench\r\n\r\n';

const [host, port, count] = process.argv.slice(2);
const sockets = [];

for (let index = 0; index < Number(count); index += BURST) {
  const burst = Array.from({ length: Math.min(BURST, Number(count) - index) }, open);
  sockets.push(...(await Promise.all(burst)));
}
process.send({ answered: await askAll() });
process.on('message', async () => process.send({ answered: await askAll() }));
process.on('disconnect', () => process.exit());

/** Resolves with the socket, whether or not it got connected. */
function open() {
  const socket = connect(Number(port), host);
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket));
    socket.on('error', () => resolve(socket));
  });
}

async function askAll() {
  let answered = 0;
  for (let index = 0; index < sockets.length; index += BURST) {
    const answers = await Promise.all(sockets.slice(index, index + BURST).map(ask));
    answered += answers.filter(Boolean).length;
  }
  return answered;
}

function ask(socket) {
  if (socket.destroyed || !socket.writable) return false;
  return new Promise((resolve) => {
    const end = (answer) => {
      clearTimeout(timer);
      socket.removeAllListeners('data').removeAllListeners('close');
      resolve(answer);
    };
    const timer = setTimeout(end, TIMEOUT_MS, false);
    socket.once('data', () => end(true));
    socket.once('close', () => end(false));
    socket.write(REQUEST);
  });
}
