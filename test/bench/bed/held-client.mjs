/**
 * A program that holds connections, for the part `held`: `node held-client.mjs HOST PORT COUNT`. Each carries one request
 * to its answer and is then left alone; `ask`, a message, has each carry one more. Tells how many were answered, and gives
 * up at the first ones that are not: a relay that has no more descriptors lets the others wait for nothing.
 */
import { connect } from 'node:net';

const BURST = 100;
const TIMEOUT_MS = 10_000;
const REQUEST = 'GET / HTTP/1.1\r\nhost: bench\r\n\r\n';

const [host, port, count] = process.argv.slice(2);
const sockets = [];

process.send({ answered: await openAll() });
process.on('message', async () => process.send({ answered: await askAll() }));
process.on('disconnect', () => process.exit());

async function openAll() {
  let answered = 0;
  while (sockets.length < Number(count)) {
    const size = Math.min(BURST, Number(count) - sockets.length);
    const burst = Array.from({ length: size }, () =>
      connect(Number(port), host).on('error', () => undefined),
    );
    sockets.push(...burst);
    const more = await askEach(burst);
    answered += more;
    if (more < size) break;
  }
  return answered;
}

async function askAll() {
  let answered = 0;
  for (let index = 0; index < sockets.length; index += BURST) {
    const burst = sockets.slice(index, index + BURST);
    const more = await askEach(burst);
    answered += more;
    if (more < burst.length) break;
  }
  return answered;
}

/** How many of them were answered. */
async function askEach(burst) {
  return (await Promise.all(burst.map(ask))).filter(Boolean).length;
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
