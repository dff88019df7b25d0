import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const REQUEST = 'GET / HTTP/1.0\r\n\r\n';

/**
 * Asks for a page and resolves with its first byte's arrival.
 * @param {{ host: string, port: number, timeoutMs: number }} options
 * @returns {Promise<boolean>} false where nothing came.
 */
export function askForByte({ host, port, timeoutMs }) {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true });
    const end = (answer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(end, timeoutMs, false);
    socket.once('connect', () => socket.write(REQUEST));
    socket.once('data', () => end(true));
    socket.once('error', () => end(false));
    socket.once('end', () => end(false));
  });
}

/** Asks again and again, at once, until there is an answer. */
export async function askUntilByte({ host, port, timeoutMs }) {
  const deadlineMs = performance.now() + timeoutMs;
  while (performance.now() < deadlineMs) {
    // A lost SYN would be sent again only after a second.
    if (await askForByte({ host, port, timeoutMs: 100 })) return;
    await sleep(1);
  }
  throw new Error(`no answer from ${host}:${port} in time`);
}
