/**
 * The proxy as an HTTP client, for servers that nobody vouches for. Input: a URL and what may be done for it. Output: the
 * status, as soon as it is known. Guarantees: it is settled by the deadline whatever the server does, nothing of an answer
 * is kept that was not asked for, no connection is left behind but those that the caller keeps.
 */
import type { LookupAddress } from 'node:dns';
import { Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as TlsAgent, request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { abortable } from '../waiting/abortable.ts';
import { afterEvents, type Clock } from '../clock.ts';
import { withDeadline } from '../waiting/deadline.ts';
import { awaitAnswer, ProtocolSwitchError } from './await-answer.ts';
import { createLookup } from './name-lookups.ts';

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

/**
 * Connections to one server that several requests use, one after the other. Whoever makes them closes them as soon as no
 * further request is at hand: an idle connection is one that the server may just be closing.
 */
export class KeptConnections {
  readonly #agents: { 'http:'?: Agent; 'https:'?: Agent } = {};

  /** For a URL's protocol. */
  agentOf(protocol: string): Agent {
    if (protocol === 'https:') {
      this.#agents['https:'] ??= new TlsAgent({ keepAlive: true });
      return this.#agents['https:'];
    }
    this.#agents['http:'] ??= new Agent({ keepAlive: true });
    return this.#agents['http:'];
  }

  /** Ends those that are idle; those in use may be kept again. */
  close(): void {
    for (const { freeSockets } of Object.values(this.#agents))
      for (const socket of Object.values(freeSockets).flat()) socket?.destroy();
  }
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
  /**
   * Uses one of these connections, and leaves it to the next request where the answer ends at once; default: one of its own.
   * Where a target has to be checked, that is done when a connection is made.
   */
  readonly connections?: KeptConnections;
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
  /** After how long the server wants to be asked again, as it says so; undefined where it doesn't. */
  readonly retryAfter: string | undefined;
  /** The beginning of the body, at most `maxBodyBytes`. */
  readonly body: Buffer;
}

/**
 * Sends one request, and resolves with the answer's status; 101 is a status like any other. A server that closed a kept
 * connection without an answer is asked again on a new one.
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
  const choose = (found: readonly LookupAddress[]) => chooseAllowed(found, { host, port, checkTarget });
  const parts = { ...options, lookup: createLookup({ signal, choose }) };
  const answer = await exchange(target, parts);
  if (answer !== 'closed') return answer;
  const { connections: _, ...alone } = parts;
  return (await exchange(target, alone)) as HttpAnswer;
}

/** `closed` stands for a kept connection that was closed without an answer. */
async function exchange(
  url: URL,
  options: Ask & { readonly lookup: LookupFunction },
): Promise<HttpAnswer | 'closed'> {
  const { signal, method = 'GET', body, lookup, connections } = options;
  const headers = {
    'user-agent': USER_AGENT,
    ...options.headers,
    ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
  };
  signal.throwIfAborted();
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  const agent = connections?.agentOf(url.protocol) ?? false;
  const request = send(url, { method, headers, agent, lookup });
  const head = awaitAnswer(request, signal);
  request.end(body);
  try {
    const response = await head.catch((error: unknown) => {
      if (error instanceof ProtocolSwitchError) return 'switched';
      if (request.reusedSocket && !signal.aborted) return 'closed';
      throw explainTls(error);
    });
    if (response === 'closed') return response;
    if (response === 'switched')
      return {
        url: url.href,
        status: 101,
        redirect: undefined,
        retryAfter: undefined,
        body: Buffer.alloc(0),
      };
    const { statusCode: status = 0 } = response;
    const kept = await readBeginning(response, { request, ...options });
    const { 'retry-after': retryAfter } = response.headers;
    return { url: url.href, status, redirect: redirectOf(response, url), retryAfter, body: kept };
  } finally {
    // Does nothing where the answer has ended: a kept connection is the next request's by then.
    request.destroy();
  }
}

/** OpenSSL's own words for a failed handshake have numbers and files in them, and a line feed. */
function explainTls(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'EPROTO') return error;
  const [, why = 'it failed'] = /:SSL routines:[^:]*:([^:]+):/.exec(message) ?? [];
  const hint = why === 'wrong version number' ? '; it may take http:// alone' : '';
  return new Error(`no TLS connection: ${why}${hint}`, { cause: error });
}

/** As much of an answer's body as is wanted. Where nothing is, it waits only for what frees a kept connection. */
function readBeginning(
  response: IncomingMessage,
  options: Pick<HttpRequest, 'maxBodyBytes' | 'connections'> & { readonly request: ClientRequest },
): Promise<Buffer> {
  const { maxBodyBytes = 0, connections, request } = options;
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    const finish = () => resolve(Buffer.concat(chunks).subarray(0, maxBodyBytes));
    if (maxBodyBytes === 0 && connections === undefined) return finish();
    request.on('error', reject);
    response.on('error', reject);
    if (maxBodyBytes === 0) {
      // The connection is free where the rest of the answer has come with its head.
      response.resume();
      request.once('close', finish);
      return afterEvents(finish);
    }
    let bytes = 0;
    response
      .once('close', () => reject(new Error('the answer was cut off')))
      .once('end', finish)
      .on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes >= maxBodyBytes) finish();
      });
  });
}

/** The addresses that may be connected to. @throws TargetRefusedError where none is left. */
async function chooseAllowed(
  found: readonly LookupAddress[],
  {
    host,
    port,
    checkTarget,
  }: { readonly host: string; readonly port: number; readonly checkTarget: CheckTarget | undefined },
): Promise<readonly LookupAddress[]> {
  if (checkTarget === undefined) return found;
  const allowed: LookupAddress[] = [];
  let refusal: string | undefined;
  for (const entry of found) {
    const why = await checkTarget({ host, address: entry.address, port });
    if (why === undefined) allowed.push(entry);
    else refusal = why;
  }
  if (allowed.length === 0 && refusal !== undefined) throw new TargetRefusedError(refusal);
  return allowed;
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
