import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from './request.mjs';

/** Between the answer to one request and the next; the proxy is to be watched, not kept busy. */
const PAUSE_MS = 2;

/**
 * Does something while a client asks `GET /health` over and over; returns its result, and the longest time that an
 * answer took: what a client sees when the event loop stands still.
 */
export async function watchStalls(port, act) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const controller = new AbortController();
  const longest = askUntil(controller.signal, { port, agent });
  // Said after the act is done.
  longest.catch(() => {});
  try {
    const result = await act();
    controller.abort();
    return { result, longestMs: await longest };
  } finally {
    controller.abort();
    await longest.catch(() => {});
    agent.destroy();
  }
}

async function askUntil(signal, { port, agent }) {
  let longestMs = 0;
  await request(port, { path: '/health', agent });
  while (!signal.aborted) {
    const startMs = performance.now();
    await request(port, { path: '/health', agent });
    longestMs = Math.max(longestMs, performance.now() - startMs);
    await sleep(PAUSE_MS);
  }
  return longestMs;
}
