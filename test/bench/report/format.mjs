/** Figures for people. Pure. */

/** Three digits that count, and no more than the eye needs: 12,345, 123, 1.23, 0.012. */
export function formatFigure(value) {
  const size = Math.abs(value);
  if (size >= 100 || size === 0) return Math.round(value).toLocaleString('en');
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** `0.87 ×`. */
export function formatRatio(ratio) {
  return `${ratio.toFixed(ratio >= 10 ? 1 : 2)} ×`;
}
