/**
 * One request on its way through a connection to its upstream, and the answer on its way back. Input: a client's request and
 * response, and a connection. Output: the answer, streamed with back-pressure; or why there is none. Guarantees: what the client
 * gives up is given up at the upstream, an answer that breaks off is seen to break off, and no byte of the body is sent twice.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Cancel, Clock } from '../../system/clock.ts';
import { formatRequest } from './message/format-request.ts';
import { answerHeaders, type RawHeaders, splitList, trailersOf } from './message/hop-headers.ts';
import { headerOf, type ReadRequest } from './message/read-request.ts';
import { addTrailers, collect, endWith, writeHead } from './client-answer.ts';
import type { AnswerHead } from './upstream/answer-parser.ts';
import type { Asker, UpstreamConnection } from './upstream/upstream-connection.ts';

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
  | { readonly kind: 'answered'; readonly isWhole: boolean }
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
  readonly connection: UpstreamConnection;
  readonly clock: Clock;
  /** Told of the bytes of both bodies. */
  readonly meter: { notePassed(bytes: number): void };
  /** Told once. */
  readonly onEnd: (end: ForwardEnd) => void;
}

/** A client that sends nothing of a body for so long holds the upstream in vain. */
const SILENT_MS = 30_000;

/** Words of an upstream before its answer: more of them are no answer, and whoever waits for them would have to keep them all. */
const MAX_INFORMATIONS = 32;

/** The client has not sent its body in time. */
export class SlowBody extends Error {
  readonly code = 'slow-body';
}

/** Methods that do the same when they are done twice (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Whether a request may be sent again where nobody knows whether it has arrived. */
export function isRepeatable({ method, body, upgrade }: ReadRequest): boolean {
  return body === 'none' && upgrade === undefined && IDEMPOTENT.has(method);
}

export class Forwarding implements Asker {
  bytesUp = 0;
  bytesDown = 0;
  readonly #options: ForwardOptions;
  readonly #connection: UpstreamConnection;
  /** The answer has begun. */
  #hasBegun = false;
  /** The head was not sent yet: the body may go along. */
  #isHeadKept = false;
  /** The client takes no more for now. */
  #isFull = false;
  #switching: AnswerHead | undefined;
  #informations = 0;
  /** Whether the client was told to go on, where it waits for that. */
  #hasContinued = false;
  /** When the client last sent some of its body, or was not asked for more, on the monotonic clock. */
  #heardMs = 0;
  #cancelWatch: Cancel | undefined;
  #hasEnded = false;

  /** Begins at once. @throws where the request can't be written as what it is. */
  constructor(options: ForwardOptions) {
    this.#options = options;
    const { read, headers, connection } = options;
    this.#connection = connection;
    const text = formatRequest({ method: read.method, target: read.target, headers });
    if (read.body !== 'none') this.#sendBody();
    connection.ask(this, { text, isHead: read.method === 'HEAD', body: read.body });
  }

