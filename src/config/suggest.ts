import { closest, distance } from 'fastest-levenshtein';

/** `; did you mean "ports"?` where a candidate is near enough to be a slip of the finger, else `''`. */
export function suggestNearest(word: string, candidates: readonly string[]): string {
  if (candidates.length === 0) return '';
  const near = closest(normalize(word), candidates.map(normalize));
  const best = candidates.find((candidate) => normalize(candidate) === near) ?? '';
  const allowed = Math.max(1, Math.floor(word.length / 3));
  if (best === word || distance(normalize(word), near) > allowed) return '';
  return `; did you mean "${best}"?`;
}

/** Case and the choice of dash are what people get wrong without noticing. */
function normalize(word: string): string {
  return word.toLowerCase().replaceAll('_', '-');
}
