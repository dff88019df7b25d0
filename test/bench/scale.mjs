/**
 * What the control side of the proxy costs with 100 to 100,000 services: `npm run bench:scale`. No socket is bound.
 * `--quick` stops at 10,000 services, `--json` prints the measurements, `--dist FOLDER` measures a build that is there.
 * Figures depend on the machine; what is checked is growth alone: status 1 where something grows faster than the services.
 */
import { fork } from 'node:child_process';
import { cpus } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureInstalled, ROOT } from '../../scripts/ensure-installed.mjs';
import { runCommand } from '../../scripts/run-command.mjs';
import { compareSizes, findFailures } from './scale/growth.mjs';
import { renderRows } from './scale/render.mjs';

const SIZES = [100, 1_000, 10_000, 100_000];
const QUICK_SIZES = [100, 1_000, 10_000];

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, dist: { type: 'string' } },
});
try {
  process.exitCode = await compare(flags.quick ? QUICK_SIZES : SIZES);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

/** Measures and prints; returns the exit status. */
async function compare(sizes) {
  const dist = flags.dist ?? (await build());
  const reports = [];
  for (const size of sizes) reports.push(await measure(size, dist));
  const rows = compareSizes(reports);
  const failures = findFailures(rows);
  const machine = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}`;
  if (flags.json) console.log(JSON.stringify({ machine, reports, failures }, undefined, 2));
  else console.log([machine, '', ...renderRows(rows, sizes), '', ...describe(failures)].join('\n'));
  return failures.length === 0 ? 0 : 1;
}

async function build() {
  await ensureInstalled();
  const compiler = path.join(ROOT, 'node_modules/.bin/tsc');
  const { status, output } = await runCommand(compiler, ['-p', 'tsconfig.build.json'], {
    cwd: ROOT,
    quiet: true,
  });
  if (status !== 0) throw new Error(`the build failed:\n${output}`);
  return path.join(ROOT, 'dist-dev');
}

/** Measures one size in a process of its own, because memory that was used once is not all given back. */
function measure(size, dist) {
  if (!flags.json) console.error(`${size.toLocaleString('en')} services …`);
  return new Promise((resolve, reject) => {
    const file = path.join(import.meta.dirname, 'scale/measure-size.mjs');
    // A small machine's own heap limit would end it; what it takes is what is to be found out.
    const execArgv = ['--expose-gc', '--max-old-space-size=6144'];
    const child = fork(file, [String(size), dist], { execArgv });
    let report;
    child.once('message', (message) => {
      report = message;
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0 && report !== undefined) resolve(report);
      else reject(new Error(`the measurement with ${size} services ended with status ${code}`));
    });
  });
}

function describe(failures) {
  if (failures.length === 0) return ['everything grows like the number of services'];
  return failures.map((failure) => `✗ ${failure}`);
}
