import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Due, DueQueue } from '../../../src/system/waiting/due-queue.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('DueQueue', () => {
  test('calls each back once at its time, in order, by one timer', async () => {
    const steps = fc.array(
      fc.record({
        who: fc.nat(19),
        act: fc.constantFrom('set', 'set', 'delete'),
        delayMs: fc.nat(100),
        passMs: fc.nat(30),
      }),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const clock = new FakeClock();
        const queue = new DueQueue(clock);
        const expected = new Map<number, number>();
        const faults: string[] = [];
        const dues = Array.from({ length: 20 }, (_, who) => aDue(() => tell(who)));
        const tell = (who: number) => {
          const nowMs = clock.monotonicMs();
          if (expected.get(who) !== nowMs) faults.push(`${who} at ${nowMs}, not ${expected.get(who)}`);
          expected.delete(who);
        };
        for (const { who, act, delayMs, passMs } of all) {
          const due = dues[who] as Due;
          if (act === 'set') {
            queue.set(due, delayMs);
            expected.set(who, clock.monotonicMs() + delayMs);
          } else {
            queue.delete(due);
            expected.delete(who);
          }
          expect(clock.pending).toBe(expected.size === 0 ? 0 : 1);
          await clock.advance(passMs);
        }
        await clock.advance(200);
        expect(faults).toEqual([]);
        expect(expected.size).toBe(0);
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test('may be set and emptied by what it calls back', async () => {
    const clock = new FakeClock();
    const queue = new DueQueue(clock);
    const told: string[] = [];
    const again = aDue(() => {
      told.push(`again at ${clock.monotonicMs() - startMs}`);
      queue.delete(other);
      if (told.length < 3) queue.set(again, 10);
    });
    const other = aDue(() => told.push('other'));
    const startMs = clock.monotonicMs();
    queue.set(again, 10);
    queue.set(other, 10);
    await clock.advance(100);
    expect(told).toEqual(['again at 10', 'again at 20', 'again at 30']);
    expect(clock.pending).toBe(0);
  });
});

function aDue(onDue: () => void): Due {
  return { dueMs: 0, duePlace: -1, onDue };
}
