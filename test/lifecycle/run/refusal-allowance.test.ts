import { describe, expect, it } from 'vitest';
import { RefusalAllowance } from '../../../src/lifecycle/run/refusal-allowance.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

const never = new AbortController().signal;

/** Takes tries as often as it may; returns when each was taken, in milliseconds. */
async function takeFor(
  { clock, allowance }: { clock: FakeClock; allowance: RefusalAllowance },
  { count, everyMs }: { readonly count: number; readonly everyMs: number },
): Promise<number[]> {
  const startMs = clock.monotonicMs();
  const takenMs: number[] = [];
  const takeAll = async () => {
    for (let left = count; left > 0; left--) {
      await allowance.take(never);
      takenMs.push(clock.monotonicMs() - startMs);
      await clock.sleep(everyMs);
    }
  };
  const taken = takeAll();
  while (takenMs.length < count) await clock.advance(100);
  await clock.advance(everyMs);
  await taken;
  return takenMs;
}

describe('RefusalAllowance', () => {
  it('gives a few tries at once, and one a second when they are spent', async () => {
    const clock = new FakeClock();
    const parts = { clock, allowance: new RefusalAllowance(clock) };
    expect(await takeFor(parts, { count: 7, everyMs: 0 })).toEqual([0, 0, 0, 0, 1_000, 2_000, 3_000]);
  });

  it('never saves up more than the few', async () => {
    const clock = new FakeClock();
    const parts = { clock, allowance: new RefusalAllowance(clock) };
    await clock.advance(60_000);
    expect(await takeFor(parts, { count: 6, everyMs: 0 })).toEqual([0, 0, 0, 0, 1_000, 2_000]);
  });

  it('gives the next try after a second when it was emptied', async () => {
    const clock = new FakeClock();
    const allowance = new RefusalAllowance(clock);
    allowance.empty();
    expect(await takeFor({ clock, allowance }, { count: 2, everyMs: 0 })).toEqual([1_000, 2_000]);
  });

  it('gives up when the signal aborts', async () => {
    const clock = new FakeClock();
    const allowance = new RefusalAllowance(clock);
    const leaving = new AbortController();
    allowance.empty();
    const taken = allowance.take(leaving.signal);
    await settle();
    leaving.abort(new Error('gone'));
    await expect(taken).rejects.toThrow('gone');
    expect(clock.pending).toBe(0);
  });
});
