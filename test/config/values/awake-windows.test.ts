import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAwake, parseAwake } from '../../../src/config/values/awake-windows.ts';
import type { AwakeWindow } from '../../../src/model/awake-window.ts';
import { createFileParser } from '../../../src/config/file.ts';
import { formatProblem } from '../../../src/model/problem.ts';
import { labelsOf } from '../../support/builders.ts';

const OF_FILE = { portNames: false };
const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];

const read = (...windows: readonly string[]) => {
  const reading = parseAwake(windows, OF_FILE);
  return reading.ok ? reading.value : reading;
};

describe('windows', () => {
  test.each([
    ['08:30-17:30 Mon-Fri', [0, 1, 2, 3, 4], 510, 1_050],
    ['10:00-24:00', EVERY_DAY, 600, 1_440],
    ['10:00-00:00', EVERY_DAY, 600, 1_440],
    ['00:00-24:00', EVERY_DAY, 0, 1_440],
    ['22:00-02:00 Fri,Sat', [4, 5], 1_320, 1_560],
    [' 8:30 - 17:30  sat, SUNDAY ', [5, 6], 510, 1_050],
    ['08:30–17:30 Fri – Mon', [0, 4, 5, 6], 510, 1_050],
    ['23:59-23:58 Sun', [6], 1_439, 2_878],
    ['09:00-10:00 Wed Mon Mon,', [0, 2], 540, 600],
    ['09:00-10:00 Tue-Mon', EVERY_DAY, 540, 600],
  ])('%s', (text, days, fromMinute, toMinute) => {
    expect(read(text)).toEqual([{ days, fromMinute, toMinute }]);
  });

  test('are printed as they are read, whatever they are', () => {
    const window = fc
      .record({
        days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 }),
        fromMinute: fc.integer({ min: 0, max: 1_439 }),
        length: fc.integer({ min: 1, max: 1_439 }),
      })
      .map(({ days, fromMinute, length }): AwakeWindow => {
        return { days: days.toSorted((a, b) => a - b), fromMinute, toMinute: fromMinute + length };
      });
    fc.assert(
      fc.property(fc.array(window, { maxLength: 5 }), (windows) => {
        expect(read(...formatAwake(windows))).toEqual(windows);
      }),
    );
  });

  test.each([[['08:30-17:30 Sat,Sun', '10:00-24:00']], [['08:30-17:30 Mon-Wed,Fri-Sun']], [['00:00-24:00']]])(
    'are printed in the shortest way: %j',
    (texts) => {
      const windows = read(...texts);
      expect(formatAwake(windows as readonly AwakeWindow[])).toEqual(texts);
    },
  );

  test('never make the reader throw', () => {
    const junk = fc.oneof(fc.string(), fc.stringMatching(/^[0-9:\- a-zA-Z,–]{0,30}$/), fc.anything());
    fc.assert(
      fc.property(fc.array(junk), fc.boolean(), (raw, ofLabel) => {
        const reading = parseAwake(raw, { ...OF_FILE, ofLabel });
        if (reading.ok)
          for (const { days, fromMinute, toMinute } of reading.value) {
            expect(days.length).toBeGreaterThan(0);
            expect(fromMinute).toBeLessThan(1_440);
            expect(toMinute - fromMinute).toBeGreaterThan(0);
            expect(toMinute - fromMinute).toBeLessThanOrEqual(1_440);
          }
      }),
    );
  });
});

describe('a window that is none', () => {
  const EXAMPLE = 'is not a window such as "08:30-17:30 Mon-Fri"';
  test.each([
    ['[8-17]', `f.yaml:3:13 error awake[0]: "8-17" ${EXAMPLE}`],
    [
      '["Mon-Fri 08:30-17:30"]',
      `error awake[0]: "Mon-Fri 08:30-17:30" ${EXAMPLE}; write "08:30-17:30 Mon-Fri"`,
    ],
    ['["08:30-17:30", "Sun"]', `f.yaml:3:28 error awake[1]: "Sun" ${EXAMPLE}`],
    ['["25:00-26:00"]', 'error awake[0]: "25:00-26:00": 25:00 is not a time from 00:00 to 24:00'],
    ['["08:00-24:01"]', 'error awake[0]: "08:00-24:01": 24:01 is not a time from 00:00 to 24:00'],
    ['["08:61-10:00"]', 'error awake[0]: "08:61-10:00": 08:61 is not a time from 00:00 to 24:00'],
    [
      '["24:00-02:00"]',
      'error awake[0]: "24:00-02:00": no window begins at 24:00; write 00:00, and the day after',
    ],
    [
      '["08:00-08:00"]',
      'error awake[0]: "08:00-08:00" begins and ends at the same time; for whole days write 00:00-24:00',
    ],
    ['["08:00-09:00 Mun"]', 'error awake[0]: "08:00-09:00 Mun": "Mun" is no day; did you mean "Mon"?'],
    [
      '["08:00-09:00 Mon-Fry"]',
      'error awake[0]: "08:00-09:00 Mon-Fry": "Fry" is no day; did you mean "Fri"?',
    ],
    ['["08:00-09:00 Mon-"]', 'error awake[0]: "08:00-09:00 Mon-": "" is no day; days are Mon, Tue,'],
    [
      '["08:00-09:00 1-5"]',
      'error awake[0]: "08:00-09:00 1-5": "1" is no day; days are Mon, Tue, Wed, Thu, Fri, Sat, Sun',
    ],
    [
      '["08:00-09:00 Mon-Wed-Fri"]',
      'error awake[0]: "08:00-09:00 Mon-Wed-Fri": "Mon-Wed-Fri" is no day; days are',
    ],
    ['08:30-17:30', 'error awake: "08:30-17:30" is not a list; write ["08:30-17:30"]'],
  ])('%s', (awake, message) => {
    const text = `services:\n  a:\n    awake: ${awake}\n`;
    const { problems } = createFileParser()({ text, file: 'f.yaml' });
    expect(problems.map(formatProblem).join('\n')).toContain(message);
  });
});

describe('windows in a label', () => {
  const awakeOf = (text: string) => {
    const { draft, problems } = labelsOf('db', { ports: '80:80', awake: text });
    return draft === undefined
      ? problems.map(({ message }) => message)
      : formatAwake(draft.awake?.value ?? []);
  };
  test.each([
    ['08:30-17:30 Mon-Fri', ['08:30-17:30 Mon-Fri']],
    ['08:30-17:30 Mon-Fri,10:00-24:00 Sat,Sun', ['08:30-17:30 Mon-Fri', '10:00-24:00 Sat,Sun']],
    ['10:00-24:00 Sat, Sun , 08:30-09:30', ['10:00-24:00 Sat,Sun', '08:30-09:30']],
    ['10:00-24:00 Sat Sun', ['10:00-24:00 Sat,Sun']],
    ['', []],
  ])('%s', (text, windows) => {
    expect(awakeOf(text)).toEqual(windows);
  });

  test('are refused with what would be right', () => {
    expect(awakeOf('Mon-Fri 08:30-17:30')[0]).toContain('write "08:30-17:30 Mon-Fri"');
    expect(awakeOf('Sun,08:30-17:30')[0]).toContain('awake[0]: "Sun" is not a window');
  });
});
