/**
 * Measures the control side with so many services, in this process: `node --expose-gc measure-size.mjs SIZE DIST`.
 * Prints JSON, or sends it to the process that forked it. With `--cpu-prof` before the file it says where the time goes.
 */
import { measureCron } from './measure-cron.mjs';
import { measureFile } from './measure-file.mjs';
import { measureLifecycle } from './measure-lifecycle.mjs';
import { measureTable } from './measure-table.mjs';
import { loadProduct } from './product.mjs';

/** A file with more services than this is beyond what anybody writes. */
const MAX_FILE_SERVICES = 10_000;

if (process.argv[1] === import.meta.filename) await main();

/** Runs all of the simulation; returns a result for each phase. */
export async function measureSize({ product, size }) {
  const results = [];
  const report = (result) => results.push(result);
  const { readings, table } = await measureTable({ product, size, report });
  await measureLifecycle({ product, size, report, readings, table });
  await measureCron({ product, size, report });
  if (size <= MAX_FILE_SERVICES) await measureFile({ product, size, report });
  return results;
}

async function main() {
  const size = Number(process.argv[2]);
  const product = await loadProduct(process.argv[3] ?? 'dist-dev');
  const results = await measureSize({ product, size });
  if (process.send !== undefined) process.send({ size, results });
  else console.log(JSON.stringify({ size, results }, undefined, 2));
  process.disconnect?.();
}
