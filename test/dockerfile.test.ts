import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const text = readFileSync('Dockerfile', 'utf8');
/** An instruction stands on several lines where each but the last ends with a backslash. */
const instructions = text
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\s*\\\n\s*/g, ' ')
  .split('\n');

test('Dockerfile has two health checks, which differ in the start interval alone', () => {
  const checks = instructions.filter((line) => line.includes('HEALTHCHECK'));
  expect(checks).toHaveLength(2);
  const [plain = '', fast = ''] = checks;
  expect(fast.replace(' --start-interval=1s', '')).toBe(plain);
  expect(fast).not.toBe(plain);
});

test('Dockerfile shows --start-interval to no builder that does not ask for it', () => {
  // The classic builder reads every stage, also those that it doesn't need; after ONBUILD it reads nothing.
  const told = instructions.filter((line) => line.includes('--start-interval'));
  expect(told.map((line) => line.split(' ')[0])).toEqual(['ONBUILD']);
  expect(text).toMatch(/^ARG START_INTERVAL=\$\{TARGETOS\}$/m);
  const last = instructions.filter((line) => line !== '').at(-1);
  expect(last).toMatch(/^FROM healthcheck\$\{START_INTERVAL:\+-start-interval\}$/);
});
