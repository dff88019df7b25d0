/** Resource versions: numbers too long for JavaScript's own, which grow with every change in the cluster. */

const NUMBER = /^(0|[1-9]\d*)$/;

/**
 * Below 0 where `a` is older than `b`, 0 where they are the same, above 0 where it is newer; undefined where they can't
 * be compared.
 */
export function compareVersions(a: string, b: string): number | undefined {
  if (a === b) return 0;
  if (!NUMBER.test(a) || !NUMBER.test(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : 1;
}
