import { describe, expect, test } from 'vitest';
import { validate } from '../../src/cli/validate.ts';

/** What a file says, entry by entry, and how many problems it has. */
const FILES: readonly (readonly [
  what: string,
  count: number,
  entryOf: (index: number) => string,
  problems: number,
])[] = [
  [
    '10,000 typing mistakes, each in a service of its own',
    10_000,
    (index) => `  s${index}: { idle_timout: 5m }`,
    10_000,
  ],
  [
    '10,000 typing mistakes in one service',
    10_000,
    (index) => (index === 0 ? '  a:\n    idle_timout: 5m' : `    idle_timout${index}: 5m`),
    10_000,
  ],
  // Most of them may be containers without an entry; a suggestion is looked for all the same.
  ['6,000 unknown dependants', 6_000, (index) => `  s${index}: { dependants: [x${index}] }`, 1],
  ['10,000 keys given twice', 10_000, (index) => `  s${index >> 1}: {}`, 5_000],
  [
    '6,000 long cycles',
    6_000,
    (index) => `  s${index}: { dependants: [s${(index + 1) % 6_000}, s0] }`,
    5_999,
  ],
];

describe('a file of thousands of mistakes', () => {
  test.each(FILES)(
    'is told of in linear time: %s',
    async (_what, count, entryOf, problems) => {
      const entries = Array.from({ length: count }, (_, index) => entryOf(index));
      const text = `services:\n${entries.join('\n')}\n`;
      const lines: string[] = [];
      const startedAt = process.cpuUsage();
      await validate(['f.yaml'], {
        format: 'text',
        stdout: (line) => lines.push(line),
        env: {},
        cwd: '/w',
        readFile: async () => text,
      });
      const { user } = process.cpuUsage(startedAt);
      expect(lines.filter((line) => line.startsWith('f.yaml:')).length).toBeGreaterThanOrEqual(problems);
      // Time of the processor, collecting garbage included: the machine may be busy with something else.
      expect(user / 1_000).toBeLessThan(4_000);
      expect(lines.join('\n').length).toBeLessThan(count * 1_000);
    },
    60_000,
  );
});

test('a slip of the finger is suggested among many candidates', async () => {
  const names = Array.from(
    { length: 1_000 },
    (_, index) => `  service-${index}: { ports: ["127.0.0.1:${index + 10_000}:80"] }\n`,
  );
  const lines: string[] = [];
  await validate(['f.yaml'], {
    format: 'text',
    stdout: (line) => lines.push(line),
    env: {},
    readFile: async () => `services:\n${names.join('')}  hub: { dependants: [Service_17, servce-18] }\n`,
  });
  const told = lines.filter((line) => line.startsWith('f.yaml:') && line.includes('dependants'));
  expect(told.map((line) => line.replace(/^.*; /, ''))).toEqual([
    'did you mean "service-17"?',
    'did you mean "service-18"?',
  ]);
});
