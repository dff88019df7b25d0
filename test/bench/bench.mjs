/**
 * How fast lazy-proxy is, beside nginx, HAProxy, Caddy and programs in Go: `npm run bench`, or `npm run bench --
 * bulk udp` for some parts alone. `--quick`: few and short rounds. `--dist FOLDER`: a build that is there. A full run
 * writes `bench/results/latest.json` and `latest.svg`; with `--write` every run does, and one of some parts on the same
 * machine, with the same versions, leaves the others as they were. Needs Linux and root.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../scripts/ensure-installed.mjs';
import { createCleanup } from './bed/cleanup.mjs';
import { describeMachine, readVersions } from './bed/describe-machine.mjs';
import { openBed } from './bed/open-bed.mjs';
import { prepareProduct } from './bed/product.mjs';
import { describeMissing, findTools } from './bed/tools.mjs';
import { bulk } from './parts/bulk.mjs';
import { connections } from './parts/connections.mjs';
import { control } from './parts/control.mjs';
import { held } from './parts/held.mjs';
import { http } from './parts/http.mjs';
import { idle } from './parts/idle.mjs';
import { requests } from './parts/requests.mjs';
import { udp } from './parts/udp.mjs';
import { wake } from './parts/wake.mjs';
import { compareMeasurements } from './report/compare.mjs';
import { METRICS } from './report/metrics.mjs';
import { readMeasured } from './report/results.mjs';
import { renderControl, renderTable } from './report/table.mjs';
import { readResults, writeResults } from './report/write-results.mjs';

const PARTS = [bulk, connections, requests, http, udp, wake, idle, held, control];
const INTERRUPTED = 130;
const RESULTS = path.join(ROOT, 'bench/results');

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean' }, write: { type: 'boolean' }, dist: { type: 'string' } },
});
const log = (line) => console.error(line);
const cleanup = createCleanup();
const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => void interrupt(name));
try {
  process.exitCode = await runAll();
} catch (error) {
  if (!interruption.signal.aborted) console.error(error.stack);
  process.exitCode = 1;
} finally {
  await cleanup.runAll();
  if (interruption.signal.aborted) process.exitCode = INTERRUPTED;
}

/** Measures and prints; returns the exit status. */
async function runAll() {
  const parts = chooseParts(positionals);
  const tools = await findTools();
  const missing = describeMissing(tools);
  if (missing !== undefined) log(missing);
  if (tools.dockerd === undefined || tools.busybox === undefined || process.getuid?.() !== 0)
    throw new Error('the upstream runs in a container: root, dockerd and a static busybox are needed');
  const product = await prepareProduct(flags.dist);
  const options = { cleanup, tools, product, log, quick: flags.quick === true, signal: interruption.signal };
  const bed = await openBed(options);
  const measured = [];
  for (const part of parts) measured.push(...(await runPart(part, bed)));
  await report(bed, { parts, measured, isFull: isFull({ parts, missing }) });
  return process.exitCode ?? 0;
}

/** Figures that miss the budget are told, and are no failure: they depend on the machine. */
async function report(bed, { parts, measured, isFull }) {
  const { rows, controlRows } = judge(measured);
  const others = bed.webPeers.filter(({ id }) => !bed.peers.some((peer) => peer.id === id));
  const peers = [
    ...[...bed.peers, ...others].map(({ id, label }) => ({ id, label })),
    { id: 'direct', label: 'no proxy' },
  ];
  console.log(['', ...renderTable(rows, peers), ...renderControl(controlRows)].join('\n'));
  if (!(isFull || flags.write)) return;
  const machine = describeMachine();
  const versions = await readVersions(bed.tools);
  const date = new Date().toISOString();
  const names = parts.map(({ name }) => name);
  const before = bed.quick ? undefined : await readResults(RESULTS);
  const isSame =
    before?.quick === false &&
    JSON.stringify([before.machine, before.versions]) === JSON.stringify([machine, versions]);
  const kept = isSame ? readMeasured(before, names) : [];
  const dates = { ...(isSame && before.dates), ...Object.fromEntries(names.map((name) => [name, date])) };
  const about = { date, dates, machine, versions, quick: bed.quick };
  await writeResults(RESULTS, { ...judge([...kept, ...measured]), peers, about });
  log(`written: ${path.relative(process.cwd(), RESULTS)}/latest.json and latest.svg`);
}

function judge(measured) {
  const isControl = ({ kind }) => kind === 'control';
  return {
    rows: compareMeasurements(
      measured.filter((one) => !isControl(one)),
      METRICS,
    ),
    controlRows: measured.filter(isControl).map(({ kind, ...row }) => row),
  };
}

/** Only what has everything in it may take the place of the last results. */
function isFull({ parts, missing }) {
  const hasFailed = process.exitCode !== undefined;
  return parts.length === PARTS.length && !flags.quick && missing === undefined && !hasFailed;
}

function chooseParts(names) {
  const unknown = names.find((name) => !PARTS.some((part) => part.name === name));
  if (unknown !== undefined)
    throw new Error(`there is no part "${unknown}"; there are ${PARTS.map(({ name }) => name).join(', ')}`);
  return names.length === 0 ? PARTS : PARTS.filter(({ name }) => names.includes(name));
}

/** A part that fails is told, and doesn't take the others with it. */
async function runPart(part, bed) {
  const missing = part.needs.filter((tool) => bed.tools[tool] === undefined);
  if (missing.length > 0) {
    log(`${part.name}: left out, without ${missing.join(' and ')}`);
    return [];
  }
  log(`${part.name} …`);
  const startMs = performance.now();
  try {
    const measured = await cleanup.scope(() => part.measure(bed));
    log(`  ${Math.round((performance.now() - startMs) / 1_000)} s`);
    return measured;
  } catch (error) {
    if (interruption.signal.aborted) throw error;
    log(`${part.name} failed: ${error.stack}`);
    process.exitCode = 1;
    return [];
  }
}

async function interrupt(name) {
  if (interruption.signal.aborted) return;
  log(`${name}: cleaning up …`);
  interruption.abort(name);
  await cleanup.runAll();
  process.exit(INTERRUPTED);
}