  /** The client has gone: gives up the upstream's connection. Idempotent. */
  abandon(): void {
    if (this.#hasEnded) return;
    this.#connection.destroy();
    this.#end({ kind: 'left' });
  }

  onInformation(head: AnswerHead): void {
    if (this.#hasEnded) return;
    if (++this.#informations > MAX_INFORMATIONS)
      return this.#refuse(new Error('the upstream says more and more, and does not answer'));
    const { response, read } = this.#options;
    const { status, headers } = head;
    if (status === 101) this.#switching = head;
    if (read.version === '1.0' || response.headersSent) return;
    // The upstream decides whether it wants the body of a client that waits for that.
    if (status === 100 && read.expectsContinue) {
      this.#hasContinued = true;
      this.#heardMs = this.#options.clock.monotonicMs();
      response.writeContinue();
    }
    if (status === 102) response.writeProcessing();
    if (status !== 103) return;
    try {
      response.writeEarlyHints(collect(answerHeaders(headers)));
    } catch {
      // A link that Node finds wrong: a hint is no loss.
    }
  }

  onSwitch(rest: Buffer): void {
    const { read, connection } = this.#options;
    const { message = '', headers = [] } = this.#switching ?? {};
    // What nobody asked for would lead past everything that is checked for each request.
    if (!isAskedFor(headerOf(headers, 'upgrade'), read.upgrade))
      return this.#refuse(new Error('the upstream changed to a protocol that the client did not ask for'));
    const socket = connection.letGo();
    this.#end({ kind: 'switched', switched: { socket, head: rest, statusMessage: message, headers } });
  }

  onHead({ status, message: reason, headers }: AnswerHead): void {
    const { message, response, read } = this.#options;
    // What is left of the client's body nobody wants; its next request could only come behind it.
    if (!message.complete && read.body !== 'none') response.shouldKeepAlive = false;
    try {
      writeHead(response, { status, message: reason, headers: answerHeaders(headers) });
    } catch (error) {
      // Its head can't be handed on as it is.
      return this.#refuse(error as Error);
    }
    this.#hasBegun = true;
    this.#isHeadKept = true;
  }

  onBody(chunk: Buffer, rest: number | undefined): void {
    if (this.#hasEnded) return;
    const { response } = this.#options;
    this.bytesDown += chunk.length;
    this.#options.meter.notePassed(chunk.length);
    this.#isHeadKept = false;
    // The end comes at once.
    if (rest === 0) return endWith(response, chunk);
    if (response.write(chunk) || this.#isFull) return;
    const { socket } = this.#connection;
    this.#isFull = true;
    socket.pause();
    response.once('drain', () => {
      this.#isFull = false;
      // Behind the end it may be somebody else's.
      if (!this.#hasEnded) socket.resume();
    });
  }

  onPause(): void {
    // The rest may be long in coming.
    if (this.#isHeadKept) this.#options.response.flushHeaders();
    this.#isHeadKept = false;
  }

  onEnd(trailers: RawHeaders): void {
    if (this.#hasEnded) return;
    const { response } = this.#options;
    if (trailers.length > 0) addTrailers(response, trailersOf(trailers));
    if (!response.writableEnded) response.end();
    this.#end({ kind: 'answered', isWhole: true });
  }

  onDrain(): void {
    this.#options.message.resume();
  }

  onBroken(error: Error): void {
    if (this.#hasBegun) this.#end({ kind: 'answered', isWhole: false });
    else this.#end({ kind: 'unanswered', error, mayRepeat: isRepeatable(this.#options.read) });
  }

  #sendBody(): void {
    const { message, read, clock } = this.#options;
    const connection = this.#connection;
    const length = read.body === 'length' ? Number(headerOf(read.headers, 'content-length')) : undefined;
    this.#heardMs = clock.monotonicMs();
    this.#watchBody(SILENT_MS);
    message
      .on('data', (chunk: Buffer) => {
        this.#heardMs = clock.monotonicMs();
        this.bytesUp += chunk.length;
        this.#options.meter.notePassed(chunk.length);
        if (this.#hasEnded) return;
        // HTTP/2 frames a body in another way than its length.
        if (length !== undefined && this.bytesUp > length) return this.#breakBody();
        if (!connection.write(chunk)) message.pause();
      })
      .on('end', () => {
        this.#cancelWatch?.();
        if (this.#hasEnded) return;
        if (length !== undefined && this.bytesUp !== length) return this.#breakBody();
        try {
          connection.end(trailersOf(message.rawTrailers));
        } catch {
          this.#breakBody();
        }
      });
  }

  /** Gives up a client that sends nothing more. One whose answer has begun may have its reasons. */
  #watchBody(ms: number): void {
    const { clock, message, read } = this.#options;
    this.#cancelWatch = clock.schedule(ms, () => {
      if (this.#hasEnded || this.#hasBegun || message.complete) return;
      const nowMs = clock.monotonicMs();
      const isAsked = !message.isPaused() && (this.#hasContinued || !read.expectsContinue);
      if (!isAsked) this.#heardMs = nowMs;
      const leftMs = this.#heardMs + SILENT_MS - nowMs;
      if (leftMs > 0) return this.#watchBody(leftMs);
      this.#connection.destroy();
      this.#end({
        kind: 'unanswered',
        error: new SlowBody('the client did not send its body'),
        mayRepeat: false,
      });
    });
  }

  /** The body is not what was announced. */
  #breakBody(): void {
    this.#connection.destroy();
    this.onBroken(new Error('the body of the request is not as long as it said'));
  }

  #refuse(error: Error): void {
    this.#connection.destroy();
    this.#end({ kind: 'unanswered', error, mayRepeat: false });
  }

  #end(end: ForwardEnd): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancelWatch?.();
    this.#options.onEnd(end);
  }
}

/** Whether an upstream changes to nothing but what the client has named in its `Upgrade`. */
function isAskedFor(changed: string | undefined, asked: string | undefined): boolean {
  const [to, from] = [splitList(changed ?? ''), splitList(asked ?? '')];
  return to.length > 0 && to.every((protocol) => from.includes(protocol));
}
