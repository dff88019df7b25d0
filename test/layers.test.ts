import { describe, expect, test } from 'vitest';
import { describeLength, findViolations } from './support/layer-rules.ts';
import { parseSource, readSourceFiles } from './support/source-files.ts';

test('the source keeps to the layers', () => {
  const files = readSourceFiles();
  const long = files.map(describeLength).filter((line) => line !== undefined);
  if (long.length > 0) console.warn(`worth a look (CONTRIBUTING, Style):\n${long.join('\n')}`);
  expect(files.flatMap(findViolations)).toEqual([]);
});

describe('layer rules', () => {
  test.each([
    ['plan/a.ts', `import { x } from '../apply/x.ts';`, 'imports ../apply/x.ts: plan must not know it'],
    ['lifecycle/a.ts', `export * from '../relay/x.ts';`, 'imports ../relay/x.ts: lifecycle must not know it'],
    [
      'status/a.ts',
      `import { x } from '../table/x.ts';`,
      'imports ../table/x.ts: status may import its types only',
    ],
    [
      'relay/a.ts',
      `const d = await import('dockerode');`,
      'imports dockerode: relay must not use this package',
    ],
    ['model/a.ts', `import { readFile } from 'node:fs';`, 'imports node:fs: this file is pure'],
    ['model/a.ts', `export const x = process.env;`, 'uses process: this file is pure'],
    ['cli/a.ts', `export const x = Date.now();`, 'uses Date: only system/clock.ts touches time'],
    ['cli/a.ts', `setTimeout(() => {}, 1);`, 'uses setTimeout: only system/clock.ts touches time'],
    ['cli/a.ts', `AbortSignal.timeout(1);`, 'uses AbortSignal: only system/clock.ts touches time'],
    [
      'relay/a.ts',
      `const dueMs = this.#options.clock.nowMs() + 1;`,
      'reads the clock on the wall: durations and deadlines are monotonic',
    ],
    [
      'relay/tcp/a.ts',
      `client.resetAndDestroy();`,
      'calls resetAndDestroy, which may leave the socket open: use relay/tcp/reset-socket.ts',
    ],
    ['cli/a.ts', `export default 1;`, 'has a default export'],
    ['cli/index.ts', '', 'is a barrel'],
    ['other/a.ts', '', 'lies in no folder of the table in test/support/layer-rules.ts'],
  ])('%s is refused when it holds: %s', (file, text, what) => {
    expect(findViolations(parseSource(file, text))).toEqual([`src/${file}:1 ${what}`]);
  });

  test('a long file is told of, and breaks no rule', () => {
    const file = parseSource('cli/a.ts', 'f();\n'.repeat(301));
    expect(describeLength(file)).toBe('src/cli/a.ts has 301 lines');
    expect(findViolations(file)).toEqual([]);
    expect(describeLength(parseSource('cli/a.ts', 'f();\n'.repeat(300)))).toBeUndefined();
  });

  test.each([
    ['status/a.ts', `import type { X } from '../table/x.ts';`],
    ['status/a.ts', `import { type X } from '../table/x.ts';`],
    ['relay/a.ts', `socket.setTimeout(1);`],
    ['relay/a.ts', `const dueMs = clock.monotonicMs() + nowMs;`],
    ['lifecycle/workload/use/lease-book.ts', `const atMs = this.#clock.nowMs();`],
    ['model/a.ts', `export interface X { readonly process: string }\nexport const x = { process: 1 };`],
    ['system/clock.ts', `setTimeout(() => {}, Date.now());`],
  ])('%s is accepted when it holds: %s', (file, text) => {
    expect(findViolations(parseSource(file, text))).toEqual([]);
  });
});
