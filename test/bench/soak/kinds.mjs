/** The kinds of connections of the soak test. Each resolves when its connection is over, and throws where bytes differ. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const LARGE_BYTES = 300_000;
/** What the blunt server sends before it resets the connection. */
export const BLUNT_ANSWER = 'HTTP/1.1 413 Content Too Large\r\n\r\n';
/** So long an impatient client waits for what won't come, at the most. */
const MAX_PATIENCE_MS = 40;

const ALL = Buffer.alloc(2 * LARGE_BYTES, 'the quick brown fox jumps over the lazy proxy; ');

/** A piece of the same endless text, which begins somewhere else for each connection. */
function payload(bytes) {
  const start = Math.floor(Math.random() * LARGE_BYTES);
  return ALL.subarray(start, start + bytes);
}

/** Sends a payload to the echo, ends its direction, and compares what comes back. */
export async function exchange(port, { bytes, slowly = false }) {
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
  let from = '';
  socket.once('connect', () => (from = `from port ${socket.localPort} `));
  await once(socket, 'close');
  const got = Buffer.concat(chunks);
  if (!got.equals(sent)) throw new Error(from + describeDifference(sent, got));
}

/** What came back instead: fewer bytes, or bytes of somebody else. */
function describeDifference(sent, got) {
  let same = 0;
  while (same < got.length && got[same] === sent[same]) same++;
  const counts = `${got.length} of ${sent.length} bytes came back`;
  if (same === got.length) return `${counts}, then the end`;
  return `${counts}, and from byte ${same} on others: ${JSON.stringify(String(got.subarray(same, same + 100)))}`;
}

/** Sends something, and is gone in one way or the other before it has all come back. */
async function leave(port, how) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  // At least one byte: nothing comes back of nothing, and this would wait for it for ever.
  socket.write(payload(1 + Math.floor(Math.random() * (LARGE_BYTES - 1))));
  if (Math.random() < 0.8) await Promise.race([once(socket, 'data').catch(() => {}), closed]);
  how(socket);
  await closed;
}

/** Sends more than the blunt server reads, and compares what it got before the reset. */
async function getAnswer(port) {
  const socket = connect({ port, host: '127.0.0.1' });
  const chunks = [];
  socket.on('error', () => {}).on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'connect');
  socket.write(payload(5_000));
  await new Promise((resolve) => socket.once('close', resolve));
  if (String(Buffer.concat(chunks)) !== BLUNT_ANSWER) throw new Error('the answer before the reset was lost');
}

/** Waits for a workload that doesn't exist, and leaves. */
async function giveUp(port) {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  if (Math.random() < 0.5) socket.write(payload(400));
  await Promise.race([closed, sleep(Math.random() * MAX_PATIENCE_MS)]);
  if (Math.random() < 0.5) socket.destroy();
  else socket.resetAndDestroy();
  await closed;
}

/** By name, with how many of a hundred connections are of the kind; each is given the ports of all services. */
export const KINDS = {
  tiny: { share: 66, run: ({ echo }) => exchange(echo, { bytes: 1 + Math.floor(Math.random() * 400) }) },
  empty: { share: 6, run: ({ echo }) => exchange(echo, { bytes: 0 }) },
  large: { share: 6, run: ({ echo }) => exchange(echo, { bytes: LARGE_BYTES }) },
  'slow reader': { share: 2, run: ({ echo }) => exchange(echo, { bytes: LARGE_BYTES, slowly: true }) },
  reset: { share: 6, run: ({ echo }) => leave(echo, (socket) => socket.resetAndDestroy()) },
  vanishing: { share: 6, run: ({ echo }) => leave(echo, (socket) => socket.destroy()) },
  'answer and reset': { share: 4, run: ({ blunt }) => getAnswer(blunt) },
  impatient: { share: 4, run: ({ absent }) => giveUp(absent) },
};

const NAMES = Object.entries(KINDS).flatMap(([name, { share }]) => Array(share).fill(name));

/** The kind of the connection of a number. */
export function kindOf(number) {
  return NAMES[(number * 37) % NAMES.length];
}
