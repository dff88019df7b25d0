import { describe, expect, test } from 'vitest';
import { Deadline, withDeadline } from '../../../src/system/waiting/deadline.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const expired = (timeoutMs: number) => new Error(`no answer within ${timeoutMs / 1_000} s`);
/** Heeds no signal. */
const forEver = () => new Promise<never>(() => {});

describe('Deadline', () => {
  test('aborts when the time is up, counted from the last restart', async () => {
    const clock = new FakeClock();
    const deadline = new Deadline({ clock, timeoutMs: 5_000, expired });
    await clock.advance(4_999);
    deadline.restart();
    await clock.advance(4_999);
    expect(deadline.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(deadline.signal.reason).toEqual(expired(5_000));
    deadline.end();
  });

  test('leaves aborting to the parent once it is stopped, and to nobody once it has ended', async () => {
    const clock = new FakeClock();
    const parents = [new AbortController(), new AbortController()] as const;
    const [stopped, ended] = [
      new Deadline({ clock, timeoutMs: 5_000, parent: parents[0].signal, expired }),
      new Deadline({ clock, timeoutMs: 5_000, parent: parents[1].signal, expired }),
    ];
    stopped.stop();
    ended.end();
    expect(clock.pending).toBe(0);
    for (const parent of parents) parent.abort(new Error('gone'));
    expect(stopped.signal.reason).toEqual(new Error('gone'));
    expect(ended.signal.aborted).toBe(false);
    stopped.end();
  });
});

describe('withDeadline', () => {
  test('throws what expired() says when the time is up, and keeps no timer', async () => {
    const clock = new FakeClock();
    const work = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    const failed = expect(withDeadline(work, { clock, timeoutMs: 5_000, expired })).rejects.toThrow(
      'no answer within 5 s',
    );
    await clock.advance(5_000);
    await failed;
    expect(await withDeadline(async () => 7, { clock, timeoutMs: 5_000, expired })).toBe(7);
    expect(clock.pending).toBe(0);
  });

  test('frees whoever waits when the deadline passes and the work never settles', async () => {
    const clock = new FakeClock();
    const waited = withDeadline(forEver, { clock, timeoutMs: 1_000, expired });
    const given = expect(waited).rejects.toEqual(new Error('no answer within 1 s'));
    await clock.advance(1_000);
    await given;
    expect(clock.pending).toBe(0);
  });

  test('frees whoever waits when the parent aborts and the work never settles', async () => {
    const clock = new FakeClock();
    const parent = new AbortController();
    const waited = withDeadline(forEver, { clock, timeoutMs: 1_000, parent: parent.signal, expired });
    const given = expect(waited).rejects.toThrow('nobody waits any more');
    parent.abort(new Error('nobody waits any more'));
    await given;
    expect(clock.pending).toBe(0);
  });
});
