import type { Cancel, Clock } from '../../../system/clock.ts';
import type { WebLease } from '../web-binding.ts';

/** How long a page that was shown keeps the service awake for its next request, from when the service is ready. */
const AFTER_READY_MS = 15_000;

interface HoldOptions {
  readonly clock: Clock;
  readonly lease: WebLease;
  /** Takes the connection by which the service was found ready. */
  readonly onReady: (connection: Awaited<ReturnType<WebLease['connect']>>) => void;
  /** Told once, when it holds nothing any more. */
  readonly onEnd: () => void;
}

/** Why a page may be shown now, or what became of the wake before that. */
export type HoldOutcome =
  | { readonly kind: 'late' | 'ready' | 'left' }
  | { readonly kind: 'failed'; readonly error: unknown };

/**
 * Keeps a service awake for one browser: from its first request on while the service wakes, and where a page was shown, until
 * the browser's next request, at most 15 s after the service was ready. `end()` ends it.
 */
export class PageHold {
  readonly #options: HoldOptions;
  readonly #gone = new AbortController();
  readonly #connected: Promise<HoldOutcome>;
  #waiting = 0;
  #isShown = false;
  #isReady = false;
  #hasEnded = false;
  #cancel: Cancel | undefined;

  constructor(options: HoldOptions) {
    this.#options = options;
    this.#connected = options.lease.connect(this.#gone.signal).then(
      (connection): HoldOutcome => {
        options.onReady(connection);
        this.#isReady = true;
        if (this.#waiting === 0 && !this.#isShown) this.end();
        else this.#cancel = options.clock.schedule(AFTER_READY_MS, () => this.end());
        return { kind: 'ready' };
      },
      (error: unknown): HoldOutcome => {
        this.end();
        return { kind: 'failed', error };
      },
    );
  }

  /** Waits until the service is ready or can't be, the browser has left, or `ms` have passed: then a page is shown. */
  async wait(ms: number, signal: AbortSignal): Promise<HoldOutcome> {
    this.#waiting++;
    const done = new AbortController();
    const stop = () => done.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const late = this.#options.clock.sleep(ms, done.signal).then(
        (): HoldOutcome => ({ kind: 'late' }),
        (): HoldOutcome => ({ kind: 'left' }),
      );
      const outcome = await Promise.race([this.#connected, late]);
      if (outcome.kind === 'late') this.#isShown = true;
      return outcome;
    } finally {
      signal.removeEventListener('abort', stop);
      done.abort();
      this.#waiting--;
      if (this.#waiting === 0 && !this.#isShown && !this.#isReady) this.end();
    }
  }

  /** The browser has come back, and is served. */
  served(): void {
    if (this.#isReady) this.end();
  }

  /** Idempotent. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancel?.();
    this.#gone.abort(new Error('nobody waits any more'));
    this.#options.lease.release();
    this.#options.onEnd();
  }
}
