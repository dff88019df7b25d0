/** Figures and how they are shown. Pure. */

const NAME_WIDTH = 84;

/** The middle one. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

export function isBeyond({ value, budget }) {
  return budget !== undefined && value > budget.max;
}

/** A row as a line for a terminal. */
export function renderRow(row) {
  const { name, value, unit, budget } = row;
  const shown = `${value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 })} ${unit}`;
  const bound =
    budget === undefined ? '' : `  ${isBeyond(row) ? '✗' : '✓'} at most ${budget.max} ${budget.unit}`;
  return `${name.padEnd(NAME_WIDTH)}${shown.padStart(14)}${bound}`;
}
