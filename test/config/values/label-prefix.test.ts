import { describe, expect, test } from 'vitest';
import { parseLabelPrefixes, parseLabelPrefixText } from '../../../src/config/values/label-prefix.ts';
import { faultsOf } from '../../../src/config/values/parsed.ts';
import { formatPath } from '../../../src/config/yaml/path.ts';

const CHARACTERS = 'it takes letters and digits, and between them ".", "_", "-" and "/"';

function mistakesOf(raw: unknown): string[] {
  const reading = parseLabelPrefixes(raw);
  if (reading.ok) return [];
  return faultsOf(reading).map(({ path, message }) => `${formatPath(path)} ${message}`.trim());
}

describe('parseLabelPrefixes', () => {
  test.each([
    ['lazy-proxy', ['lazy-proxy']],
    ['com.example/lazy_1', ['com.example/lazy_1']],
    [
      ['b', 'a'],
      ['b', 'a'],
    ],
    [
      ['lazy', 'lazy-proxy'],
      ['lazy', 'lazy-proxy'],
    ],
  ])('takes %j', (raw, expected) => {
    expect(parseLabelPrefixes(raw)).toEqual({ ok: true, value: expected });
  });

  test.each([
    [[], ['[] names no prefix; labels: false leaves the labels out']],
    ['-x', [`"-x" is not a prefix such as lazy-proxy; ${CHARACTERS}`]],
    ['', [`"" is not a prefix such as lazy-proxy; ${CHARACTERS}`]],
    ['a b=', [`"a b=" is not a prefix such as lazy-proxy; ${CHARACTERS}`]],
    ['lazy.', ['"lazy." is not a prefix such as lazy-proxy; write "lazy"']],
    ['lazy.*', ['"lazy.*" is not a prefix such as lazy-proxy; write "lazy"']],
    ['a, b', ['"a, b" is not a prefix such as lazy-proxy; write [a, b]']],
    [5, ['5 is not a prefix such as lazy-proxy; write "5"']],
    [{ a: 'b' }, ['a mapping is not a prefix such as lazy-proxy; write a list for several']],
    [
      ['a', 'b.', '-'],
      [
        '[1] "b." is not a prefix such as lazy-proxy; write "b"',
        `[2] "-" is not a prefix such as lazy-proxy; ${CHARACTERS}`,
      ],
    ],
    [['a', 'b', 'a'], ['[2] "a" is there already; leave it out']],
    [
      ['a', 'a.b'],
      [
        '[1] "a.b" and "a" can\'t stand together, because a.b.ports would be a label of both; leave one of them out',
      ],
    ],
    [
      ['a.b', 'a'],
      [
        '[1] "a" and "a.b" can\'t stand together, because a.b.ports would be a label of both; leave one of them out',
      ],
    ],
  ])('refuses %j', (raw, expected) => {
    expect(mistakesOf(raw)).toEqual(expected);
  });
});

describe('parseLabelPrefixText', () => {
  test.each([
    ['a', ['a']],
    [' a , b,', ['a', 'b']],
  ])('takes %j', (text, expected) => {
    expect(parseLabelPrefixText(text)).toEqual({ ok: true, value: expected });
  });

  test.each([
    [' , ', '" , " names no prefix; --no-labels leaves the labels out'],
    ['a,a', '"a" is there already; leave it out'],
    ['a.,b', '"a." is not a prefix such as lazy-proxy; write "a"'],
  ])('refuses %j', (text, message) => {
    expect(parseLabelPrefixText(text)).toMatchObject({ ok: false, message });
  });
});
