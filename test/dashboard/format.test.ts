import { describe, expect, test } from 'vitest';
import {
  formatAge,
  formatBytes,
  formatCount,
  formatCountdown,
  formatDuration,
  joinWords,
  showText,
} from '../../src/dashboard/format.ts';

describe('format', () => {
  test.each([
    [0, '0 s'],
    [47, '<0.1 s'],
    [449, '0.4 s'],
    [2_340, '2.3 s'],
    [9_999, '10 s'],
    [59_600, '1 min'],
    [250_000, '4 min 10 s'],
    [11_100_000, '3 h 5 min'],
    [12 * 86_400_000 + 4 * 3_600_000 + 59_000, '12 d 4 h'],
    [-5, '0 s'],
  ])('formatDuration(%i) is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test.each([
    [-1, '0 s'],
    [59_999, '59 s'],
    [14 * 60_000, '14 min'],
    [25 * 3_600_000, '1 d'],
  ])('formatAge(%i) is %s', (ms, text) => {
    expect(formatAge(ms)).toBe(text);
  });

  test.each([
    [0, '0:00'],
    [6_100, '0:07'],
    [250_000, '4:10'],
    [3_723_000, '1:02:03'],
  ])('formatCountdown(%i) is %s', (ms, text) => {
    expect(formatCountdown(ms)).toBe(text);
  });

  test.each([
    [0, '0 B'],
    [1_536, '1.5 KiB'],
    [250 * 2 ** 20, '250 MiB'],
    [2 ** 41, '2.0 TiB'],
    [2 ** 52, '4096 TiB'],
  ])('formatBytes(%i) is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test('formatCount puts one in the singular, and joinWords an "and" before the last', () => {
    expect([formatCount(1, 'client'), formatCount(1_200, 'client')]).toEqual(['1 client', '1,200 clients']);
    expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(joinWords)).toEqual([
      '',
      'a',
      'a and b',
      'a, b and c',
    ]);
  });

  test('showText writes out what can not be seen, and nothing else', () => {
    expect(showText('a\u202eb\u0000\u200b')).toBe('a\\u{202e}b\\u{0}\\u{200b}');
    expect(showText('schön <b> 猫 👋')).toBe('schön <b> 猫 👋');
  });
});
