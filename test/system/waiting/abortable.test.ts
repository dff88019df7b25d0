import { describe, expect, test } from 'vitest';
import { abortable } from '../../../src/system/waiting/abortable.ts';
import { collectGarbage } from '../../support/collect-garbage.ts';

const never = new Promise<void>(() => {});

describe('abortable', () => {
  test('gives what the promise gives when it resolves first', async () => {
    await expect(abortable(Promise.resolve(1), new AbortController().signal)).resolves.toBe(1);
  });

  test('throws what the promise throws when it rejects first', async () => {
    const failed = Promise.reject(new Error('broken'));
    await expect(abortable(failed, new AbortController().signal)).rejects.toThrow('broken');
  });

  test("throws the signal's reason when it aborts first", async () => {
    const leaving = new AbortController();
    const waited = abortable(never, leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(waited).rejects.toThrow('gone');
  });

  test('throws at once when the signal has aborted already, though the promise has resolved', async () => {
    await expect(abortable(Promise.resolve(1), AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  });

  test('gives a promise that has settled to whoever comes later, as often as it is asked for', async () => {
    const { signal } = new AbortController();
    const shared = Promise.resolve(1);
    await abortable(shared, signal);
    await expect(abortable(shared, signal)).resolves.toBe(1);
    const failed = Promise.reject(new Error('broken'));
    await expect(abortable(failed, signal)).rejects.toThrow('broken');
    await expect(abortable(failed, signal)).rejects.toThrow('broken');
  });

  test('leaves no rejection unhandled where nobody waited', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(abortable(Promise.reject(new Error('broken')), gone)).rejects.toThrow('gone');
    // Node tells of it once all that was due is done.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  test('lets the others go on when one leaves', async () => {
    let resolve = (_: number) => {};
    const shared = new Promise<number>((done) => {
      resolve = done;
    });
    const leaving = new AbortController();
    const [left, stayed] = [leaving, new AbortController()].map(({ signal }) => abortable(shared, signal));
    leaving.abort(new Error('gone'));
    resolve(7);
    await expect(left).rejects.toThrow('gone');
    await expect(stayed).resolves.toBe(7);
  });

  test('keeps nothing of who has left while the promise goes on', async () => {
    const kept = await Promise.all(Array.from({ length: 100 }, leave));
    await collectGarbage();
    expect(kept.filter((signal) => signal.deref() !== undefined).length).toBeLessThanOrEqual(1);
  });
});

async function leave(): Promise<WeakRef<AbortSignal>> {
  const leaving = new AbortController();
  const waited = abortable(never, leaving.signal).catch(() => {});
  leaving.abort();
  await waited;
  return new WeakRef(leaving.signal);
}
