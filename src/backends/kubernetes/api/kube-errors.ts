import { type Clock, parseTimestamp } from '../../../system/clock.ts';
import { describeError } from '../../../system/message-of.ts';
import type { KubeStatus } from './api-shapes.ts';

/** The API server can't be asked: no connection, or it broke before the answer was complete. */
export class KubeUnreachable extends Error {
  readonly code = 'KUBE_UNREACHABLE';
}

/** The API server was away, and answers again, but is not up yet. */
export class KubeStarting extends KubeUnreachable {}

/** The API server answered, and refused; the message is its own, which names verb, resource and namespace for a 403. */
export class KubeRefusal extends Error {
  readonly code = 'KUBE_REFUSED';
  /** HTTP status of the answer. */
  readonly status: number;
  /** One word of the API server's: `NotFound`, `Conflict`, `Forbidden`, `Expired` …; empty where it gives none. */
  readonly reason: string;
  /** How long the API server asks to wait before the next request, ms; undefined where it doesn't say. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    options: {
      readonly status: number;
      readonly reason?: string;
      readonly retryAfterMs?: number | undefined;
    },
  ) {
    super(message);
    this.status = options.status;
    this.reason = options.reason ?? '';
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** A server that asks for a longer pause gets no more than this: it may be mistaken. */
const MAX_RETRY_AFTER_MS = 60_000;

/** How long to wait before the same request is made again: `delayMs`, or longer where the API server asks for that. */
export function retryDelayMs(error: unknown, delayMs: number): number {
  const askedMs = error instanceof KubeRefusal ? (error.retryAfterMs ?? 0) : 0;
  return Math.max(delayMs, Math.min(askedMs, MAX_RETRY_AFTER_MS));
}

/**
 * What a `Retry-After` header says, ms: seconds, or a date, which is read by the server's own clock, that every answer
 * tells. Undefined where it says neither.
 */
export function readRetryAfter(headers: {
  readonly 'retry-after'?: string | undefined;
  readonly date?: string | undefined;
}): number | undefined {
  const text = headers['retry-after']?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const delayMs = parseTimestamp(text) - parseTimestamp(headers.date ?? '');
  return Number.isNaN(delayMs) ? undefined : Math.max(0, delayMs);
}

/** Whether the same request may well succeed a little later: the server is overloaded, or not quite up. */
export function isPassing(error: unknown): boolean {
  if (error instanceof KubeUnreachable) return true;
  return error instanceof KubeRefusal && (error.status === 429 || error.status >= 500);
}

/** Why a request that is made again did not succeed yet, with how long the API server asked to wait. */
export function describePassing(error: unknown): string {
  const askedMs = error instanceof KubeRefusal ? error.retryAfterMs : undefined;
  const asked = askedMs === undefined ? '' : `, and asked to wait ${Math.ceil(askedMs / 1_000)} s`;
  const status = error instanceof KubeRefusal ? ` (${error.status})` : '';
  return `the API server did not do it yet${status}: ${describeError(error)}${asked}`;
}

/** The error that a watch sends as its last event. */
export function refusalOf({ code = 500, reason = '', message, details }: KubeStatus): KubeRefusal {
  const seconds = details?.retryAfterSeconds;
  const retryAfterMs = seconds === undefined ? undefined : seconds * 1_000;
  const told = message ?? `the watch failed with status ${code}`;
  return new KubeRefusal(told, { status: code, reason, retryAfterMs });
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(describeError(thrown));
}

/** Longer than anybody waits who asks again after the API server was away. */
const COLD_MS = 10_000;

/**
 * Tells an API server that refuses from one that has only just come back: such a server takes requests before it has read
 * its users and their rights, and refuses everybody until then.
 */
export class ColdStart {
  readonly #clock: Clock;
  #lastFailureMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns the error, or a {KubeStarting} where a server that was away a moment ago refuses the caller. */
  judge(error: unknown): unknown {
    const nowMs = this.#clock.monotonicMs();
    if (error instanceof KubeUnreachable) this.#lastFailureMs = nowMs;
    const isCold = nowMs - this.#lastFailureMs < COLD_MS;
    if (!isCold || !(error instanceof KubeRefusal) || ![401, 403].includes(error.status)) return error;
    const message = `it was away, and refuses everything until it has started: ${describeError(error)}`;
    return new KubeStarting(message, { cause: error });
  }
}
