import { expect, test } from 'vitest';
import { flattenLine, LineSplitter } from '../../src/backends/output-lines.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

test('LineSplitter puts lines together across chunks, also within a character', () => {
  const splitter = new LineSplitter({ maxLineChars: 100 });
  const [first, second] = [bytes('one\r\ntw€').subarray(0, 8), bytes('one\r\ntw€').subarray(8)];
  expect(splitter.push(first)).toEqual(['one']);
  expect(splitter.push(second)).toEqual([]);
  expect(splitter.push(bytes('\n\n'))).toEqual(['tw€', '']);
});

test('LineSplitter cuts lines that are too long, ended or not', () => {
  const splitter = new LineSplitter({ maxLineChars: 3 });
  expect(splitter.push(bytes('abcdefg'))).toEqual(['abc', 'def']);
  expect(splitter.push(bytes('hijkl\n'))).toEqual(['ghi', 'jkl']);
});

test('LineSplitter hands out what has no end of line at the end', () => {
  const splitter = new LineSplitter({ maxLineChars: 100 });
  splitter.push(bytes('last'));
  expect(splitter.end()).toEqual(['last']);
  expect(splitter.end()).toEqual([]);
});

test.each([
  ['\u001b[1;31mFATAL\u001b[0m: no disk', 'FATAL: no disk'],
  ['\t-l\tListen mode', '        -l      Listen mode'],
  ['12345678\tx', '12345678        x'],
  ['as it is', 'as it is'],
  // What steers a terminal in other ways stays, and is written out where it is shown.
  ['\u001b[2Jx', '\u001b[2Jx'],
])('a line is flattened: %j', (line, flat) => {
  expect(flattenLine(line)).toBe(flat);
  const splitter = new LineSplitter({ maxLineChars: 100 });
  expect(splitter.push(bytes(`${line}\n`))).toEqual([flat]);
});
