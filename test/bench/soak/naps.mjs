/** Visits a service that is put to sleep between the visits, for as long as the soak test runs. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { exchange } from './kinds.mjs';

/** One after the other in each visit: the first wakes it. */
const EXCHANGES = 20;
const MAX_SLEEP_MS = 20_000;

/** @returns how often it was woken, and what went wrong. */
export async function visitNapper({ port, target, signal }) {
  const faults = [];
  let wakes = 0;
  while (!signal.aborted) {
    for (let count = 0; count < EXCHANGES; count++) {
      await exchange(port, { bytes: 200 }).catch((error) => faults.push(`nap ${wakes}: ${error.message}`));
    }
    if (await fallsAsleep(target)) wakes++;
    else faults.push(`it is awake ${MAX_SLEEP_MS / 1_000} s after visit ${wakes}`);
  }
  return { wakes, faults };
}

/** Whether its own port is closed within the time. */
async function fallsAsleep(target) {
  const deadlineMs = performance.now() + MAX_SLEEP_MS;
  while (performance.now() < deadlineMs) {
    const socket = connect({ port: target, host: '127.0.0.1' });
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (!isOpen) return true;
    await sleep(100);
  }
  return false;
}
