import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Clock } from '../system/clock.ts';
import { LogLimiter } from '../system/log-limiter.ts';
import type { Logger } from '../system/logger.ts';
import { messageOf } from '../system/message-of.ts';
import type { WebhookEvent } from './webhook-event.ts';

/** A receiver has so long to answer. */
const TIMEOUT_MS = 5_000;
/** Posts under way at once, over all receivers. */
const MAX_IN_FLIGHT = 8;
/** Events that wait for one URL; beyond it they are dropped. */
const MAX_QUEUED = 1_024;
/** At most one warning per receiver in this time. */
const WARNING_INTERVAL_MS = 1_000;

interface Post {
  readonly url: string;
  readonly event: WebhookEvent;
}

/**
 * Posts events as JSON, in the background; never retries. Each URL is sent one event at a time, so that a connection's
 * end never overtakes its start, and a receiver that hangs delays nobody else's. `close()` ends it.
 */
export class WebhookSender {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #warnings: LogLimiter;
  /** What waits, by URL; the one whose turn is next comes first. */
  readonly #waiting = new Map<string, WebhookEvent[]>();
  readonly #inFlight = new Set<string>();
  readonly #closed = new AbortController();
  #onIdle: (() => void) | undefined;

  constructor(options: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#warnings = new LogLimiter(options.clock, WARNING_INTERVAL_MS);
  }

  /** Takes an event; returns at once. */
  send(url: string, event: WebhookEvent): void {
    if (this.#closed.signal.aborted) return;
    const events = this.#waiting.get(url) ?? [];
    if (events.length >= MAX_QUEUED) return this.#warn({ url, event }, `${MAX_QUEUED} events wait already`);
    events.push(event);
    this.#waiting.set(url, events);
    this.#pump();
  }

  /** Resolves when everything is sent, or given up after `deadlineMs`; nothing may be sent meanwhile. */
  flush(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isIdle) return resolve();
      const cancel = this.#clock.schedule(deadlineMs, resolve);
      this.#onIdle = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Gives up what is not sent yet. Idempotent. */
  close(): void {
    this.#waiting.clear();
    this.#closed.abort(new Error('the proxy is shutting down'));
  }

  get #isIdle(): boolean {
    return this.#inFlight.size === 0 && this.#waiting.size === 0;
  }

  #pump(): void {
    for (const [url, events] of [...this.#waiting]) {
      if (this.#inFlight.size >= MAX_IN_FLIGHT) return;
      if (this.#inFlight.has(url)) continue;
      const event = events.shift();
      this.#waiting.delete(url);
      if (event === undefined) continue;
      // Behind the others, so that each URL gets its turn.
      if (events.length > 0) this.#waiting.set(url, events);
      this.#inFlight.add(url);
      void this.#post({ url, event }).finally(() => {
        this.#inFlight.delete(url);
        this.#pump();
        if (this.#isIdle) this.#onIdle?.();
      });
    }
  }

  async #post(post: Post): Promise<void> {
    const timeout = new AbortController();
    const cancel = this.#clock.schedule(TIMEOUT_MS, () => {
      timeout.abort(new Error(`no answer within ${TIMEOUT_MS / 1_000} s`));
    });
    const abort = () => timeout.abort(this.#closed.signal.reason);
    this.#closed.signal.addEventListener('abort', abort, { once: true });
    try {
      const status = await postJson(post.url, { body: JSON.stringify(post.event), signal: timeout.signal });
      if (status < 200 || status > 299) this.#warn(post, `it answered ${status}`);
    } catch (error) {
      const cause = timeout.signal.aborted ? timeout.signal.reason : error;
      if (!this.#closed.signal.aborted) this.#warn(post, messageOf(cause));
    } finally {
      cancel();
      this.#closed.signal.removeEventListener('abort', abort);
    }
  }

  #warn({ url, event }: Post, reason: string): void {
    // The path may hold a secret, as those of chat services do.
    const receiver = new URL(url).host;
    const suppressed = this.#warnings.pass(receiver);
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? '' : ` (and ${suppressed} more)`;
    const message = `webhook ${event.event} to ${receiver} failed${more}: ${reason}`;
    this.#logger.warn({ event: 'webhook-failed', receiver }, message);
  }
}

/** Resolves with the status of the answer. */
function postJson(
  url: string,
  options: { readonly body: string; readonly signal: AbortSignal },
): Promise<number> {
  const { body, signal } = options;
  const send = url.startsWith('https:') ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    // A connection of its own, so that none is kept open between events.
    const request = send(url, { method: 'POST', headers, signal, agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0)).once('error', reject);
    });
    request.once('error', reject).end(body);
  });
}
