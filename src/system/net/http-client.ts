/**
 * The proxy as an HTTP client, for servers that nobody vouches for. Input: a URL and what may be done for it. Output: the
 * status, as soon as it is known. Guarantees: it is settled by the deadline whatever the server does, nothing of an answer
 * is kept that was not asked for, no connection is left behind.
 */
import { lookup } from 'node:dns';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { abortable } from '../abortable.ts';
import type { Clock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import { MAX_INFORMATIONAL } from './await-answer.ts';

const USER_AGENT = 'lazy-proxy';

/** Where a connection is about to go. */
export interface HttpTarget {
  /** As the URL has it, canonical, without brackets. */
  readonly host: string;
  /** What that host's name stands for, or the host itself. */
  readonly address: string;
  readonly port: number;
}

/**
 * Why nothing may be sent to a target, in words that follow its URL's; undefined where it may. It is asked for every
 * address that is connected to: after the name was resolved, and for redirects.
 */
export type CheckTarget = (target: HttpTarget) => string | undefined | Promise<string | undefined>;

/** What all of the checks let through; the first refusal counts. Undefined where there is none. */
export function checkAll(checks: readonly (CheckTarget | undefined)[]): CheckTarget | undefined {
  const present = checks.filter((check) => check !== undefined);
  if (present.length === 0) return undefined;
  return async (target) => {
    for (const check of present) {
      const refusal = await check(target);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  };
}

export interface HttpRequest {
  readonly clock: Clock;
  /** For everything: the name, the connection, redirects, the answer. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** Default: GET. */
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Default: every target will do. */
  readonly checkTarget?: CheckTarget | undefined;
  /** Follows redirects that stay on their host, whatever the port, at most `max`; default: none. */
  readonly redirects?: { readonly max: number; readonly follows: (status: number) => boolean };
  /** How much of the answer's body is wanted; default: nothing. */
  readonly maxBodyBytes?: number;
}

/** The deadline has passed. */
export class NoAnswerError extends Error {
  readonly code = 'no-answer';
}

/** Nothing may be sent there: the message is the check's. */
export class TargetRefusedError extends Error {
  readonly code = 'target-refused';
}

export interface HttpAnswer {
  /** What answered: after redirects, the last of them. */
  readonly url: string;
  readonly status: number;
  /** Where it redirects to, absolute; undefined where it doesn't, or to what is no http or https URL. */
  readonly redirect: string | undefined;
  /** The beginning of the body, at most `maxBodyBytes`. */
  readonly body: Buffer;
}

/**
 * Sends one request on a connection of its own, and resolves with the answer's status; 101 is a status like any other.
 * @throws NoAnswerError when the deadline passes; another error where the name, the connection or the answer fails, or a
 * target may not be used; the signal's reason when it aborts.
 */
export async function requestUrl(url: string, request: HttpRequest): Promise<HttpAnswer> {
  const { clock, deadlineMs, redirects } = request;
  const deadline = {
    ...{ clock, timeoutMs: deadlineMs, parent: request.signal },
    expired: () => new NoAnswerError(`no answer within ${deadlineMs / 1_000} s`),
  };
  return withDeadline(async (signal) => {
    let answer = await ask(url, { ...request, signal });
    for (let followed = 0; followed < (redirects?.max ?? 0); followed++) {
      const { redirect } = answer;
      if (redirect === undefined || redirects?.follows(answer.status) !== true) break;
      if (hostOf(new URL(redirect)) !== hostOf(new URL(answer.url))) break;
      answer = await ask(redirect, { ...request, signal });
    }
    return answer;
  }, deadline);
}

type Ask = HttpRequest & { readonly signal: AbortSignal };

async function ask(url: string, options: Ask): Promise<HttpAnswer> {
  const { signal, checkTarget } = options;
  signal.throwIfAborted();
  const target = new URL(url);
  const host = hostOf(target);
  const port = portOf(target);
  // An address is connected to without a look-up.
  if (checkTarget !== undefined && isIP(host) !== 0) {
    const refusal = await abortable(Promise.resolve(checkTarget({ host, address: host, port })), signal);
    if (refusal !== undefined) throw new TargetRefusedError(refusal);
  }
  return exchange(target, { ...options, lookup: createLookup({ host, port }, checkTarget) });
}

/** Settles by itself: the events of a request may all stay away, as they do after an upgrade. */
function exchange(
  url: URL,
  options: Ask & { readonly lookup: LookupFunction | undefined },
): Promise<HttpAnswer> {
  const { signal, method = 'GET', body, lookup: look, maxBodyBytes = 0 } = options;
  const headers = {
    'user-agent': USER_AGENT,
    ...options.headers,
    ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
  };
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = send(url, { method, headers, agent: false, ...(look !== undefined && { lookup: look }) });
    const end = () => {
      signal.removeEventListener('abort', abort);
      request.destroy();
    };
    const fail = (error: unknown) => {
      end();
      reject(error);
    };
    const succeed = (response: IncomingMessage, kept: Buffer) => {
      end();
      const { statusCode: status = 0 } = response;
      resolve({ url: url.href, status, redirect: redirectOf(response, url), body: kept });
    };
    const abort = () => fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    let informational = 0;
    let hasBegun = false;
    request
      // It may fail again after it was destroyed.
      .on('error', fail)
      .once('close', () => {
        if (!hasBegun) fail(new Error('the connection was closed without an answer'));
      })
      .on('information', () => {
        if (++informational > MAX_INFORMATIONAL) fail(new Error('it answers 1xx only'));
      })
      .once('upgrade', (response, socket) => {
        // It is no longer the request's.
        socket.on('error', () => {}).destroy();
        succeed(response, Buffer.alloc(0));
      })
      .once('response', (response) => {
        hasBegun = true;
        response.on('error', fail).once('close', () => fail(new Error('the answer was cut off')));
        if (maxBodyBytes === 0) return succeed(response, Buffer.alloc(0));
        const chunks: Buffer[] = [];
        let bytes = 0;
        const finish = () => succeed(response, Buffer.concat(chunks).subarray(0, maxBodyBytes));
        response.once('end', finish).on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes >= maxBodyBytes) finish();
        });
      })
      .end(body);
  });
}

/** Resolves names as Node does, and leaves out the addresses that may not be connected to. */
function createLookup(
  { host, port }: { readonly host: string; readonly port: number },
  checkTarget: CheckTarget | undefined,
): LookupFunction | undefined {
  if (checkTarget === undefined) return undefined;
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, async (error, found) => {
      if (error !== null) return callback(error, '');
      const allowed: typeof found = [];
      let refusal: Error = new Error(`no address is known for the name "${hostname}"`);
      try {
        for (const entry of found) {
          const why = await checkTarget({ host, address: entry.address, port });
          if (why === undefined) allowed.push(entry);
          else refusal = new TargetRefusedError(why);
        }
      } catch (cause) {
        return callback(cause as Error, '');
      }
      const [first] = allowed;
      if (first === undefined) return callback(refusal, '');
      if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function redirectOf({ statusCode = 0, headers }: IncomingMessage, from: URL): string | undefined {
  const { location } = headers;
  if (statusCode < 300 || statusCode > 399 || location === undefined) return undefined;
  if (!URL.canParse(location, from.href)) return undefined;
  const { href, protocol } = new URL(location, from.href);
  return protocol === 'http:' || protocol === 'https:' ? href : undefined;
}

function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}
