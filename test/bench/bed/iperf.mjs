import { setTimeout as sleep } from 'node:timers/promises';
import { runToEnd } from './program.mjs';

const SLACK_MS = 4_000;
/** Its server takes one test at a time, and needs a moment after each. */
const TRIES = 3;
const RETRY_MS = 1_000;

/** Runs the client and returns the `end` of its report. */
export async function runIperf(bed, { host, port, seconds, args }) {
  const all = ['-c', host, '-p', String(port), '-t', String(seconds), '-J', ...args];
  const options = { timeoutMs: seconds * 1_000 + SLACK_MS, children: bed.children };
  for (let left = TRIES; ; left -= 1) {
    try {
      return readReport(await runToEnd(bed.tools.iperf3, all, options));
    } catch (error) {
      if (left === 1 || bed.signal.aborted) throw error;
      await sleep(RETRY_MS);
    }
  }
}

/** A failure may come with a status of success, and without figures. */
function readReport(text) {
  const { end, error } = JSON.parse(text);
  if (error !== undefined || Object.keys(end ?? {}).length === 0)
    throw new Error(`iperf3 has nothing to report: ${error}`);
  return end;
}
