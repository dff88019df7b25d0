import { setMaxListeners } from 'node:events';
import type { ServiceUrl } from '../model/service.ts';
import { isClientEvent, type Webhook, type WebhookEventName } from '../model/webhook.ts';
import { backoffMs } from '../system/waiting/backoff.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import {
  type CheckTarget,
  checkAll,
  type HttpAnswer,
  type HttpTarget,
  KeptConnections,
  NoAnswerError,
  requestUrl,
  TargetRefusedError,
} from '../system/net/http-client.ts';
import { LogLimiter } from '../system/log/log-limiter.ts';
import type { Logger } from '../system/log/logger.ts';
import { messageOf } from '../system/message-of.ts';
import { toOriginal, type WebhookEvent } from './webhook-event.ts';

/** How long a receiver may take to answer, in ms. */
const TIMEOUT_MS = 5_000;
/**
 * Posts under way at once, by what is known of their receivers: to all; to those that have not answered yet; and to those
 * that let the last post wait in vain. So neither can keep the ones that do answer waiting.
 */
const MAX_IN_FLIGHT = { answered: 96, unknown: 64, silent: 8 } as const;
/** For how many receivers the outcome of the last post is remembered; the oldest is forgotten. */
const MAX_REMEMBERED = 4_096;
/**
 * Of one receiver: one while it keeps up, which gives it all events in their order; several, once this many events wait; and
 * more of them at the end, when there is little time.
 */
const LANES = { keepsUp: 1, behind: 8, atTheEnd: 16 } as const;
const BEHIND_FROM = 32;
/** Posts under way beside the first one of each receiver. */
const MAX_EXTRA = 96;
/** Events that wait for one URL; beyond it no start is taken any more, and so no end that belongs to one. */
const MAX_QUEUED = 1_024;
/** The part of the last time in which starts are still sent: their ends need the rest. */
const LAST_STARTS = 0.5;
/**
 * What isn't about a single client is sent again after a failure, so often and for so long: the last try is made within `forMs` after
 * the event.
 */
const RETRY = { firstMs: 1_000, maxMs: 30_000, forMs: 120_000 } as const;
/** What a receiver answers that is busy, or about to be well again. */
const RETRIED_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);
/** At most one warning per receiver in this time. */
const WARNING_INTERVAL_MS = 1_000;

/** Where events go, and in which form. */
export interface WebhookTarget extends ServiceUrl, Omit<Webhook, 'format'> {
  /** The service that they are about; undefined = the proxy as a whole. */
  readonly service: string | undefined;
  /** `original`: as lazy-tcp-proxy sends them, and once, whatever becomes of it. */
  readonly format: Webhook['format'] | 'original';
}

/** Why nothing is sent somewhere. An `expected` refusal is no mistake, and is not told. */
export interface TargetRefusal {
  readonly reason: string;
  readonly isExpected: boolean;
}

interface Post {
  readonly target: WebhookTarget;
  readonly event: WebhookEvent;
  /** The same for a start and its end. */
  readonly pair: string;
  /** Until when it is tried, on the clock that never jumps. */
  readonly untilMs: number;
  readonly failures: number;
}

const NOWHERE = 'a webhook URL of a label is not allowed';

/** How a receiver took its last post. */
type Standing = keyof typeof MAX_IN_FLIGHT;

/**
 * Posts events in the background. What fails is sent again for two minutes, unless it is about a single client. A start and its
 * end are sent one after the other, or neither of them; all events of a receiver are while it keeps up, and a few at once
 * when it is behind. A receiver that hangs delays nobody else's. `close()` ends it.
 */
export class WebhookSender {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #checkUrl: (target: HttpTarget, service: string | undefined) => TargetRefusal | undefined;
  readonly #checkLabelUrl: CheckTarget;
  readonly #warnings: LogLimiter;
  /** URLs with events that wait or are being posted; the one whose turn is next comes first. */
  readonly #receivers = new Map<string, Receiver>();
  /** URLs that are being posted to. */
  readonly #inFlight = new Map<string, Standing>();
  /** By receiver, how its last post went; `refused`: why nothing may be sent there. */
  readonly #outcomes = new Map<string, { readonly standing: Standing; readonly refused?: string }>();
  readonly #closed = new AbortController();
  /** Posts, of which each receiver may have several. */
  #underWay = 0;
  #isEnding = false;
  /** How many events were given up at the end. */
  #lost = 0;
  #onIdle: (() => void) | undefined;

