import { expect, test } from 'vitest';
import { raceStaggered } from '../../../src/lifecycle/run/race-staggered.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

test('frees a success that comes beside another one, and ends the attempts that go on', async () => {
  const clock = new FakeClock();
  const succeed: ((result: string) => void)[] = [];
  const signals: AbortSignal[] = [];
  const discarded: string[] = [];
  const race = raceStaggered(['a', 'b', 'c'], {
    clock,
    signal: new AbortController().signal,
    attempt: (_, signal) => {
      signals.push(signal);
      return new Promise<string>((resolve) => succeed.push(resolve));
    },
    discard: (late) => void discarded.push(late),
  });
  await clock.advance(250);
  expect(signals).toHaveLength(2);
  succeed[0]?.('first');
  succeed[1]?.('second');
  expect(await race).toBe('first');
  await settle();
  expect(discarded).toEqual(['second']);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  expect(clock.pending).toBe(0);
});

test('frees a success that comes after the wait for it was given up', async () => {
  const client = new AbortController();
  let succeed = (_: string) => {};
  const discarded: string[] = [];
  const race = raceStaggered(['a'], {
    clock: new FakeClock(),
    signal: client.signal,
    attempt: () =>
      new Promise<string>((resolve) => {
        succeed = resolve;
      }),
    discard: (late) => void discarded.push(late),
  });
  client.abort(new Error('gone'));
  await expect(race).rejects.toThrow('gone');
  succeed('late');
  await settle();
  expect(discarded).toEqual(['late']);
});
