/** What time it is, for the page. The only file of it that touches timers and `Date`. */

/** How far the clock of the machine with the proxy is ahead of this one's, ms. */
let aheadMs = 0;

/** Ms since the epoch, by the clock of the machine with the proxy. */
export function nowMs(): number {
  return Date.now() + aheadMs;
}

/** Ms of a clock that never jumps. */
export function monotonicMs(): number {
  return performance.now();
}

/** Takes over the clock of the one who answered, where it differs by more than an answer's age can explain. */
export function setClockBy(dateHeader: string | null): void {
  const serverMs = Date.parse(dateHeader ?? '');
  if (Number.isNaN(serverMs)) return;
  // The header has whole seconds.
  const differenceMs = serverMs + 500 - Date.now();
  aheadMs = Math.abs(differenceMs) < 2_500 ? 0 : differenceMs;
}

export function parseTime(text: string): number {
  return Date.parse(text);
}

/** `14:02`, or with the day where that is another one than today: `Mon 14:02`, `Nov 3, 14:02`. */
export function formatClockTime(ms: number, { seconds = false } = {}): string {
  const date = new Date(ms);
  const ageMs = Math.abs(nowMs() - ms);
  const isToday = date.toDateString() === new Date(nowMs()).toDateString();
  return date.toLocaleString(undefined, {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    ...(seconds && { second: '2-digit' }),
    ...(!isToday && (ageMs < 6 * 86_400_000 ? { weekday: 'short' } : { month: 'short', day: 'numeric' })),
  });
}

/** Ms since the epoch of the last `count` full hours, oldest first; by the clock of whoever looks. */
export function listFullHours(count: number): readonly number[] {
  const last = new Date(nowMs());
  last.setMinutes(0, 0, 0);
  return Array.from({ length: count }, (_, index) => last.getTime() - (count - 1 - index) * 3_600_000);
}

/** Calls back once after `delayMs`; the returned function cancels. */
export function schedule(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs);
  return () => clearTimeout(timer);
}

const tickers = new Set<() => void>();
let stopTicking: (() => void) | undefined;

/** Calls back each second; the returned function ends that. One timer serves all. */
export function onEachSecond(callback: () => void): () => void {
  tickers.add(callback);
  if (stopTicking === undefined) {
    const timer = setInterval(() => {
      for (const tick of [...tickers]) tick();
    }, 1_000);
    stopTicking = () => clearInterval(timer);
  }
  return () => {
    tickers.delete(callback);
    if (tickers.size > 0) return;
    stopTicking?.();
    stopTicking = undefined;
  };
}