  /**
   * @param options.checkUrl where an event of a service, or of the proxy, may go; default: everywhere.
   * @param options.checkLabelUrl where the URLs of labels may lead; default: nowhere.
   */
  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly checkUrl?: (target: HttpTarget, service: string | undefined) => TargetRefusal | undefined;
    readonly checkLabelUrl?: CheckTarget;
  }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#checkUrl = options.checkUrl ?? (() => undefined);
    this.#checkLabelUrl = options.checkLabelUrl ?? (() => NOWHERE);
    this.#warnings = new LogLimiter(options.clock, WARNING_INTERVAL_MS);
    // As many as there are posts under way.
    setMaxListeners(0, this.#closed.signal);
  }

  /** Why the last event might not be sent where a URL leads; undefined where it might. */
  refusalOf(url: ServiceUrl): string | undefined {
    return this.#outcomes.get(keyOf(url))?.refused;
  }

  /** Takes an event, if the target wants it; returns at once. */
  send(target: WebhookTarget, event: WebhookEvent): void {
    if (this.#closed.signal.aborted || !target.events.includes(event.event)) return;
    const key = keyOf(target);
    const receiver = this.#receivers.get(key) ?? new Receiver();
    this.#receivers.set(key, receiver);
    const untilMs = this.#clock.monotonicMs() + RETRY.forMs;
    const post: Post = { target, event, pair: pairOf(target, event), untilMs, failures: 0 };
    const refusal = receiver.take(post);
    if (refusal !== undefined) return this.#warn(post, refusal);
    this.#begin(key);
  }

  /**
   * Resolves when everything is sent, or given up after `deadlineMs`; nothing may be sent meanwhile. What waits to be sent again
   * is tried once more. The ends of what
   * receivers know to have started come first, and a start is sent only while there is time for its end.
   */
  flush(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#isEnding = true;
      for (const [key, receiver] of [...this.#receivers]) {
        receiver.recallAll();
        receiver.sortForTheEnd();
        this.#begin(key);
      }
      if (this.#isIdle) return resolve();
      const finish = () => {
        cancelStarts();
        cancel();
        resolve();
      };
      const cancelStarts = this.#clock.schedule(deadlineMs * LAST_STARTS, () => {
        for (const receiver of this.#receivers.values()) this.#lost += receiver.dropStarts();
        if (this.#isIdle) finish();
      });
      const cancel = this.#clock.schedule(deadlineMs, finish);
      this.#onIdle = finish;
    });
  }

  /** Gives up events that are not sent yet, and logs how many. Idempotent. */
  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#lost += this.#underWay;
    for (const receiver of this.#receivers.values()) {
      receiver.recallAll();
      this.#lost += receiver.waiting.length;
      receiver.close();
    }
    this.#receivers.clear();
    this.#closed.abort(new Error('the proxy is shutting down'));
    if (this.#lost === 0) return;
    const events = this.#lost === 1 ? '1 webhook event was' : `${this.#lost} webhook events were`;
    this.#logger.warn(
      { event: 'webhooks-lost', count: this.#lost },
      `${events} not delivered before the end of the proxy`,
    );
  }

  get #isIdle(): boolean {
    return this.#underWay === 0 && [...this.#receivers.values()].every(({ waiting }) => waiting.length === 0);
  }

  /** Posts those events of a URL that may be posted now. */
  #begin(key: string): void {
    for (;;) {
      const receiver = this.#receivers.get(key);
      const standing = this.#outcomes.get(key)?.standing ?? 'unknown';
      if (receiver === undefined || !this.#hasTurn(receiver, standing)) return;
      const post = receiver.next();
      if (post === undefined) return;
      // Behind the others, so that each URL gets its turn.
      this.#receivers.delete(key);
      this.#receivers.set(key, receiver);
      if (!this.#inFlight.has(key)) this.#inFlight.set(key, standing);
      this.#underWay++;
      void this.#post(post, receiver).finally(() => {
        this.#underWay--;
        receiver.done(post);
        if (receiver.busy.size === 0) this.#inFlight.delete(key);
        if (receiver.isIdle && this.#receivers.get(key) === receiver) this.#receivers.delete(key);
        for (const [other, { waiting }] of [...this.#receivers]) if (waiting.length > 0) this.#begin(other);
        if (this.#isIdle) this.#onIdle?.();
      });
    }
  }

  #hasTurn(receiver: Receiver, standing: Standing): boolean {
    const { busy, waiting } = receiver;
    if (waiting.length === 0) return false;
    if (busy.size === 0) return !this.#isFull(standing);
    // A receiver that has not answered yet may be one that never answers.
    if (standing !== 'answered' || this.#underWay - this.#inFlight.size >= MAX_EXTRA) return false;
    if (this.#isEnding) return busy.size < LANES.atTheEnd;
    return busy.size < (waiting.length < BEHIND_FROM ? LANES.keepsUp : LANES.behind);
  }

  /** A receiver's kind has room where it and the worse ones together have not used theirs up. */
  #isFull(standing: Standing): boolean {
    const underWay = [...this.#inFlight.values()].filter(
      (other) => MAX_IN_FLIGHT[other] <= MAX_IN_FLIGHT[standing],
    );
    return underWay.length >= MAX_IN_FLIGHT[standing];
  }

  async #post(post: Post, receiver: Receiver): Promise<void> {
    const { target } = post;
    const key = keyOf(target);
    let isExpected = false;
    const checkUrl: CheckTarget = (place) => {
      const refusal = this.#checkUrl(place, target.service);
      isExpected = refusal?.isExpected === true;
      return refusal?.reason;
    };
    try {
      const answer = await this.#ask(post, { receiver, checkUrl });
      this.#remember(key, { standing: 'answered' });
      if (answer.status < 200 || answer.status > 299) this.#failed(post, { receiver, answer });
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      if (!(error instanceof TargetRefusedError)) {
        this.#remember(key, { standing: error instanceof NoAnswerError ? 'silent' : 'answered' });
        return this.#failed(post, { receiver, error });
      }
      const refused = isExpected ? this.refusalOf(target) : error.message;
      this.#remember(key, { standing: 'answered', ...(refused !== undefined && { refused }) });
      if (!isExpected) this.#warn(post, error.message);
    }
  }

  async #ask(
    { target, event }: Post,
    { receiver, checkUrl }: { readonly receiver: Receiver; readonly checkUrl: CheckTarget },
  ): Promise<HttpAnswer> {
    const { format } = target;
    const { headers, body } =
      format === 'original'
        ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(toOriginal(event)) }
        : (await import('./webhook-format.ts')).formatPost(event, { ...target, format });
    return requestUrl(target.url, {
      checkTarget: checkAll([target.from === 'label' ? this.#checkLabelUrl : undefined, checkUrl]),
      ...{ clock: this.#clock, deadlineMs: TIMEOUT_MS, signal: this.#closed.signal },
      ...{ method: 'POST', headers, body, connections: receiver.connections },
    });
  }

  /** Has a post sent again later, or gives it up. */
  #failed(
    post: Post,
    {
      receiver,
      answer,
      error,
    }: { readonly receiver: Receiver; readonly answer?: HttpAnswer; readonly error?: unknown },
  ): void {
    const why = answer === undefined ? messageOf(error) : `it answered ${answer.status}`;
    const failures = post.failures + 1;
    const delayMs = Math.max(backoffMs(failures, RETRY), readRetryAfter(answer));
    const isLate = this.#clock.monotonicMs() + delayMs > post.untilMs;
    if (!isRetried(post, answer) || this.#isEnding || isLate) {
      const tries = failures > 1 ? `, ${failures} times; it is given up` : '';
      return this.#warn(post, `${why}${tries}`);
    }
    if (failures === 1) this.#warn(post, `${why}; it is sent again for 2 minutes`);
    const again = { ...post, failures };
    receiver.postpone(
      again,
      this.#clock.schedule(delayMs, () => {
        receiver.recall(again);
        this.#begin(keyOf(post.target));
      }),
    );
  }

  #remember(key: string, outcome: { readonly standing: Standing; readonly refused?: string }): void {
    this.#outcomes.delete(key);
    this.#outcomes.set(key, outcome);
    const [oldest] = this.#outcomes.keys();
    if (this.#outcomes.size > MAX_REMEMBERED && oldest !== undefined) this.#outcomes.delete(oldest);
  }

  #warn({ target, event }: Post, reason: string): void {
    // The path may hold a secret, as those of chat services do.
    const receiver = new URL(target.url).host;
    const suppressed = this.#warnings.pass(receiver);
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? '' : ` (and ${suppressed} more)`;
    const { service } = target;
    const of = service === undefined ? '' : ` of ${service}`;
    const message = `webhook ${event.event}${of} to ${receiver} failed${more}: ${reason}`;
    const fields = { event: 'webhook-failed', ...(service !== undefined && { service }), receiver };
    this.#logger.warn(fields, message);
  }
}

