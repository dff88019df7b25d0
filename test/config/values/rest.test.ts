import { describe, expect, test } from 'vitest';
import {
  formatBusyCheck,
  formatPauseAfter,
  formatTrafficRate,
  parseBusyCheck,
  parsePauseAfter,
  parseStopSignal,
  parseTrafficRate,
} from '../../../src/config/values/rest.ts';

/** What a parser makes of a value: the value, or what it says. */
function outcome(parsed: { readonly ok: boolean; readonly value?: unknown }): unknown {
  if (parsed.ok) return parsed.value;
  const { message, faults } = parsed as {
    readonly message?: string;
    readonly faults?: readonly { readonly message: string; readonly path: readonly unknown[] }[];
  };
  return message ?? faults?.map(({ path, message: said }) => `${path.join('.')}: ${said}`).join('; ');
}

test.each([
  ['never', 'never', 'never'],
  ['90s', 90_000, '1m30s'],
  [0, 0, '0'],
])('parsePauseAfter reads %o', (raw, value, text) => {
  expect(outcome(parsePauseAfter(raw))).toBe(value);
  expect(formatPauseAfter(value as number | 'never')).toBe(text);
});

test.each(['', 'always', -1, null])('parsePauseAfter refuses %o', (raw) => {
  expect(parsePauseAfter(raw)).toMatchObject({ ok: false });
});

test.each([
  ['SIGINT', 'SIGINT'],
  [' int ', 'SIGINT'],
  ['SigUsr1', 'SIGUSR1'],
  ['RTMIN+3', 'SIGRTMIN+3'],
  ['SIGRTMAX-30', 'SIGRTMAX-30'],
  ['SIGRTMIN', 'SIGRTMIN'],
  ['', ''],
])('parseStopSignal reads %o', (raw, value) => {
  expect(outcome(parseStopSignal(raw))).toBe(value);
});

test.each([
  ['SIGFOO', '"SIGFOO" is not the name of a signal such as SIGINT'],
  [2, '2 is not the name of a signal such as SIGINT; write its name'],
  ['STOP', '"STOP" is not the name of a signal such as SIGINT; sleep: pause pauses a service'],
  ['RTMIN+31', '"RTMIN+31" is not the name of a signal such as SIGINT'],
  [null, 'nothing is not the name of a signal such as SIGINT'],
])('parseStopSignal refuses %o', (raw, message) => {
  expect(outcome(parseStopSignal(raw))).toBe(message);
});

describe('a rate of traffic', () => {
  test.each([
    ['1KiB/min', { bytes: 1_024, per: 'min' }, '1KiB/min'],
    [' 1.5 kib / S ', { bytes: 1_536, per: 's' }, '1536B/s'],
    ['2MB/h', { bytes: 2_000_000, per: 'h' }, '2000000B/h'],
    ['3MiB/h', { bytes: 3 * 1_048_576, per: 'h' }, '3MiB/h'],
    ['0', { bytes: 0, per: 'min' }, '0'],
    [0, { bytes: 0, per: 'min' }, '0'],
    // Less than a byte is nothing.
    ['0.4B/s', { bytes: 0, per: 'min' }, '0'],
  ])('%o is read, and written so that it is read back', (raw, value, text) => {
    expect(outcome(parseTrafficRate(raw))).toEqual(value);
    expect(formatTrafficRate(value as Parameters<typeof formatTrafficRate>[0])).toBe(text);
    expect(outcome(parseTrafficRate(text))).toEqual(value);
  });

  test.each([
    ['1KiB', '"1KiB" is not a rate such as 1KiB/min, 200B/s or 0'],
    ['-1B/s', '"-1B/s" is not a rate such as 1KiB/min, 200B/s or 0'],
    ['1GiB/day', '"1GiB/day" is not a rate such as 1KiB/min, 200B/s or 0'],
    [200, '200 is not a rate such as 1KiB/min, 200B/s or 0; write "200B/min"'],
    [null, 'nothing is not a rate such as 1KiB/min, 200B/s or 0'],
  ])('%o is refused', (raw, message) => {
    expect(outcome(parseTrafficRate(raw))).toBe(message);
  });
});

describe('a busy check', () => {
  test.each([
    ['off', 'off'],
    [false, 'off'],
    [{ url: 'http://{{container}}:80/busy' }, { kind: 'url', url: 'http://{{container}}:80/busy' }],
    [{ command: ['pgrep', 'backup'] }, { kind: 'command', command: ['pgrep', 'backup'] }],
    [{ command: ' test -e /busy ' }, { kind: 'command', command: ['/bin/sh', '-c', 'test -e /busy'] }],
    // As a label gives a list.
    [{ command: '["pgrep", "a b"]' }, { kind: 'command', command: ['pgrep', 'a b'] }],
    [{ command: '[ -e /busy ]' }, { kind: 'command', command: ['/bin/sh', '-c', '[ -e /busy ]'] }],
    [{ command: '[[ $A ]] && b' }, { kind: 'command', command: ['/bin/sh', '-c', '[[ $A ]] && b'] }],
  ])('%o is read', (raw, value) => {
    expect(outcome(parseBusyCheck(raw))).toEqual(value);
  });

  test.each([
    ['pgrep backup', /write busy_check: { command: … }/],
    ['HTTP://a/busy', /write busy_check: { url: … }/],
    [{ url: 'http://a/', command: ['x'] }, /^has both, url and command/],
    [{}, /^has neither url nor command/],
    [{ url: '' }, /^url: "" is no URL; write busy_check: off for none$/],
    [{ url: 'ftp://a/' }, /^url: /],
    [{ command: ' ' }, /^command: the command is empty/],
    [{ command: 'a\0b' }, /^command: the command is empty, or holds a NUL character$/],
    [{ command: [] }, /^command: /],
    [
      { command: '["a",' },
      /^command: the list can't be read: its end, a \], is missing; write a list as JSON/,
    ],
    [{ command: '[pgrep, backup]' }, /^command: the list can't be read: its entries need double quotes/],
    [{ command: '[ "a" "b"]' }, /^command: the list can't be read: its entries need double quotes/],
    [{ command: ['a', 3] }, /^command\.1: /],
  ])('%o is refused with the reason', (raw, message) => {
    expect(outcome(parseBusyCheck(raw))).toMatch(message);
  });

  test('shows no command in what it says: it may hold a secret', () => {
    expect(outcome(parseBusyCheck({ command: { key: 's3cret' } }))).not.toContain('s3cret');
    expect(outcome(parseBusyCheck({ command: '["a", "s3cret"' }))).not.toContain('s3cret');
    expect(outcome(parseBusyCheck('curl -u me:s3cret http://a'))).not.toContain('s3cret');
  });

  test.each(['off', { kind: 'command', command: ['a', 'b'] }] as const)(
    '%o is written as it is read',
    (check) => {
      expect(outcome(parseBusyCheck(formatBusyCheck(check)))).toEqual(check);
    },
  );
});
