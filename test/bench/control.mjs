/**
 * What the control side of the running program costs, with real sockets and an engine that is made up:
 * `npm run bench:control`. It goes up to 10,000 services, or as many as there are file descriptors for; `--quick` stops at
 * 1,000, `--json` prints the rows as JSON, `--dist FOLDER` measures a build that is there. Linux only. Status 1 where a row
 * is beyond its budget.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureInstalled, ROOT } from '../../scripts/ensure-installed.mjs';
import { runCommand } from '../../scripts/run-command.mjs';
import { isBeyond, renderRow } from './control/figures.mjs';
import { measureFile } from './control/measure-file.mjs';
import { measureLabels } from './control/measure-labels.mjs';
import { rowsOfFiles, rowsOfLabels } from './control/rows.mjs';

const SIZES = [100, 1_000, 10_000];
const QUICK_SIZES = [100, 1_000];

/** Of containers with labels, and of events in a second. */
const CONTAINERS = [100, 1_000];
const EVENTS = 5_000;

/** What a process needs beside a file descriptor for each listener. */
const SPARE_DESCRIPTORS = 1_000;

if (process.argv[1] === import.meta.filename) await main();

/**
 * Measures the build in `dist`; `report` is told of each step.
 * @returns {Promise<{ rows: { name: string, value: number, unit: string, budget?: { max: number, unit: string } }[] }>}
 */
export async function measureControl({ dist, quick = false, report = () => {} }) {
  const maxSize = Math.floor((readDescriptorLimit() - SPARE_DESCRIPTORS) / 2 / 1_000) * 1_000;
  const sizes = (quick ? QUICK_SIZES : SIZES).map((size) => Math.min(size, maxSize));
  report('a file with 1 service …');
  const single = await measureFile({ dist, size: 1, quick: true });
  const files = [];
  for (const size of sizes) {
    report(`a file with ${size.toLocaleString('en')} services …`);
    files.push({ size, ...(await measureFile({ dist, size, quick })) });
  }
  const labels = [];
  for (const size of CONTAINERS) {
    report(`${size.toLocaleString('en')} labelled containers …`);
    labels.push({ size, ...(await measureLabels({ dist, size, events: EVENTS })) });
  }
  return { rows: [...rowsOfFiles({ single, files }), ...rowsOfLabels(labels, EVENTS)] };
}

async function main() {
  const { values: flags } = parseArgs({
    options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, dist: { type: 'string' } },
  });
  const dist = flags.dist ?? (await build());
  const { rows } = await measureControl({ dist, quick: flags.quick, report: (step) => console.error(step) });
  console.log(flags.json ? JSON.stringify({ rows }, undefined, 2) : rows.map(renderRow).join('\n'));
  process.exitCode = rows.some(isBeyond) ? 1 : 0;
}

async function build() {
  await ensureInstalled();
  const { status, output } = await runCommand('npm', ['run', 'build'], { cwd: ROOT, quiet: true });
  if (status !== 0) throw new Error(`the build failed:\n${output}`);
  return path.join(ROOT, 'dist');
}

function readDescriptorLimit() {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits) ?? [];
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
}
