/** Time as a capability, so that tests move it by hand. The only file that touches timers and `Date`. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Milliseconds of a clock that never jumps; only differences mean anything. */
  monotonicMs(): number;
  /** Calls back once after `delayMs` (any length, also beyond 2^31 ms); the returned function cancels. */
  schedule(delayMs: number, callback: () => void): Cancel;
  /** Resolves after `delayMs`; rejects with the signal's reason when it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

export type Cancel = () => void;

/** The longest delay that setTimeout takes; beyond it, it fires at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule,
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = () => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = schedule(delayMs, () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      signal?.addEventListener('abort', abort, { once: true });
    });
  },
};

function schedule(delayMs: number, callback: () => void): Cancel {
  let timer: NodeJS.Timeout;
  const arm = (remainingMs: number) => {
    const stepMs = Math.min(remainingMs, MAX_TIMEOUT_MS);
    timer = setTimeout(() => (remainingMs > stepMs ? arm(remainingMs - stepMs) : callback()), stepMs);
  };
  arm(Math.max(0, delayMs));
  return () => clearTimeout(timer);
}

/** Calls back when all events that have arrived are dealt with, before the loop waits for new ones. For the edges of the runtime only. */
export function afterEvents(callback: () => void): void {
  setImmediate(callback);
}

/** Calls back when what the kernel holds by now was read, too. For the edges of the runtime only. */
export function afterReads(callback: () => void): void {
  // The first one may come before the loop has looked at its sockets again.
  setImmediate(() => setImmediate(callback));
}

/** Calls back after `delayMs`, but does not keep the program alive until then. For the edges of the runtime only. */
export function scheduleUnawaited(delayMs: number, callback: () => void): void {
  setTimeout(callback, delayMs).unref();
}

/** RFC 3339 in UTC with whole seconds: `2026-04-01T12:34:56Z`. */
export function formatTimestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/**
 * An RFC 3339 timestamp in the time zone of the process: `14:34:56.789`, or with date and zone `2026-04-01 14:34:56.789 +02:00`.
 */
export function formatLocalTime(timestamp: string, style: 'time' | 'datetime'): string {
  const at = new Date(timestamp);
  const offsetMinutes = -at.getTimezoneOffset();
  const [date, time = ''] = new Date(at.getTime() + offsetMinutes * 60_000)
    .toISOString()
    .slice(0, -1)
    .split('T');
  if (style === 'time') return time;
  const offset = Math.abs(offsetMinutes);
  const zone = [Math.floor(offset / 60), offset % 60].map((part) => String(part).padStart(2, '0')).join(':');
  return `${date} ${time} ${offsetMinutes < 0 ? '-' : '+'}${zone}`;
}

/** Reads an RFC 3339 timestamp of any precision, or an HTTP date, as ms since the epoch; NaN where the text is neither. */
export function parseTimestamp(text: string): number {
  return Date.parse(text);
}
