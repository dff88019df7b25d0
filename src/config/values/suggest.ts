import { distance } from 'fastest-levenshtein';

/** `; did you mean "ports"?` where a candidate is near enough to be a slip of the finger, else `''`. */
export type Suggest = (word: string) => string;

/**
 * At most so many pairs of words are compared: thousands of unknown names in a file with thousands of services must not
 * cost their product. After that only words that differ in case or dashes are found.
 */
const MAX_COMPARISONS = 500_000;

/** Makes a suggester that prepares its candidates once and remembers its answer for each word. */
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
      const edits = distance(normal, other);
      const steps = edits === 2 && isSwap(normal, other) ? 1 : edits;
      if (steps > allowed) continue;
      nearest = candidate;
      // From now on only a nearer candidate counts.
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

/** Whether two letters beside each other have changed places, the commonest slip: `prots` for `ports`. */
function isSwap(word: string, other: string): boolean {
  if (word.length !== other.length) return false;
  const first = [...word].findIndex((letter, index) => letter !== other[index]);
  const swapped = `${word[first + 1]}${word[first]}`;
  return first >= 0 && `${word.slice(0, first)}${swapped}${word.slice(first + 2)}` === other;
}

/** Makes words equal that differ only in case or in the choice of dash. */
function normalize(word: string): string {
  return word.toLowerCase().replaceAll('_', '-');
}
