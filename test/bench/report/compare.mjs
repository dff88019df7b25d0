/** From samples to medians, ratios and verdicts. Pure. */
import { PRODUCT, REFERENCES } from './metrics.mjs';

/** The middle one of the values, or the mean of the two in the middle. */
export function medianOf(values) {
  if (values.length === 0) throw new RangeError('there is no median of nothing');
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[upper] : (sorted[upper - 1] + sorted[upper]) / 2;
}

/**
 * One row for each metric that was measured, in their order: the figures of each peer with their ratios to the
 * references, and whether ours keeps the budget.
 * @param {readonly { metric: string, peer: string, samples: readonly number[] }[]} measurements
 * @param {readonly object[]} metrics
 */
export function compareMeasurements(measurements, metrics) {
  return metrics.flatMap((metric) => {
    const own = measurements.filter((measurement) => measurement.metric === metric.id);
    if (own.length === 0) return [];
    const medians = new Map(own.map(({ peer, samples }) => [peer, medianOf(samples)]));
    const cells = own.map(({ peer, samples }) => {
      const median = medians.get(peer);
      return { peer, median, samples, ratios: metric.isAbsolute ? {} : findRatios(median, medians) };
    });
    return [{ metric, cells, verdict: judge(metric.budget, cells) }];
  });
}

/** How many times the figure of each reference. */
function findRatios(median, medians) {
  const ratios = REFERENCES.flatMap(({ peer }) => {
    const reference = medians.get(peer);
    return reference === undefined || reference === 0 ? [] : [[peer, median / reference]];
  });
  return Object.fromEntries(ratios);
}

/** Undefined where there is no budget, or nothing to judge it by. */
function judge(budget, cells) {
  const product = cells.find(({ peer }) => peer === PRODUCT);
  if (budget === undefined || product === undefined) return undefined;
  const { than, min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = budget;
  const value = than === undefined ? product.median : roundRatio(product.ratios[than]);
  if (value === undefined) return undefined;
  return { isMet: value >= min && value <= max, value, budget: describeBudget(budget) };
}

/** Two digits, as they are shown: what is behind them is noise. */
function roundRatio(ratio) {
  return ratio === undefined ? undefined : Math.round(ratio * 100) / 100;
}

function describeBudget({ than, min, max }) {
  const limit = min === undefined ? `≤ ${max}` : `≥ ${min}`;
  const reference = REFERENCES.find(({ peer }) => peer === than);
  return reference === undefined ? limit : `${limit} × ${reference.label}`;
}
