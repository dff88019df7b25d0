/**
 * A connection to an upstream, on which one request is asked after the other. Input: a request, and its body. Output: the answer's
 * parts, to whoever asked. Guarantees: each answer belongs to the request before it, so a connection on which more comes than was
 * asked for is closed; what an upstream has said before it broke off is read before that counts.
 */
import type { Socket } from 'node:net';
import { descriptorOf } from '../../native/descriptor-of.ts';
import { readNow } from '../../tcp/unread.ts';
import { formatFields } from '../message/format-request.ts';
import type { RawHeaders } from '../message/hop-headers.ts';
import { AnswerParser, type AnswerReader } from './answer-parser.ts';

/** Who asks, until the answer is whole or there will be none. */
export interface Asker extends AnswerReader {
  /** What has come by now was handed on, and more is to come. */
  onPause(): void;
  /** More of the body can be sent. */
  onDrain(): void;
  /** Behind an answer of 101: another protocol is spoken from now on. @param rest its first bytes */
  onSwitch(rest: Buffer): void;
  /** There is no answer, or it breaks off. */
  onBroken(error: Error): void;
}

/** Whose connection it is while nobody asks. */
export interface ConnectionOwner {
  /** It may be used again. */
  onFree(connection: UpstreamConnection): void;
  onClosed(connection: UpstreamConnection): void;
}

export class UpstreamConnection {
  readonly socket: Socket;
  /** Of whose requests alone it is, as the upstream was told at its begin; undefined = of everybody's. */
  readonly of: string | undefined;
  /** Aborts when the run that it belongs to is over. */
  readonly ended: AbortSignal;
  /** It was kept for a while, so it may be dead without any fault of the upstream. */
  isKept = false;
  /** Since when it is idle, on the monotonic clock; undefined while somebody uses it. */
  idleSinceMs: number | undefined;
  /** For how long it may be idle. */
  idleMs: number;
  readonly #owner: ConnectionOwner;
  readonly #parser = new AnswerParser();
  #asker: Asker | undefined;
  #error: Error | undefined;
  #isChunked = false;
  /** Whether the whole request was sent. */
  #isSent = false;

  /** @param options.idleMs for how long it may be idle, where the upstream doesn't say. */
  constructor(
    socket: Socket,
    options: {
      readonly owner: ConnectionOwner;
      readonly idleMs: number;
      readonly ended: AbortSignal;
      readonly of?: string | undefined;
    },
  ) {
    this.socket = socket;
    this.ended = options.ended;
    this.of = options.of;
    this.idleMs = options.idleMs;
    this.#owner = options.owner;
    const destroy = socket._destroy.bind(socket);
    // When a write fails, Node closes the socket without a look at what came before: an early answer, for example.
    socket._destroy = (error, callback) => {
      if (error !== null && this.#asker !== undefined) this.#readRest();
      destroy(error, callback);
    };
    socket.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain);
    socket.on('error', this.#onError).on('close', this.#onClose);
  }

  /** Whether a request may be asked on it. */
  get isUsable(): boolean {
    return this.socket.writable && this.socket.readable;
  }

  /**
   * Sends a request. Its body follows by `write` and `end`; where it has none, the request is whole.
   * @param request.text its head, in Latin-1.
   */
  ask(
    asker: Asker,
    request: {
      readonly text: string;
      readonly isHead: boolean;
      readonly body: 'none' | 'length' | 'chunked';
    },
  ): void {
    const { socket } = this;
    this.#asker = asker;
    this.#isChunked = request.body === 'chunked';
    this.#isSent = request.body === 'none';
    this.#parser.begin(asker, request);
    if (!this.#isSent) {
      // A small body has often come with its head, and then goes along.
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    socket.write(request.text, 'latin1');
    // A new connection has not been read from yet.
    if (!socket.readableFlowing) socket.resume();
  }

  /** Sends some of the body. @returns whether more may follow before `onDrain`. */
  write(chunk: Buffer): boolean {
    const { socket } = this;
    if (!this.#isChunked) return socket.write(chunk);
    if (chunk.length === 0) return true;
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    const mayGoOn = socket.write('\r\n', 'latin1');
    socket.uncork();
    return mayGoOn;
  }

  /** The body is whole. @throws where a trailer can't be written as what it is. */
  end(trailers: RawHeaders): void {
    if (this.#isChunked) this.socket.write(`0\r\n${formatFields(trailers)}\r\n`, 'latin1');
    this.#isSent = true;
  }

  /** Gives the connection up, and tells the asker nothing any more. Idempotent. */
  destroy(): void {
    this.#asker = undefined;
    this.socket.destroy();
  }

  /** Hands the socket over, paused: what is spoken on it is somebody else's from now on. */
  letGo(): Socket {
    const { socket } = this;
    this.#asker = undefined;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain);
    return socket.pause();
  }

  readonly #onData = (data: Buffer): void => {
    // Whatever it says unasked, the next request must not take it for its answer.
    if (this.#asker === undefined) this.socket.destroy();
    else this.#read(data);
  };

  readonly #onEnd = (): void => {
    try {
      if (this.#asker !== undefined) this.#parser.finish();
      this.destroy();
    } catch (error) {
      this.#break(error as Error);
    }
  };

  readonly #onDrain = (): void => this.#asker?.onDrain();

  readonly #onError = (error: Error): void => {
    this.#error = error;
  };

  readonly #onClose = (): void => {
    this.#break(this.#error ?? new Error('the connection was closed'));
    this.#owner.onClosed(this);
  };

  #read(data: Buffer): void {
    const parser = this.#parser;
    try {
      const taken = parser.read(data);
      if (parser.hasSwitched) return this.#asker?.onSwitch(data.subarray(taken));
      if (!parser.isDone) return this.#asker?.onPause();
      this.#asker = undefined;
      // An upstream that answers before it has read the body doesn't get the rest.
      if (taken < data.length || !this.#isSent || !parser.keepsOpen) return void this.socket.destroy();
      const { keepAliveSeconds } = parser;
      if (keepAliveSeconds !== undefined)
        this.idleMs = Math.min(this.idleMs, Math.max(0, (keepAliveSeconds - 1) * 1_000));
      this.#owner.onFree(this);
    } catch (error) {
      this.#break(error as Error);
    }
  }

  /** Reads what has come before the connection failed: what Node has read of it, and what the kernel still holds. */
  #readRest(): void {
    const { socket } = this;
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) this.#readLast(chunk);
    const fd = descriptorOf(socket);
    for (let chunk = readNow(fd); chunk !== undefined; chunk = readNow(fd)) this.#readLast(chunk);
  }

  #readLast(chunk: Buffer): void {
    if (this.#asker !== undefined) this.#read(chunk);
  }

  #break(error: Error): void {
    const asker = this.#asker;
    this.destroy();
    asker?.onBroken(error);
  }
}
