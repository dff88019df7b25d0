/** The kinds of connections of the soak test. Each resolves when its connection is over, and throws where bytes differ. */
import { once } from 'node:events';
import { connect } from 'node:net';

const LARGE_BYTES = 300_000;
const ALL = Buffer.alloc(2 * LARGE_BYTES, 'the quick brown fox jumps over the lazy proxy; ');

/** A piece of the same endless text, which begins somewhere else for each connection. */
function payload(bytes) {
  const start = Math.floor(Math.random() * LARGE_BYTES);
  return ALL.subarray(start, start + bytes);
}

/** Sends a payload to the echo, ends its direction, and compares what comes back. */
async function exchange(port, { bytes, slowly = false }) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const sent = payload(bytes);
  const chunks = [];
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    if (!slowly || chunks.length > 4) return;
    socket.pause();
    setTimeout(() => socket.resume(), 20);
  });
  socket.end(sent);
  await once(socket, 'close');
  if (!Buffer.concat(chunks).equals(sent)) throw new Error(`${bytes} bytes came back as others`);
}

/** Sends something, and is gone in one way or the other before it has all come back. */
async function leave(port, how) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(payload(Math.floor(Math.random() * LARGE_BYTES)));
  if (Math.random() < 0.8) await Promise.race([once(socket, 'data').catch(() => {}), closed]);
  how(socket);
  await closed;
}

/** By name, with how many of a hundred connections are of the kind. */
export const KINDS = {
  tiny: { share: 72, run: (port) => exchange(port, { bytes: 1 + Math.floor(Math.random() * 400) }) },
  empty: { share: 8, run: (port) => exchange(port, { bytes: 0 }) },
  large: { share: 6, run: (port) => exchange(port, { bytes: LARGE_BYTES }) },
  'slow reader': { share: 2, run: (port) => exchange(port, { bytes: LARGE_BYTES, slowly: true }) },
  reset: { share: 6, run: (port) => leave(port, (socket) => socket.resetAndDestroy()) },
  vanishing: { share: 6, run: (port) => leave(port, (socket) => socket.destroy()) },
};

const NAMES = Object.entries(KINDS).flatMap(([name, { share }]) => Array(share).fill(name));

/** The kind of the connection of a number. */
export function kindOf(number) {
  return NAMES[(number * 37) % NAMES.length];
}
