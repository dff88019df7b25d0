import { escapeText } from '../../model/text/escape-text.ts';
import { maskUrls } from '../../model/text/show-url.ts';
import { widthOf } from '../../model/text/text-width.ts';
import { createHiddenLines } from './secret-lines.ts';

const MAX_LINE_CHARACTERS = 160;
/** A tab ends at a multiple of this. The terminal's own tab stops would depend on what is printed before the line. */
const TAB_COLUMNS = 4;

/**
 * Shows a place: two lines, undefined where the text has no such line or it has more than 160 characters. `ofKey`: it is that of a
 * key, and what follows it is hidden, since the value of a key that nobody knows may be anything.
 */
export type RenderCaret = (place: {
  readonly line: number;
  readonly column: number;
  readonly ofKey?: boolean;
}) => string | undefined;

/**
 * Makes a renderer that shows a line of a source with a caret below a column, which is counted in UTF-16 units from 1.
 * Characters that a terminal must not get are escaped, and of a URL only scheme and host are shown, with `*` for the rest. Of what
 * may be a secret nothing is shown.
 * The caret allows for all this, for tabs and for wide characters.
 */
export function createCaretRenderer(text: string): RenderCaret {
  // YAML counts lines in this way: a carriage return alone ends none.
  const lines = text.split(/\r?\n/);
  const isHidden = createHiddenLines(text);
  return ({ line, column, ofKey = false }) => {
    const source = lines[line - 1];
    if (source === undefined || source.trim() === '' || source.length > MAX_LINE_CHARACTERS) return undefined;
    const safe = isHidden(line)
      ? hideValues(source)
      : maskUrls(ofKey ? hideAroundKey(source, column) : source);
    const before = showSource(safe.slice(0, column - 1), 0);
    const after = showSource(safe.slice(column - 1), before.columns);
    return `  ${before.text}${after.text}\n  ${' '.repeat(before.columns)}^`;
  };
}

/** What follows the first key, with `*` for each character. */
function hideValues(line: string): string {
  const [key = ''] = /^\s*(?:- +)*(?:["']?[\w.-]+["']?\s*:)?/.exec(line) ?? [];
  return `${key}${line.slice(key.length).replaceAll(/\S/g, '*')}`;
}

/** As hideValues, but the key at a column stays, too: before it may stand another one that nobody knows. */
function hideAroundKey(line: string, column: number): string {
  return `${hideValues(line.slice(0, column - 1))}${hideValues(line.slice(column - 1))}`;
}

/** Makes a part of a line fit to be shown; also tells at which column it ends, if it begins after `from` columns. */
function showSource(part: string, from: number): { readonly text: string; readonly columns: number } {
  let text = '';
  let columns = from;
  for (const char of part) {
    const shown = char === '\t' ? ' '.repeat(TAB_COLUMNS - (columns % TAB_COLUMNS)) : escapeText(char);
    text += shown;
    columns += shown === char ? widthOf(char) : shown.length;
  }
  return { text, columns };
}
