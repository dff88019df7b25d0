/**
 * One request on its way through a connection to its upstream, and the answer on its way back. Input: a client's request and
 * response, and a connection. Output: the answer, streamed with back-pressure; or why there is none. Guarantees: what the client
 * gives up is given up at the upstream, an answer that breaks off is seen to break off, and no byte of the body is sent twice.
 */
import {
  type ClientRequest,
  type IncomingMessage,
  request as sendRequest,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { afterEvents } from '../../system/clock.ts';
import { answerHeaders, type RawHeaders, splitList, trailersOf } from './message/hop-headers.ts';
import { headerOf, type ReadRequest } from './message/read-request.ts';
import { addTrailers, collect, pairsOf, writeHead } from './client-answer.ts';
import type { UpstreamConnection, UpstreamPool } from './upstream/upstream-pool.ts';

/** The biggest head of an answer; Node's own limit is lower than what some applications send. */
const MAX_HEAD_BYTES = 65_536;

/** The other side of an upgrade: what the upstream has begun to speak. */
export interface Switched {
  readonly socket: Socket;
  /** What it has sent already. */
  readonly head: Buffer;
  readonly statusMessage: string;
  readonly headers: RawHeaders;
}

export type ForwardEnd =
  /** The upstream's answer was begun, and its last byte was handed on, or it broke off. */
  | { readonly kind: 'answered'; readonly status: number; readonly isWhole: boolean }
  | { readonly kind: 'switched'; readonly switched: Switched }
  /** Not a byte of an answer has come. */
  | { readonly kind: 'unanswered'; readonly error: NodeJS.ErrnoException; readonly mayRepeat: boolean }
  | { readonly kind: 'left' };

interface ForwardOptions {
  readonly read: ReadRequest;
  /** All of what the upstream gets. */
  readonly headers: string[];
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly pool: UpstreamPool;
  readonly connection: UpstreamConnection;
  readonly onEnd: (end: ForwardEnd) => void;
}

/** Methods that do the same when they are done twice (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Whether a request may be sent again where nobody knows whether it has arrived. */
export function isRepeatable({ method, body, upgrade }: ReadRequest): boolean {
  return body === 'none' && upgrade === undefined && IDEMPOTENT.has(method);
}

export class Forwarding {
  bytesUp = 0;
  bytesDown = 0;
  readonly #options: ForwardOptions;
  readonly #request: ClientRequest;
  #answer: IncomingMessage | undefined;
  #hasEnded = false;

  /** Begins at once. */
  constructor(options: ForwardOptions) {
    this.#options = options;
    const { read, headers, pool, connection } = options;
    const lent = { lentSocket: connection.socket };
    this.#request = sendRequest({
      ...{ agent: pool.agent, method: read.method, path: read.target, headers },
      ...{ maxHeaderSize: MAX_HEAD_BYTES, insecureHTTPParser: false },
      ...lent,
    });
    this.#request
      .on('response', (answer: IncomingMessage) => this.#begin(answer))
      .on('information', ({ statusCode, rawHeaders }) => this.#inform(statusCode, rawHeaders))
      .on('upgrade', (answer: IncomingMessage, socket: Socket, head: Buffer) => {
        pool.letGo(socket);
        const { statusMessage = '', rawHeaders: headers } = answer;
        // What nobody asked for would lead past everything that is checked for each request.
        if (!isAskedFor(headerOf(headers, 'upgrade'), read.upgrade)) {
          socket.destroy();
          return this.#fail(new Error('the upstream changed to a protocol that the client did not ask for'));
        }
        this.#end({ kind: 'switched', switched: { socket, head, statusMessage, headers } });
      })
      .on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
    if (read.body === 'none') this.#request.end();
    else if (read.expectsContinue) this.#awaitContinue();
    else this.#sendBody();
  }

  /** The client has gone: gives up the upstream's connection. Idempotent. */
  abandon(): void {
    if (this.#hasEnded) return;
    this.#request.destroy();
    this.#answer?.destroy();
    this.#end({ kind: 'left' });
  }

  /** The upstream decides whether it wants the body. */
  #awaitContinue(): void {
    const { response } = this.#options;
    this.#request.flushHeaders();
    this.#request.once('continue', () => {
      response.writeContinue();
      this.#sendBody();
    });
  }

  #sendBody(): void {
    const { message } = this.#options;
    const request = this.#request;
    request.on('drain', () => message.resume());
    message
      .on('data', (chunk: Buffer) => {
        this.bytesUp += chunk.length;
        if (!request.destroyed && !request.write(chunk)) message.pause();
      })
      .on('end', () => {
        if (request.destroyed) return;
        if (message.rawTrailers.length > 0) request.addTrailers(pairsOf(trailersOf(message.rawTrailers)));
        request.end();
      });
    // The body may be long in coming; an upstream that waits for the head alone would take its connection for an idle one.
    afterEvents(() => {
      if (this.bytesUp === 0 && !request.destroyed) request.flushHeaders();
    });
  }

  #inform(status: number, headers: RawHeaders): void {
    const { response, read } = this.#options;
    if (read.version === '1.0' || response.headersSent) return;
    if (status === 102) return response.writeProcessing?.();
    if (status !== 103) return;
    try {
      response.writeEarlyHints(collect(answerHeaders(headers)));
    } catch {
      // A link that Node finds wrong: a hint is no loss.
    }
  }

  #begin(answer: IncomingMessage): void {
    const { message, response, read, pool } = this.#options;
    if (this.#hasEnded) return void answer.destroy();
    this.#answer = answer;
    const hint = headerOf(answer.rawHeaders, 'keep-alive');
    if (hint !== undefined) pool.note(answer, hint);
    // What is left of the client's body nobody wants; its next request could only come behind it.
    if (!message.complete && read.body !== 'none') response.shouldKeepAlive = false;
    try {
      const { statusCode: status = 502, statusMessage = '', rawHeaders } = answer;
      writeHead(response, { status, message: statusMessage, headers: answerHeaders(rawHeaders) });
    } catch (error) {
      // Its head can't be handed on as it is, such as one with a status below 100.
      this.#answer = undefined;
      this.#request.destroy();
      return this.#end({ kind: 'unanswered', error: error as Error, mayRepeat: false });
    }
    answer
      .on('data', (chunk: Buffer) => {
        this.bytesDown += chunk.length;
        if (!response.write(chunk)) answer.pause();
      })
      .on('end', () => {
        addTrailers(response, trailersOf(answer.rawTrailers));
        response.end();
        this.#finish(answer, true);
      })
      .on('error', () => this.#finish(answer, false))
      .on('close', () => this.#finish(answer, false));
    response.on('drain', () => answer.resume());
    // The rest may be long in coming; where some of it is here already, both go in one packet.
    afterEvents(() => {
      if (this.bytesDown === 0 && !this.#hasEnded && !response.destroyed) response.flushHeaders();
    });
  }

  #finish(answer: IncomingMessage, isWhole: boolean): void {
    if (this.#hasEnded) return;
    // An upstream that answers before it has read the body doesn't get the rest.
    if (!this.#request.writableFinished) this.#request.destroy();
    this.#end({ kind: 'answered', status: answer.statusCode ?? 502, isWhole });
  }

  #fail(error: NodeJS.ErrnoException): void {
    // What comes behind the end of an answer, such as a body to HEAD, does not harm it; its connection is closed.
    if (this.#answer?.complete) return;
    if (this.#answer !== undefined) return this.#finish(this.#answer, false);
    this.#request.destroy();
    this.#end({ kind: 'unanswered', error, mayRepeat: isRepeatable(this.#options.read) });
  }

  #end(end: ForwardEnd): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#options.onEnd(end);
  }
}

/** Whether an upstream changes to nothing but what the client has named in its `Upgrade`. */
function isAskedFor(changed: string | undefined, asked: string | undefined): boolean {
  const [to, from] = [splitList(changed ?? ''), splitList(asked ?? '')];
  return to.length > 0 && to.every((protocol) => from.includes(protocol));
}
