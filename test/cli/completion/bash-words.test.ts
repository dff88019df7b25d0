import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readBashWord, writeBashWord } from '../../../src/cli/completion/bash-words.ts';

const PLAIN = readBashWord('');

describe('a word of bash', () => {
  test.each([
    ['plain', 'plain', ''],
    ['a\\ b', 'a b', ''],
    ['"a b', 'a b', '"'],
    ["'a $b", 'a $b', "'"],
    [`"it's"`, "it's", ''],
    ['"\\$x\\y', '$x\\y', '"'],
    ["'a\\", 'a\\', "'"],
  ])('%s stands for %s', (raw, text, open) => {
    expect(readBashWord(raw)).toEqual({ text, open, isTorn: false });
  });

  test('is torn where a quotation mark is opened within it', () => {
    expect(writeBashWord('a b', readBashWord('a" '))).toBeUndefined();
  });

  const texts = fc
    .sample(
      fc.oneof(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
        fc.stringMatching(/^[$`"'\\!;&|<>(){}[\]*?~#^ %a-c=:,@+-]{1,10}$/),
      ),
      { numRuns: 1_500, seed: 7 },
    )
    .filter((text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(text));

  test('is read back as the text that was written', () => {
    for (const text of texts) expect(readBashWord(writeBashWord(text, PLAIN) ?? '').text).toBe(text);
  });

  test.skipIf(!existsSync('/usr/bin/bash'))(
    'means to bash the text and nothing else, also within quotes',
    () => {
      const words = texts.flatMap((text) =>
        (['', '"', "'"] as const).flatMap((open) => {
          const written = writeBashWord(text, { text: '', open, isTorn: false });
          return written === undefined ? [] : [{ text, word: `${open}${written}${open}` }];
        }),
      );
      const script = words.map(({ word }) => `printf '%s\\0' ${word}`).join('\n');
      const env = { PATH: '/nowhere', LC_ALL: 'C.UTF-8' };
      const output = execFileSync('/usr/bin/bash', {
        input: script,
        env,
        encoding: 'utf8',
        maxBuffer: 2 ** 24,
      });
      expect(output.split('\0').slice(0, -1)).toEqual(words.map(({ text }) => text));
    },
  );
});
