import { runToEnd } from './program.mjs';

const SLACK_MS = 15_000;
const UNIT_MS = { us: 1e-3, ms: 1, s: 1e3, m: 6e4 };

/** Runs the client and returns requests per second, and the latency's percentiles in milliseconds. */
export async function runWrk(bed, { host, port, seconds, connections, headers = [], path = '/' }) {
  const args = [
    ...['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--latency'],
    ...headers.flatMap((header) => ['-H', header]),
    `http://${host}:${port}${path}`,
  ];
  const timeoutMs = seconds * 1_000 + SLACK_MS;
  return readReport(await runToEnd(bed.tools.wrk, args, { timeoutMs, children: bed.children }));
}

/** @throws {Error} where nothing was answered. */
function readReport(text) {
  const [, rate] = /^Requests\/sec:\s+([\d.]+)/m.exec(text) ?? [];
  if (rate === undefined || Number(rate) === 0) throw new Error(`wrk got no answers:\n${text}`);
  return { perSecond: Number(rate), p50Ms: readPercentile(text, 50), p99Ms: readPercentile(text, 99) };
}

function readPercentile(text, percent) {
  const [, value, unit] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s|m)`, 'm').exec(text) ?? [];
  return Number(value) * UNIT_MS[unit];
}
