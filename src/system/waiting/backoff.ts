/**
 * Delay before the next try after `failures` failures in a row: `firstMs`, doubled each time, at most `maxMs`.
 * @param failures at least 1.
 */
export function backoffMs(
  failures: number,
  options: { readonly firstMs: number; readonly maxMs: number },
): number {
  return Math.min(options.maxMs, options.firstMs * 2 ** Math.min(failures - 1, 30));
}
