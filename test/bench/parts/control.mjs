/** The control side: start and reload with many services, as `npm run bench:control` measures it. */
import { measureControl } from '../control.mjs';

export const control = { name: 'control', needs: [], measure: measure };

/** @returns rows `{ name, value, unit, budget? }` instead of samples: nobody else has anything to compare. */
async function measure({ product, quick }) {
  const { rows } = await measureControl({ dist: product.dist, quick });
  return rows.map((row) => ({ kind: 'control', ...row }));
}