/** Part of the key is who wrote the URL: from a label it may lead to fewer places. */
function keyOf({ url, from }: ServiceUrl): string {
  return `${from} ${url}`;
}

function pairOf({ service }: WebhookTarget, event: WebhookEvent): string {
  if ('connection_id' in event) return event.connection_id;
  if (event.event === 'listener_lost')
    return `${event.protocol} ${event.listen_address} ${event.listen_port}`;
  if ('container_name' in event) return `${service} ${event.container_name}`;
  return 'engine' in event ? event.engine : 'file';
}

/** The event that ends what another one begins; undefined where it begins nothing. */
const ENDS: Readonly<Partial<Record<WebhookEventName, WebhookEventName>>> = {
  tcp_conn_start: 'tcp_conn_end',
  udp_flow_start: 'udp_flow_end',
  container_started: 'container_stopped',
};

/** Whether the target knows that what now ends has begun. */
function isOwed({ target, event }: Post): boolean {
  return isClientEvent(event.event) && target.events.some((start) => ENDS[start] === event.event);
}

function isRetried({ target, event }: Post, answer: HttpAnswer | undefined): boolean {
  if (target.format === 'original' || isClientEvent(event.event)) return false;
  return answer === undefined || answer.status >= 500 || RETRIED_STATUSES.has(answer.status);
}

