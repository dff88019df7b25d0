/** The control side: start and reload with many services, measured by a file of its own. */
import { existsSync } from 'node:fs';
import path from 'node:path';

const FILE = path.join(import.meta.dirname, '../control.mjs');

export const control = { name: 'control', needs: [], measure: measure };

/** @returns rows `{ name, value, unit, budget? }` instead of samples: nobody else has anything to compare. */
async function measure({ product, quick, log }) {
  if (!existsSync(FILE)) {
    log('control: left out, there is no test/bench/control.mjs');
    return [];
  }
  const { measureControl } = await import(FILE);
  const { rows } = await measureControl({ dist: product.dist, quick });
  return rows.map((row) => ({ kind: 'control', ...row }));
}
