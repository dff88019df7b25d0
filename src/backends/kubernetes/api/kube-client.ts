import type { IncomingMessage } from 'node:http';
import { CallCounts } from '../../../system/call-counts.ts';
import type { Clock } from '../../../system/clock.ts';
import { Deadline } from '../../../system/waiting/deadline.ts';
import { describeError } from '../../../system/message-of.ts';
import type { KubeStatus } from './api-shapes.ts';
import { ColdStart, KubeRefusal, KubeUnreachable, readRetryAfter } from './kube-errors.ts';
import { type KubeAccess, type KubeRequest, KubeTransport } from './kube-transport.ts';
import { readWatch, type WatchEvent } from './kube-watch.ts';

/**
 * How long the API server may keep silent: over the credentials, before its answer, and within it. A long list may take its
 * time as long as it keeps coming.
 */
const ANSWER_TIMEOUT_MS = 5_000;
/** A refusal that is no Kubernetes status, such as a proxy's page, is cut to this length in messages. */
const MAX_MESSAGE_CHARS = 200;

/** Calls of the Kubernetes API. No connection is made before the first. Whoever creates it closes it. */
export class KubeClient {
  /** Those that have ended, by method; of a watch, the beginning. */
  readonly calls: CallCounts;
  readonly #transport: KubeTransport;
  readonly #clock: Clock;
  readonly #coldStart: ColdStart;

  /** @throws {Error} where the server's address can't be read. */
  constructor(options: { readonly access: KubeAccess; readonly clock: Clock }) {
    this.#transport = new KubeTransport(options.access);
    this.#clock = options.clock;
    this.calls = new CallCounts(options.clock);
    this.#coldStart = new ColdStart(options.clock);
  }

  /**
   * The answer's body.
   * @throws {KubeRefusal} where the answer's status isn't 2xx; {KubeUnreachable} where no whole answer comes within
   * its deadline, or the server is only starting; the signal's reason when it aborts.
   */
  request<T>(request: KubeRequest): Promise<T> {
    const ask = () => this.#judged(() => this.#ask<T>(request));
    return this.calls.measure(request.method, ask, { isError: isTrouble });
  }

  /**
   * Resolves when the watch is in force. The events end where the server ends them; they throw {KubeUnreachable} where
   * the connection breaks, {Error} where one can't be read, the signal's reason when it aborts. To be iterated once,
   * always.
   * @throws as `request`.
   */
  watch(request: {
    readonly path: string;
    readonly query?: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
  }): Promise<AsyncIterable<WatchEvent>> {
    const query = { ...request.query, watch: 'true' };
    return this.calls.measure('watch', () =>
      this.#judged(() => this.#subscribe({ ...request, method: 'GET', query })),
    );
  }

  /** Frees idle connections; calls in flight end through their own signals. Idempotent. */
  close(): void {
    this.#transport.close();
  }

  async #judged<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#withCredentials(work);
    } catch (error) {
      throw this.#coldStart.judge(error);
    }
  }

  /** Tokens expire, and are revoked: a refused request is tried once more with fresh ones. */
  async #withCredentials<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const refused = error instanceof KubeRefusal && error.status === 401;
      if (!refused || !this.#transport.forgetCredentials()) throw error;
      return await work();
    }
  }

  async #ask<T>(request: KubeRequest): Promise<T> {
    const deadline = this.#deadline(request.signal);
    try {
      const answer = await this.#transport.send({ ...request, signal: deadline.signal });
      const body = await this.#readBody(answer, deadline);
      if (!isSuccess(answer)) throw this.#refusal(answer, body);
      return this.#parse(body) as T;
    } finally {
      deadline.end();
    }
  }

  async #subscribe(request: KubeRequest): Promise<AsyncIterable<WatchEvent>> {
    const deadline = this.#deadline(request.signal);
    try {
      const answer = await this.#transport.send({ ...request, signal: deadline.signal });
      if (!isSuccess(answer)) throw this.#refusal(answer, await this.#readBody(answer, deadline));
      deadline.stop();
      return this.#events(answer, deadline);
    } catch (error) {
      deadline.end();
      throw error;
    }
  }

  async *#events(answer: IncomingMessage, deadline: Deadline): AsyncGenerator<WatchEvent> {
    try {
      yield* readWatch(wholeBody(answer, deadline));
    } catch (error) {
      throw this.#coldStart.judge(error);
    } finally {
      deadline.end();
    }
  }

  #deadline(parent: AbortSignal): Deadline {
    const { server } = this.#transport;
    return new Deadline({
      ...{ clock: this.#clock, timeoutMs: ANSWER_TIMEOUT_MS, parent },
      expired: () => new KubeUnreachable(`no answer from ${server} within ${ANSWER_TIMEOUT_MS / 1000} s`),
    });
  }

  async #readBody(answer: IncomingMessage, deadline: Deadline): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of wholeBody(answer, deadline)) {
      deadline.restart();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  #parse(body: string): unknown {
    try {
      return JSON.parse(body);
    } catch (cause) {
      const message = `what answers at ${this.#transport.server} is not a Kubernetes API server`;
      throw new KubeUnreachable(message, { cause });
    }
  }

  #refusal(answer: IncomingMessage, body: string): KubeRefusal {
    const status = answer.statusCode ?? 0;
    const { message, reason = '', details } = readStatus(body);
    const text = message || body.trim().slice(0, MAX_MESSAGE_CHARS) || `it answered with status ${status}`;
    const told =
      status === 401 ? `${this.#transport.server} does not accept the credentials (401): ${text}` : text;
    const asked = readRetryAfter(answer.headers);
    const seconds = details?.retryAfterSeconds;
    const retryAfterMs = asked ?? (seconds === undefined ? undefined : seconds * 1_000);
    return new KubeRefusal(told, { status, reason, retryAfterMs });
  }
}

/** That there is no such thing, or that somebody else was first, is an answer as well. */
function isTrouble(error: unknown): boolean {
  return !(error instanceof KubeRefusal && (error.status === 404 || error.status === 409));
}

function isSuccess(answer: IncomingMessage): boolean {
  const status = answer.statusCode ?? 0;
  return status >= 200 && status < 300;
}

/** A body that is cut short fails; one that is aborted fails with the signal's reason. */
async function* wholeBody(answer: IncomingMessage, deadline: Deadline): AsyncGenerator<Uint8Array, void> {
  const { signal } = deadline;
  try {
    for await (const chunk of answer) yield chunk as Uint8Array;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new KubeUnreachable(`the answer broke off: ${describeError(cause)}`, { cause });
  }
  if (signal.aborted) throw signal.reason;
}

function readStatus(body: string): KubeStatus {
  try {
    return Object(JSON.parse(body)) as KubeStatus;
  } catch {
    // A proxy in front of the API server may answer in plain text.
    return {};
  }
}
