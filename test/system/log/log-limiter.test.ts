import { expect, test } from 'vitest';
import { LogLimiter } from '../../../src/system/log/log-limiter.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MAX_KEYS = 4_096;

test('one line of a key passes in an interval, with the number of those that were held back', async () => {
  const clock = new FakeClock();
  const limiter = new LogLimiter(clock, 1_000);
  expect([limiter.pass('a'), limiter.pass('a'), limiter.pass('a'), limiter.pass('b')]).toEqual([
    0,
    undefined,
    undefined,
    0,
  ]);
  await clock.advance(1_000);
  expect([limiter.pass('a'), limiter.pass('b'), limiter.pass('a')]).toEqual([2, 0, undefined]);
});

test('keys are forgotten, so that those that come once cost nothing for ever', async () => {
  const clock = new FakeClock();
  const limiter = new LogLimiter(clock, 1_000);
  for (let round = 0; round < 10; round++) {
    for (let key = 0; key < MAX_KEYS; key++) expect(limiter.pass(`${round} ${key}`)).toBe(0);
    expect(limiter.size).toBe(MAX_KEYS);
    await clock.advance(1_000);
  }
});

test('more keys than are remembered get no more lines, and are counted with the next one', async () => {
  const clock = new FakeClock();
  const limiter = new LogLimiter(clock, 1_000);
  let passed = 0;
  for (let key = 0; key < 3 * MAX_KEYS; key++) if (limiter.pass(`${key}`) !== undefined) passed++;
  expect(passed).toBe(MAX_KEYS);
  expect(limiter.size).toBe(MAX_KEYS);
  await clock.advance(1_000);
  expect(limiter.pass('another')).toBe(2 * MAX_KEYS);
  expect(limiter.pass('0')).toBe(0);
});

test('a key in use is not forgotten before one that is not', async () => {
  const clock = new FakeClock();
  const limiter = new LogLimiter(clock, 1_000);
  limiter.pass('busy');
  for (let key = 1; key < MAX_KEYS; key++) limiter.pass(`${key}`);
  await clock.advance(1_000);
  expect([limiter.pass('busy'), limiter.pass('busy')]).toEqual([0, undefined]);
  for (let key = 1; key < MAX_KEYS; key++) expect(limiter.pass(`new ${key}`)).toBe(0);
  await clock.advance(1_000);
  expect(limiter.pass('busy')).toBe(1);
});
