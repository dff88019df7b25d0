/**
 * Words as bash has them on its command line, taken apart and put together. Names come from a proxy that may be anybody's: what is put
 * together stands for the name and for nothing else, whatever it holds.
 */

/** A word whose quotes are taken away. */
export interface BashWord {
  readonly text: string;
  /** The quotation mark with which the word begins and that is still open. */
  readonly open: '' | '"' | "'";
  /** Whether a quotation mark is open that stands within the word: what follows can't be put together. */
  readonly isTorn: boolean;
}

/** Nothing is expanded: `$HOME` stays as it is. */
export function readBashWord(raw: string): BashWord {
  let text = '';
  let open: BashWord['open'] = '';
  let openedAt = -1;
  for (let at = 0; at < raw.length; at += 1) {
    const char = raw[at] ?? '';
    const next = raw[at + 1] ?? '';
    if (open === '' && (char === '"' || char === "'")) {
      open = char;
      openedAt = at;
    } else if (char === open) open = '';
    else if (char === '\\' && open !== "'" && (open === '' || /["$`\\]/.test(next))) {
      text += next;
      at += 1;
    } else text += char;
  }
  const isTorn = open !== '' && openedAt > 0;
  return { text, open, isTorn };
}

/** The text in place of a word that is being typed; undefined where it can't stand there. */
export function writeBashWord(text: string, { open, isTorn }: BashWord): string | undefined {
  if (isTorn) return undefined;
  if (open === "'") return text.includes("'") ? undefined : text;
  // What follows an exclamation mark is taken from the history even here.
  if (open === '"') return /["$`\\!]/.test(text) ? undefined : text;
  return text.replace(/[^\p{L}\p{N}_@%+,./:=-]/gu, '\\$&');
}
