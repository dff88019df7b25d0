import { beforeEach, describe, expect, test } from 'vitest';
import { type Answering, PeerVigil, ViewedPair } from '../../../src/relay/tcp/peer-vigil.ts';

/** A minute of silence, then six probes ten seconds apart. */
const KEEP_ALIVE_MS = 60_000;
const INTERVAL_MS = 10_000;
const LIMIT_MS = 120_000;

const QUIET: Answering = { isUnderWay: false, isUnanswered: false, silenceMs: 0 };

describe('PeerVigil', () => {
  let nowMs: number;
  let infoOf: Record<number, Answering>;
  let vigil: PeerVigil;
  let pair: ViewedPair;

  beforeEach(() => {
    nowMs = 1_000_000;
    infoOf = { 1: QUIET, 2: QUIET };
    vigil = new PeerVigil({ readTcpInfo: (fd) => infoOf[fd], nowMs: () => nowMs });
    pair = new ViewedPair(KEEP_ALIVE_MS, () => [1, 2]);
  });

  /** Looks whenever it is due for so long, and tells when a pair was found gone: ms from now on. */
  const watch = (forMs: number, infoAt: (elapsedMs: number) => Answering) => {
    const startMs = nowMs;
    for (;;) {
      const timeoutMs = vigil.timeoutMs();
      if (timeoutMs === undefined || nowMs + timeoutMs > startMs + forMs) return undefined;
      nowMs += timeoutMs;
      infoOf[1] = infoAt(nowMs - startMs);
      if (vigil.findGone().includes(pair)) return nowMs - startMs;
    }
  };

  test('has nothing to do while nothing was sent, and soon after all was acknowledged', () => {
    expect(vigil.timeoutMs()).toBeUndefined();
    vigil.note(pair);
    expect(vigil.timeoutMs()).toBe(INTERVAL_MS);
    nowMs += INTERVAL_MS;
    expect(vigil.timeoutMs()).toBe(0);
    expect(vigil.findGone()).toEqual([]);
    expect(vigil.timeoutMs()).toBeUndefined();
  });

  test('finds one who acknowledges nothing, within the time of keepalive', () => {
    vigil.note(pair);
    const foundMs = watch(LIMIT_MS, (elapsedMs) => ({
      isUnderWay: true,
      isUnanswered: elapsedMs > 200,
      silenceMs: elapsedMs,
    }));
    expect(foundMs).toBeGreaterThanOrEqual(LIMIT_MS - INTERVAL_MS);
    expect(foundMs).toBeLessThanOrEqual(LIMIT_MS);
    expect(vigil.timeoutMs()).toBeUndefined();
  });

  test('keeps one whom the kernel has not asked in vain', () => {
    vigil.note(pair);
    const info = (elapsedMs: number) => ({ isUnderWay: true, isUnanswered: false, silenceMs: elapsedMs });
    expect(watch(10 * LIMIT_MS, info)).toBeUndefined();
  });

  test('keeps one who answers each question about the full window, two minutes apart', () => {
    vigil.note(pair);
    // Each look finds the question of a moment ago, whose answer is on its way.
    const periodMs = 120_000;
    const info = (elapsedMs: number) => ({
      isUnderWay: true,
      isUnanswered: elapsedMs % periodMs < INTERVAL_MS,
      silenceMs: elapsedMs % periodMs < INTERVAL_MS ? periodMs - 1 : elapsedMs % periodMs,
    });
    expect(watch(20 * periodMs, info)).toBeUndefined();
  });

  test('keeps one whose answers are lost now and then', () => {
    vigil.note(pair);
    const info = (elapsedMs: number) => ({
      isUnderWay: true,
      isUnanswered: true,
      silenceMs: elapsedMs % (LIMIT_MS / 2),
    });
    expect(watch(10 * LIMIT_MS, info)).toBeUndefined();
  });

  test('follows nobody with keepalive off, nor a connection that has ended', () => {
    vigil.note(new ViewedPair(0, () => [1, 2]));
    expect(vigil.timeoutMs()).toBeUndefined();
    vigil.note(pair);
    vigil.forget(pair);
    expect(vigil.timeoutMs()).toBeUndefined();
  });

  test('looks at each in its own time', () => {
    vigil.note(pair);
    vigil.note(new ViewedPair(6_000, () => [2]));
    expect(vigil.timeoutMs()).toBe(1_000);
    nowMs += 1_000;
    expect(vigil.findGone()).toEqual([]);
    expect(vigil.timeoutMs()).toBe(INTERVAL_MS - 1_000);
  });
});
