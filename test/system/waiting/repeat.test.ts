import { expect, test } from 'vitest';
import { repeat } from '../../../src/system/waiting/repeat.ts';
import { FakeClock } from '../../support/fake-clock.ts';

test('repeat waits the interval after each end, and no more once it is ended', async () => {
  const clock = new FakeClock();
  let runs = 0;
  let finish = () => {};
  const task = () =>
    new Promise<void>((resolve) => {
      runs++;
      finish = resolve;
    });
  const end = repeat(task, { clock, everyMs: 1_000 });
  await clock.advance(1_000);
  await clock.advance(5_000);
  expect(runs).toBe(1);
  finish();
  await clock.advance(1_000);
  expect(runs).toBe(2);
  finish();
  end();
  await clock.advance(5_000);
  expect(runs).toBe(2);
});
