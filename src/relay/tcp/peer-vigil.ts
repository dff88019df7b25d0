import { type KeepAlive, planKeepAlive } from './keep-alive.ts';
import type { TcpInfo } from '../native/tcp-info.ts';

/** What tells whether the other end answers. */
export type Answering = Pick<TcpInfo, 'isUnderWay' | 'isUnanswered' | 'silenceMs'>;

interface VigilOptions {
  readonly readTcpInfo: (fd: number) => Answering | undefined;
  /** Of a clock that never jumps. */
  readonly nowMs: () => number;
}

/** Both sockets of one connection, as the vigil watches them. */
export class ViewedPair {
  readonly keepAliveMs: number;
  /** The descriptors that are still open. */
  readonly descriptors: () => readonly number[];
  /** Whether unacknowledged bytes may be under way to one of them. */
  isViewed = false;
  /** Since when one of them has been seen to answer nothing, by descriptor. */
  unansweredSinceMs: Map<number, number> | undefined;

  constructor(keepAliveMs: number, descriptors: () => readonly number[]) {
    this.keepAliveMs = keepAliveMs;
    this.descriptors = descriptors;
  }
}

/** The connections with the same keepalive time. */
interface Watch {
  readonly keepAlive: KeepAlive;
  readonly pairs: Set<ViewedPair>;
  /** When they are checked next. */
  dueMs: number;
}

/**
 * Finds connections whose other end is gone while something is under way to it. The kernel sends that again for some 15
 * minutes, and doesn't probe meanwhile; here it ends after as long a silence as keepalive allows. An end that is there is
 * kept, whatever it doesn't read: it answers when the kernel asks about its full window.
 *
 * Only those are looked at to whom bytes may be under way, as often as the kernel would probe; nothing is due without.
 */
export class PeerVigil {
  readonly #options: VigilOptions;
  readonly #watches = new Map<number, Watch>();

  constructor(options: VigilOptions) {
    this.#options = options;
  }

  /** Notes that something may have been sent to one side. Cheap while the pair is being watched already. */
  note(pair: ViewedPair): void {
    if (pair.isViewed) return;
    const watch = this.#watchOf(pair.keepAliveMs);
    if (watch === undefined) return;
    pair.isViewed = true;
    watch.pairs.add(pair);
  }

  /** The connection has ended. */
  forget(pair: ViewedPair): void {
    if (!pair.isViewed) return;
    const watch = this.#watches.get(pair.keepAliveMs);
    this.#leave(pair, watch);
    if (watch?.pairs.size === 0) this.#watches.delete(pair.keepAliveMs);
  }

  /** Time until `findGone` has something to do, in ms; undefined = nothing to do. */
  timeoutMs(): number | undefined {
    if (this.#watches.size === 0) return undefined;
    let dueMs = Number.POSITIVE_INFINITY;
    for (const watch of this.#watches.values()) dueMs = Math.min(dueMs, watch.dueMs);
    return Math.max(0, Math.ceil(dueMs - this.#options.nowMs()));
  }

  /** Returns the pairs that have lost an end, and stops watching them. */
  findGone(): readonly ViewedPair[] {
    const nowMs = this.#options.nowMs();
    const gone: ViewedPair[] = [];
    for (const [keepAliveMs, watch] of this.#watches) {
      if (watch.dueMs > nowMs) continue;
      for (const pair of watch.pairs) if (this.#look(pair, { watch, nowMs })) gone.push(pair);
      if (watch.pairs.size === 0) this.#watches.delete(keepAliveMs);
      else watch.dueMs = nowMs + watch.keepAlive.intervalSeconds * 1_000;
    }
    return gone;
  }

  /** Whether an end of the pair is gone; stops watching a pair to which nothing is under way. */
  #look(pair: ViewedPair, { watch, nowMs }: { readonly watch: Watch; readonly nowMs: number }): boolean {
    const { idleSeconds, intervalSeconds, probes } = watch.keepAlive;
    // Checked once per interval, so the last check has to come before the time is over.
    const limitMs = (idleSeconds + intervalSeconds * (probes - 1)) * 1_000;
    let isUnderWay = false;
    let isGone = false;
    for (const fd of pair.descriptors()) {
      const info = this.#options.readTcpInfo(fd);
      if (info?.isUnderWay) isUnderWay = true;
      const sinceMs = pair.unansweredSinceMs?.get(fd);
      if (info === undefined || !info.isUnderWay || !info.isUnanswered) pair.unansweredSinceMs?.delete(fd);
      else if (sinceMs === undefined || info.silenceMs < nowMs - sinceMs) {
        // Checked for the first time, or heard from since: an answer may still come before the next check.
        pair.unansweredSinceMs ??= new Map();
        pair.unansweredSinceMs.set(fd, nowMs);
      } else if (info.silenceMs >= limitMs) isGone = true;
    }
    if (isGone || !isUnderWay) this.#leave(pair, watch);
    return isGone;
  }

  #leave(pair: ViewedPair, watch: Watch | undefined): void {
    pair.isViewed = false;
    pair.unansweredSinceMs = undefined;
    watch?.pairs.delete(pair);
  }

  #watchOf(keepAliveMs: number): Watch | undefined {
    const known = this.#watches.get(keepAliveMs);
    const keepAlive = known === undefined ? planKeepAlive(keepAliveMs) : known.keepAlive;
    if (known !== undefined || keepAlive === undefined) return known;
    const dueMs = this.#options.nowMs() + keepAlive.intervalSeconds * 1_000;
    const watch = { keepAlive, pairs: new Set<ViewedPair>(), dueMs };
    this.#watches.set(keepAliveMs, watch);
    return watch;
  }
}
