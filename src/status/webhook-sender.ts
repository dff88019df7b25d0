import { setMaxListeners } from 'node:events';
import type { ServiceUrl } from '../model/service.ts';
import type { Clock } from '../system/clock.ts';
import {
  type CheckTarget,
  checkAll,
  KeptConnections,
  NoAnswerError,
  requestUrl,
  TargetRefusedError,
} from '../system/net/http-client.ts';
import { LogLimiter } from '../system/log/log-limiter.ts';
import type { Logger } from '../system/log/logger.ts';
import { messageOf } from '../system/message-of.ts';
import type { WebhookEvent } from './webhook-event.ts';

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
  /** The same for a start and its end. */
  readonly pair: string;
}

const NOWHERE = 'a webhook URL of a label is not allowed';

/** How a receiver took its last post. */
type Standing = keyof typeof MAX_IN_FLIGHT;

/**
 * Posts events as JSON, in the background; what a receiver has answered, or not in time, is not sent again. A start and its
 * end are sent one after the other, or neither of them; all events of a receiver are while it keeps up, and a few at once
 * when it is behind. A receiver that hangs delays nobody else's. `close()` ends it.
 */
export class WebhookSender {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #checkUrl: CheckTarget | undefined;
  readonly #checkLabelUrl: CheckTarget;
  readonly #warnings: LogLimiter;
  /** URLs with events that wait or are being posted; the one whose turn is next comes first. */
  readonly #receivers = new Map<string, Receiver>();
  /** URLs that are being posted to. */
  readonly #inFlight = new Map<string, Standing>();
  readonly #standings = new Map<string, Standing>();
  readonly #refused = new Map<string, string>();
  readonly #closed = new AbortController();
  /** Posts, of which each receiver may have several. */
  #underWay = 0;
  #isEnding = false;
  /** How many events were given up at the end. */
  #lost = 0;
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
    // As many as there are posts under way.
    setMaxListeners(0, this.#closed.signal);
  }

  /** Why the last event of a service might not be sent where its webhook leads, by the service's name. */
  get refusals(): ReadonlyMap<string, string> {
    return this.#refused;
  }

  /** Takes an event; returns at once. */
  send(target: WebhookTarget, event: WebhookEvent): void {
    if (this.#closed.signal.aborted) return;
    const key = keyOf(target);
    const receiver = this.#receivers.get(key) ?? new Receiver();
    this.#receivers.set(key, receiver);
    const post = { target, event, pair: pairOf(target, event) };
    const refusal = receiver.take(post);
    if (refusal !== undefined) return this.#warn(post, refusal);
    this.#begin(key);
  }

  /**
   * Resolves when everything is sent, or given up after `deadlineMs`; nothing may be sent meanwhile. The ends of what
   * receivers know to have started come first, and a start is sent only while there is time for its end.
   */
  flush(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#isEnding = true;
      for (const [key, receiver] of [...this.#receivers]) {
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
      const standing = this.#standings.get(key) ?? 'unknown';
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

  async #post(post: Post, { connections }: Receiver): Promise<void> {
    const { target, event } = post;
    try {
      const { status } = await requestUrl(target.url, {
        checkTarget: checkAll([target.from === 'label' ? this.#checkLabelUrl : undefined, this.#checkUrl]),
        ...{ clock: this.#clock, deadlineMs: TIMEOUT_MS, signal: this.#closed.signal },
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(event),
        connections,
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

  #warn({ target, event }: Omit<Post, 'pair'>, reason: string): void {
    // The path may hold a secret, as those of chat services do.
    const receiver = new URL(target.url).host;
    const suppressed = this.#warnings.pass(receiver);
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? '' : ` (and ${suppressed} more)`;
    const message = `webhook ${event.event} of ${target.service} to ${receiver} failed${more}: ${reason}`;
    this.#logger.warn({ event: 'webhook-failed', service: target.service, receiver }, message);
  }
}

/** Part of the key is who wrote the URL: from a label it may lead to fewer places. */
function keyOf({ url, from }: ServiceUrl): string {
  return `${from} ${url}`;
}

function isStart({ event }: WebhookEvent): boolean {
  return event === 'tcp_conn_start' || event === 'udp_flow_start' || event === 'container_started';
}

function pairOf({ service }: WebhookTarget, event: WebhookEvent): string {
  return 'connection_id' in event ? event.connection_id : `${service} ${event.container_name}`;
}

/** The events that wait for one URL, and those that are being posted to it. */
class Receiver {
  /** In the order in which it is sent, but for what waits for the other half of its pair. */
  waiting: Post[] = [];
  /** The pairs of which something is on its way. */
  readonly busy = new Set<string>();
  /** Used again while something waits. */
  readonly connections = new KeptConnections();
  /** The pairs whose start was not taken, and whose end is still to come. */
  readonly #dropped = new Set<string>();

  get isIdle(): boolean {
    return this.waiting.length === 0 && this.busy.size === 0 && this.#dropped.size === 0;
  }

  /** Returns why an event is not taken. The ends of taken starts always are; there are as many as clients. */
  take(post: Post): string | undefined {
    const { event, pair } = post;
    const isFull = this.waiting.length >= MAX_QUEUED;
    if (!isStart(event) && this.#dropped.delete(pair)) return 'its start was not sent either';
    if (isFull && isStart(event)) {
      this.#dropped.add(pair);
      return `${MAX_QUEUED} events wait already, so its end won't be sent either`;
    }
    // A workload that stops need not have been started by the proxy.
    if (isFull && event.event === 'container_stopped' && this.waiting.length >= 2 * MAX_QUEUED)
      return `${this.waiting.length} events wait already`;
    this.#dropped.delete(pair);
    this.waiting.push(post);
    return undefined;
  }

  /** The first event of which the other half is not on its way. */
  next(): Post | undefined {
    const at = this.waiting.findIndex(({ pair }) => !this.busy.has(pair));
    if (at === -1) return undefined;
    const [post] = this.waiting.splice(at, 1);
    if (post !== undefined) this.busy.add(post.pair);
    return post;
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
    return new Set(this.waiting.filter(({ event }) => isStart(event)).map(({ pair }) => pair));
  }
}
