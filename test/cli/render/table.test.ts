import { describe, expect, test } from 'vitest';
import { createPaint, cutText, renderTable, wrapText } from '../../../src/cli/render/table.ts';

const PLAIN = createPaint(false);
const COLUMNS = [{ title: 'A', minColumns: 4 }, { title: 'B' }, { title: 'C', minColumns: 6 }];
const row = (...texts: readonly string[]) => texts.map((text) => ({ text }));

describe('a table', () => {
  test('has columns as wide as their content, and no spaces at the end', () => {
    const rows = [row('one', 'x', 'long text'), row('three', '', '')];
    expect(renderTable(COLUMNS, rows, { columns: undefined, paint: PLAIN })).toEqual([
      'A      B  C',
      'one    x  long text',
      'three',
    ]);
  });

  test.each([
    [24, 'name  x  reason as long as'.length],
    [20, 20],
    [14, 14],
    [9, 9],
    [1, 1],
  ])('fits a terminal of %i columns', (columns) => {
    const rows = [row('name', 'x', 'a reason as long as it is'), row('a name that is long', 'y', 'z')];
    const lines = renderTable(COLUMNS, rows, { columns, paint: PLAIN });
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    expect(lines.join('\n')).toContain('…');
  });

  test('counts the columns of wide characters', () => {
    const rows = [row('数据库', '1', ''), row('db', '2', '')];
    expect(renderTable(COLUMNS, rows, { columns: undefined, paint: PLAIN }).slice(1)).toEqual([
      '数据库  1',
      'db      2',
    ]);
  });

  test('lets no text steer the terminal', () => {
    const [, line] = renderTable(COLUMNS, [row('\u001b[2J', '\u202e', 'a\nb')], {
      columns: undefined,
      paint: createPaint(true),
    });
    expect(line).toBe('\\u{1b}[2J  \\u{202e}  a\\u{a}b');
  });

  test('has colours where they are wanted, which take no room', () => {
    const rows = [[{ text: 'a', style: 'red' as const }, { text: 'b' }]];
    const [, line] = renderTable(COLUMNS, rows, { columns: undefined, paint: createPaint(true) });
    expect(line).toBe('\u001b[31ma\u001b[0m  b');
  });
});

test.each([
  ['abc', 3, 'abc'],
  ['abcd', 3, 'ab…'],
  ['abcd', 1, '…'],
  ['abcd', 0, ''],
  ['数据库', 4, '数…'],
])('cutText makes of %j in %i columns %j', (text, columns, cut) => {
  expect(cutText(text, columns)).toBe(cut);
});

test.each([
  ['one two three', 80, ['one two three']],
  ['one two three', 8, ['one two', '  three']],
  ['abcdefghij kl', 6, ['abcdef', '  ghij', '  kl']],
  ['  one two', 80, ['  one two']],
  ['  one two', 6, ['  one', '  two']],
  ['    | one two', 10, ['    | one', '  two']],
])('wrapText breaks %j at %i columns', (text, columns, lines) => {
  expect(wrapText(text, { columns, indent: '  ' })).toEqual(lines);
});
