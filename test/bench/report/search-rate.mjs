/** The search for the highest rate that still passes; measures through its argument alone. */

const GROWTH = 1.5;
const MAX_STEPS = 16;

/**
 * Goes up by half until a rate fails (down, where the first one does), then halves the gap.
 * @param {(rate: number) => Promise<{ kind: 'passed' | 'limit', perSecond: number } | { kind: 'lossy' }>} measureAt
 * `limit`: it passed, and more can't be asked for.
 * @param {{ first: number, steps: number }} options `steps`: how often the gap is halved.
 * @returns {Promise<number>} the highest figure that was measured; 0 where every rate failed.
 */
export async function searchRate(measureAt, { first, steps }) {
  let best = 0;
  let low;
  let high;
  let rate = first;
  let halvings = 0;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const result = await measureAt(rate);
    if (result.kind !== 'lossy') best = Math.max(best, result.perSecond);
    if (result.kind === 'limit') return best;
    if (result.kind === 'lossy') high = rate;
    else low = rate;
    if (low === undefined) rate = high / GROWTH;
    else if (high === undefined) rate = low * GROWTH;
    else {
      if (halvings === steps) return best;
      rate = (low + high) / 2;
      halvings += 1;
    }
  }
  return best;
}
