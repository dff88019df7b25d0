/** Tables for a terminal. Input: cells of anybody's text. Output: lines of harmless text that are not wider than asked. Pure. */
import { escapeText } from '../../model/text/escape-text.ts';
import { widthOf } from '../../model/text/text-width.ts';

/** Puts colour round text that is harmless and padded already; see `createPaint`. */
export type Paint = (text: string, style: Style) => string;
export type Style = 'plain' | 'dim' | 'bold' | 'green' | 'yellow' | 'red' | 'cyan';

export interface Cell {
  readonly text: string;
  readonly style?: Style;
}

export interface Column {
  readonly title: string;
  /** It is not made narrower than this, unless its content is; absent = it keeps its width. */
  readonly minColumns?: number;
}

const GAP = '  ';
const CODES: Readonly<Record<Style, string>> = {
  ...{ plain: '', dim: '2', bold: '1', green: '32', yellow: '33', red: '31', cyan: '36' },
};

/** Colours where somebody looks; without, text stays as it is. */
export function createPaint(isColoured: boolean): Paint {
  if (!isColoured) return (text) => text;
  return (text, style) => (CODES[style] === '' ? text : `\u001b[${CODES[style]}m${text}\u001b[0m`);
}

/**
 * A table with its title line. What is too wide takes room from the columns that may be narrower, the widest first; the rest of
 * a text that is cut is `…`. Where even that is too wide, each line is cut.
 * @param options.columns of the terminal; undefined = any width.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { columns: screen, paint }: { readonly columns: number | undefined; readonly paint: Paint },
): readonly string[] {
  const safe = rows.map((row) => row.map(({ text, style = 'plain' }) => ({ text: escapeText(text), style })));
  const title = columns.map(({ title: text }) => ({ text, style: 'dim' as const }));
  const all = [title, ...safe];
  const widths = columns.map((_, index) => Math.max(...all.map((row) => widthOf(row[index]?.text ?? ''))));
  const fitted = screen === undefined ? widths : shrink(widths, columns, screen);
  return all.map((row) => renderRow(row, { widths: fitted, screen, paint }));
}

/** How many columns the table takes where nothing is cut. */
export function widthOfTable(columns: readonly Column[], rows: readonly (readonly Cell[])[]): number {
  const widths = columns.map(({ title }, index) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(escapeText(row[index]?.text ?? '')))),
  );
  return widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1));
}

/** A text of at most so many columns; what is left out is `…`. */
export function cutText(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let cut = '';
  let used = 0;
  for (const char of text) {
    used += widthOf(char);
    if (used > columns - 1) break;
    cut += char;
  }
  return columns < 1 ? '' : `${cut}…`;
}

function shrink(widths: readonly number[], columns: readonly Column[], screen: number): readonly number[] {
  const fitted = [...widths];
  const gaps = GAP.length * (widths.length - 1);
  const excess = () => fitted.reduce((sum, width) => sum + width, gaps) - screen;
  for (let over = excess(); over > 0; over = excess()) {
    const spare = fitted.map((width, index) => width - (columns[index]?.minColumns ?? width));
    const most = spare.indexOf(Math.max(...spare));
    const room = spare[most] ?? 0;
    if (room <= 0) break;
    // The widest gives until the next one is as wide, so that no column vanishes beside another.
    const next = Math.max(0, ...spare.filter((_, index) => index !== most));
    fitted[most] = (fitted[most] ?? 0) - Math.min(over, Math.max(1, room - next));
  }
  return fitted;
}

function renderRow(
  row: readonly Required<Cell>[],
  parts: { readonly widths: readonly number[]; readonly screen: number | undefined; readonly paint: Paint },
): string {
  let left = parts.screen ?? Number.POSITIVE_INFINITY;
  const last = row.findLastIndex(({ text }) => text !== '');
  let line = '';
  for (const [index, { text, style }] of row.slice(0, last + 1).entries()) {
    const gap = index === 0 ? '' : GAP.slice(0, left);
    left -= gap.length;
    const shown = cutText(text, Math.min(parts.widths[index] ?? 0, left));
    const used = widthOf(shown);
    const padded = index === last ? 0 : Math.min(Math.max(0, (parts.widths[index] ?? 0) - used), left - used);
    line += `${gap}${parts.paint(shown, style)}${' '.repeat(padded)}`;
    left -= used + padded;
  }
  return line;
}

/**
 * Lines of at most so many columns, broken at spaces; the first begins as the text does, those after it are indented. Harmless text
 * in, harmless text out.
 */
export function wrapText(
  text: string,
  { columns, indent }: { readonly columns: number | undefined; readonly indent: string },
): readonly string[] {
  if (columns === undefined) return [text];
  const lines: string[] = [];
  const [lead = ''] = /^ */.exec(text) ?? [];
  let line = '';
  let isFirst = true;
  const room = () => columns - (lines.length === 0 ? 0 : indent.length);
  for (let word of text.slice(lead.length).split(' ')) {
    const joined = isFirst ? `${lead}${word}` : line === '' ? word : `${line} ${word}`;
    if (isFirst || line === '' || widthOf(joined) <= room()) line = joined;
    else {
      lines.push(line);
      line = word;
    }
    isFirst = false;
    while (widthOf(line) > room() && room() > 1) {
      word = cutText(line, room() + 1).slice(0, -1);
      lines.push(word);
      line = line.slice(word.length);
    }
  }
  return [...lines, line].map((one, index) => (index === 0 ? one : `${indent}${one}`));
}
