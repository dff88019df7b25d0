import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createCaretRenderer } from '../../../src/config/yaml/render-caret.ts';
import { escapeJson, escapeLines, escapeText, escapeYaml } from '../../../src/model/text/escape-text.ts';

const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

describe('escapeText', () => {
  test.each([
    [
      'control characters',
      'db\u001b]0;x\u0007\r\n\t\u007f\u009b',
      String.raw`db\u{1b}]0;x\u{7}\u{d}\u{a}\u{9}\u{7f}\u{9b}`,
    ],
    [
      'format characters',
      'a\u202e\u200b\u00ad\ufeff\u{e0041}',
      String.raw`a\u{202e}\u{200b}\u{ad}\u{feff}\u{e0041}`,
    ],
    ['separators', 'a\u2028b\u2029', String.raw`a\u{2028}b\u{2029}`],
    ['halves of a surrogate pair', 'a\ud800b\udc00', String.raw`a\u{d800}b\u{dc00}`],
    ['everything else as it is', 'Zoë’s 日本 🐘 \\u{1b} "x"', 'Zoë’s 日本 🐘 \\u{1b} "x"'],
  ])('shows %s', (_what, text, shown) => {
    expect(escapeText(text)).toBe(shown);
  });

  test('leaves nothing unsafe in any text, and changes nothing the second time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = escapeText(text);
        expect(escaped).not.toMatch(UNSAFE);
        expect(escapeText(escaped)).toBe(escaped);
      }),
    );
  });

  test('keeps the lines of a text whose line feeds are ours', () => {
    expect(escapeLines('a\n\tb\u001b')).toBe('a\n\\u{9}b\\u{1b}');
  });

  test('keeps the data of JSON and of quoted YAML', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = escapeJson(JSON.stringify(text));
        expect(json).not.toMatch(UNSAFE);
        expect(JSON.parse(json)).toBe(text);
        const yaml = escapeYaml(JSON.stringify(text));
        expect(yaml).not.toMatch(UNSAFE);
        expect(parse(yaml)).toBe(text);
      }),
    );
  });
});

describe('the caret', () => {
  test.each([
    ['after a tab', 'a:\tx', 4, ['  a:  x', '      ^']],
    ['after wide characters', '日本: x', 5, ['  日本: x', '        ^']],
    ['after a picture', '"🐘": x', 7, ['  "🐘": x', '        ^']],
    ['after a mark on a letter', 'e\u0301: x', 5, ['  e\u0301: x', '     ^']],
    ['after what is escaped', '"\u202e": x', 6, [String.raw`  "\u{202e}": x`, '              ^']],
    ['on the second line, when a carriage return stands in the first', 'a: "\r"\n  b', 3, ['    b', '    ^']],
  ])('stands right %s', (_where, text, column, lines) => {
    const line = text.split('\n').length;
    expect(createCaretRenderer(text)({ line, column })?.split('\n')).toEqual(lines);
  });
});
