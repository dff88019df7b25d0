/** Keys whose value may be a secret, whatever they belong to; below a mapping of such a name all values may. */
const SECRET_KEY =
  /^["']?(env|environment|headers|command|socket|.*(token|secret|passw|key|auth|credential|webhook|healthcheck|url).*)["']?$/i;
/** Of these, those whose values are secret whatever else their lines say. */
const HIDDEN_KEY =
  /^["']?(env|environment|headers|command|secret|token|api_key|basic_auth|webhook_url|.*passw.*)["']?$/i;
const KEY = /(?:^|[\s{,-])(["']?[\w.-]+["']?)\s*:/g;
/** A longer line is not looked through. */
const MAX_LINE_CHARACTERS = 1_000;

/**
 * Tells of lines of a YAML file, counted from 1, whether one stands for, or below, a key whose values may be secrets. It goes by
 * the text alone, since it is asked of files that are no YAML; a line that can't be told counts as one. The file is looked
 * through once, when it is first asked.
 */
export function createSecretLines(text: string): (line: number) => boolean {
  return createLines(text, SECRET_KEY);
}

/** As createSecretLines, for those lines of which no value may be shown, not even a part. */
export function createHiddenLines(text: string): (line: number) => boolean {
  return createLines(text, HIDDEN_KEY);
}

function createLines(text: string, keys: RegExp): (line: number) => boolean {
  let found: readonly boolean[] | undefined;
  return (line) => {
    found ??= findLines(text, keys);
    return found[line - 1] ?? false;
  };
}

function findLines(text: string, keys: RegExp): readonly boolean[] {
  /** The lines that the next one may stand below, outermost first. */
  const above: { readonly indent: number; readonly mayHoldSecret: boolean }[] = [];
  let before = false;
  // YAML counts lines in this way: a carriage return alone ends none.
  return text.split(/\r?\n/).map((line) => {
    const indent = line.search(/[^\s-]/);
    if (indent !== -1 && !line.trimStart().startsWith('#')) {
      while (indent <= (above.at(-1)?.indent ?? -1)) above.pop();
      // Text that is indented too little belongs to the key before it.
      const mayHoldSecret =
        above.at(-1)?.mayHoldSecret === true || namesOne(line, keys) || (before && !line.includes(':'));
      above.push({ indent, mayHoldSecret });
    }
    before = above.at(-1)?.mayHoldSecret ?? false;
    return before;
  });
}

function namesOne(line: string, keys: RegExp): boolean {
  if (line.length > MAX_LINE_CHARACTERS) return true;
  return [...line.matchAll(KEY)].some(([, key = '']) => keys.test(key));
}