/** In ms; 0 where the receiver doesn't say it in seconds. */
function readRetryAfter(answer: HttpAnswer | undefined): number {
  const text = answer?.retryAfter ?? '';
  return /^\d{1,6}(\.\d{1,6})?$/.test(text) ? Number(text) * 1_000 : 0;
}

/** The events that wait for one URL, and those that are being posted to it. */
class Receiver {
  /** In the order in which it is sent, but for what waits for the other half of its pair. */
  waiting: Post[] = [];
  /** The pairs of which something is on its way. */
  readonly busy = new Set<string>();
  /** Used again while something waits. */
  readonly connections = new KeptConnections();
  /** What is sent again later, and how that is cancelled. */
  readonly #later = new Map<Post, Cancel>();
  /** The pairs of which something is sent again later. */
  readonly #held = new Set<string>();
  /** The pairs whose start was not taken, and whose end is still to come. */
  readonly #dropped = new Set<string>();

  get isIdle(): boolean {
    return this.#size === 0 && this.busy.size === 0 && this.#dropped.size === 0;
  }

  get #size(): number {
    return this.waiting.length + this.#later.size;
  }

  /** Returns why an event is not taken. The ends of taken starts of clients always are; there are as many as clients. */
  take(post: Post): string | undefined {
    const { target, event, pair } = post;
    const end = ENDS[event.event];
    if (end === undefined && this.#dropped.delete(pair)) return 'its start was not sent either';
    if (end !== undefined && this.#size >= MAX_QUEUED) {
      if (!target.events.includes(end)) return `${MAX_QUEUED} events wait already`;
      this.#dropped.add(pair);
      return `${MAX_QUEUED} events wait already, so its end won't be sent either`;
    }
    // There may be more of these than of starts: a workload that stops need not have been started by the proxy.
    if (end === undefined && !isOwed(post) && this.#size >= 2 * MAX_QUEUED)
      return `${this.#size} events wait already`;
    this.#dropped.delete(pair);
    this.waiting.push(post);
    return undefined;
  }

  /** The first event of which the other half is not on its way, nor sent again later. */
  next(): Post | undefined {
    const at = this.waiting.findIndex(({ pair }) => !this.busy.has(pair) && !this.#held.has(pair));
    if (at === -1) return undefined;
    const [post] = this.waiting.splice(at, 1);
    if (post !== undefined) this.busy.add(post.pair);
    return post;
  }

  /** Keeps a post, and what belongs to it, until `recall()`. */
  postpone(post: Post, cancel: Cancel): void {
    this.#later.set(post, cancel);
    this.#held.add(post.pair);
  }

  /** Puts a post that was postponed before all others. */
  recall(post: Post): void {
    this.#later.get(post)?.();
    if (!this.#later.delete(post)) return;
    this.#held.delete(post.pair);
    this.waiting.unshift(post);
  }

  recallAll(): void {
    for (const post of [...this.#later.keys()].toReversed()) this.recall(post);
  }

  done({ pair }: Post): void {
    this.busy.delete(pair);
    if (this.waiting.length === 0 && this.busy.size === 0) this.connections.close();
  }

  /** First the ends of starts that are sent, then each start followed by its end. */
  sortForTheEnd(): void {
    const starts = this.#waitingStarts();
    const pairs = new Map<string, Post[]>([...starts].map((pair) => [pair, []]));
    const known = this.waiting.filter((post) => !starts.has(post.pair));
    for (const post of this.waiting) pairs.get(post.pair)?.push(post);
    this.waiting = [...known, ...[...pairs.values()].flat()];
  }

  /** Gives up the starts that wait, with their ends; returns how many events that was. */
  dropStarts(): number {
    const starts = this.#waitingStarts();
    const before = this.waiting.length;
    this.waiting = this.waiting.filter(({ pair }) => !starts.has(pair));
    return before - this.waiting.length;
  }

  close(): void {
    this.waiting = [];
    this.connections.close();
  }

  #waitingStarts(): ReadonlySet<string> {
    return new Set(this.waiting.filter(({ event }) => ENDS[event.event]).map(({ pair }) => pair));
  }
}
