import { distance } from 'fastest-levenshtein';

/** `; did you mean "ports"?` where a candidate is near enough to be a slip of the finger, else `''`. */
export type Suggest = (word: string) => string;

/**
 * Pairs that are compared over all words: a file of thousands of unknown names and thousands of known ones must not cost
 * their product. Beyond it only case and dashes are seen to.
 */
const MAX_COMPARISONS = 500_000;

/** Suggests candidates for one word after the other; each word is looked at once, the candidates are prepared once. */
export function createSuggester(candidates: readonly string[]): Suggest {
  const known = new Map<string, string>();
  for (const candidate of candidates) {
    const normal = normalize(candidate);
    if (!known.has(normal)) known.set(normal, candidate);
  }
  const said = new Map<string, string>();
  let comparisons = 0;
  const findNearest = (word: string): string | undefined => {
    const normal = normalize(word);
    const same = known.get(normal);
    if (same !== undefined) return same;
    let allowed = Math.max(1, Math.floor(word.length / 3));
    let nearest: string | undefined;
    if (comparisons + known.size > MAX_COMPARISONS) return undefined;
    comparisons += known.size;
    for (const [other, candidate] of known) {
      if (Math.abs(other.length - normal.length) > allowed) continue;
      const steps = distance(normal, other);
      if (steps > allowed) continue;
      nearest = candidate;
      // From here on only a nearer one counts.
      allowed = steps - 1;
    }
    return nearest;
  };
  return (word) => {
    const before = said.get(word);
    if (before !== undefined) return before;
    const nearest = findNearest(word);
    const suggestion = nearest === undefined || nearest === word ? '' : `; did you mean "${nearest}"?`;
    said.set(word, suggestion);
    return suggestion;
  };
}

/** The suggestion for one word alone. */
export function suggestNearest(word: string, candidates: readonly string[]): string {
  return createSuggester(candidates)(word);
}

/** Case and the choice of dash are what people get wrong without noticing. */
function normalize(word: string): string {
  return word.toLowerCase().replaceAll('_', '-');
}
