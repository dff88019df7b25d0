import type { ServiceUrl } from '../model/service.ts';
import type { Clock } from '../system/clock.ts';
import {
  type CheckTarget,
  checkAll,
  NoAnswerError,
  requestUrl,
  TargetRefusedError,
} from '../system/net/http-client.ts';
import { LogLimiter } from '../system/log/log-limiter.ts';
import type { Logger } from '../system/log/logger.ts';
import { messageOf } from '../system/message-of.ts';
import type { WebhookEvent } from './webhook-event.ts';

/** A receiver has so long to answer. */
const TIMEOUT_MS = 5_000;
/**
 * Posts under way at once, by what is known of their receivers: to all; to those that have not answered yet; and to those
 * that let the last post wait in vain. So neither can keep the ones that do answer waiting.
 */
const MAX_IN_FLIGHT = { answered: 96, unknown: 64, silent: 8 } as const;
/** Receivers of which it is kept how they took the last post; the oldest is forgotten. */
const MAX_REMEMBERED = 4_096;
/** Events that wait for one URL; beyond it they are dropped. */
const MAX_QUEUED = 1_024;
/** At most one warning per receiver in this time. */
const WARNING_INTERVAL_MS = 1_000;

/** Where a service's events go. */
export interface WebhookTarget extends ServiceUrl {
  /** The name of the service. */
  readonly service: string;
}

interface Post {
  readonly target: WebhookTarget;
  readonly event: WebhookEvent;
}

const NOWHERE = 'the URL of a label may lead nowhere';

/** The events that wait for one receiver. */
type Queue = Post[];

/** How a receiver took its last post. */
type Standing = keyof typeof MAX_IN_FLIGHT;

/**
 * Posts events as JSON, in the background; never retries. Each URL is sent one event at a time, so that a connection's
 * end never overtakes its start, and a receiver that hangs delays nobody else's. `close()` ends it.
 */
export class WebhookSender {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #checkUrl: CheckTarget | undefined;
  readonly #checkLabelUrl: CheckTarget;
  readonly #warnings: LogLimiter;
  /** What waits, by receiver; the one whose turn is next comes first. */
  readonly #waiting = new Map<string, Queue>();
  readonly #inFlight = new Map<string, Standing>();
  readonly #standings = new Map<string, Standing>();
  readonly #refused = new Map<string, string>();
  readonly #closed = new AbortController();
  #onIdle: (() => void) | undefined;

  /**
   * @param options.checkUrl where any URL may lead; default: everywhere.
   * @param options.checkLabelUrl where the URLs of labels may lead; default: nowhere.
   */
  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly checkUrl?: CheckTarget;
    readonly checkLabelUrl?: CheckTarget;
  }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#checkUrl = options.checkUrl;
    this.#checkLabelUrl = options.checkLabelUrl ?? (() => NOWHERE);
    this.#warnings = new LogLimiter(options.clock, WARNING_INTERVAL_MS);
  }

  /** Why the last event of a service might not be sent where its webhook leads, by the service's name. */
  get refusals(): ReadonlyMap<string, string> {
    return this.#refused;
  }

  /** Takes an event; returns at once. */
  send(target: WebhookTarget, event: WebhookEvent): void {
    if (this.#closed.signal.aborted) return;
    const key = keyOf(target);
    const queue = this.#waiting.get(key) ?? [];
    if (queue.length >= MAX_QUEUED) return this.#warn({ target, event }, `${MAX_QUEUED} events wait already`);
    queue.push({ target, event });
    this.#waiting.set(key, queue);
    this.#begin(key);
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

  /** Posts the first event of a URL, where nothing of it is under way and its turn has come. */
  #begin(key: string): void {
    const standing = this.#standings.get(key) ?? 'unknown';
    const queue = this.#waiting.get(key);
    if (queue === undefined || this.#inFlight.has(key) || this.#isFull(standing)) return;
    const post = queue.shift();
    this.#waiting.delete(key);
    if (post === undefined) return;
    // Behind the others, so that each URL gets its turn.
    if (queue.length > 0) this.#waiting.set(key, queue);
    this.#inFlight.set(key, standing);
    void this.#post(post).finally(() => {
      this.#inFlight.delete(key);
      for (const waiting of [...this.#waiting.keys()]) this.#begin(waiting);
      if (this.#isIdle) this.#onIdle?.();
    });
  }

  /** A receiver's kind has room where it and the worse ones together have not used theirs up. */
  #isFull(standing: Standing): boolean {
    const underWay = [...this.#inFlight.values()].filter(
      (other) => MAX_IN_FLIGHT[other] <= MAX_IN_FLIGHT[standing],
    );
    return underWay.length >= MAX_IN_FLIGHT[standing];
  }

  async #post(post: Post): Promise<void> {
    const { target, event } = post;
    try {
      const { status } = await requestUrl(target.url, {
        checkTarget: checkAll([target.from === 'label' ? this.#checkLabelUrl : undefined, this.#checkUrl]),
        ...{ clock: this.#clock, deadlineMs: TIMEOUT_MS, signal: this.#closed.signal },
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(event),
      });
      this.#remember(keyOf(target), 'answered');
      this.#refused.delete(target.service);
      if (status < 200 || status > 299) this.#warn(post, `it answered ${status}`);
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      this.#remember(keyOf(target), error instanceof NoAnswerError ? 'silent' : 'answered');
      if (error instanceof TargetRefusedError) this.#refused.set(target.service, error.message);
      else this.#refused.delete(target.service);
      this.#warn(post, messageOf(error));
    }
  }

  #remember(key: string, standing: Standing): void {
    this.#standings.delete(key);
    this.#standings.set(key, standing);
    const [oldest] = this.#standings.keys();
    if (this.#standings.size > MAX_REMEMBERED && oldest !== undefined) this.#standings.delete(oldest);
  }

  #warn({ target, event }: Post, reason: string): void {
    // The path may hold a secret, as those of chat services do.
    const receiver = new URL(target.url).host;
    const suppressed = this.#warnings.pass(receiver);
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? '' : ` (and ${suppressed} more)`;
    const message = `webhook ${event.event} of ${target.service} to ${receiver} failed${more}: ${reason}`;
    this.#logger.warn({ event: 'webhook-failed', service: target.service, receiver }, message);
  }
}

/** The same URL, from a label, may lead to fewer places. */
function keyOf({ url, from }: ServiceUrl): string {
  return `${from} ${url}`;
}
