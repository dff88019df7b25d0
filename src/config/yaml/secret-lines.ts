/** Keys whose value may be a secret, whatever they belong to; below a mapping of such a name all values may. */
const SECRET_KEY =
  /^["']?(env|environment|headers|command|.*(token|secret|passw|key|auth|credential|webhook|healthcheck|url).*)["']?$/i;
const KEY = /(?:^|[\s{,-])(["']?[\w.-]+["']?)\s*:/g;
/** A longer line is not looked through. */
const MAX_LINE_CHARACTERS = 1_000;

/**
 * Tells of lines of a YAML file, counted from 1, whether one stands for, or below, a key whose values may be secrets. It goes by
 * the text alone, since it is asked of files that are no YAML; a line that can't be told counts as one. The file is looked
 * through once, when it is first asked.
 */
export function createSecretLines(text: string): (line: number) => boolean {
  let found: readonly boolean[] | undefined;
  return (line) => {
    found ??= findSecretLines(text);
    return found[line - 1] ?? false;
  };
}

function findSecretLines(text: string): readonly boolean[] {
  /** The lines that the next one may stand below, outermost first. */
  const above: { readonly indent: number; readonly mayHoldSecret: boolean }[] = [];
  // YAML counts lines in this way: a carriage return alone ends none.
  return text.split(/\r?\n/).map((line) => {
    const indent = line.search(/[^\s-]/);
    if (indent !== -1 && !line.trimStart().startsWith('#')) {
      while (indent <= (above.at(-1)?.indent ?? -1)) above.pop();
      const mayHoldSecret = above.at(-1)?.mayHoldSecret === true || namesSecret(line);
      above.push({ indent, mayHoldSecret });
    }
    return above.at(-1)?.mayHoldSecret ?? false;
  });
}

function namesSecret(line: string): boolean {
  if (line.length > MAX_LINE_CHARACTERS) return true;
  return [...line.matchAll(KEY)].some(([, key = '']) => SECRET_KEY.test(key));
}
