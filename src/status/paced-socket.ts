import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

const LF = 0x0a;
const CR = 0x0d;

/**
 * A client's socket as Node's HTTP server reads it, one request after the other. Node parses whatever a read has brought in
 * one go, and makes and queues an answer for each request in it: 64 KiB hold two thousand of them. This stream hands on the
 * bytes up to the end of one request's headers, and the next ones when `isHeld()` says so; meanwhile the socket is not read,
 * so that the client has to wait. Destroying either one destroys both.
 */
export class PacedSocket extends Duplex {
  readonly #socket: Socket;
  readonly #isHeld: () => boolean;
  /** Bytes that were read and not passed on yet; at most those of one read. */
  #rest: Buffer = Buffer.alloc(0);
  #isWanted = false;
  #hasEnded = false;
  /** How many more bytes are thrown away before the connection is cut; undefined = they are passed on. */
  #mayDiscard: number | undefined;

  /** @param isHeld whether the next request has to wait; `goOn()` tells that it needn't any more. */
  constructor(socket: Socket, isHeld: () => boolean) {
    // More than one piece must not be handed on before the HTTP server has looked at the first.
    super({ allowHalfOpen: true, readableHighWaterMark: 1, emitClose: true });
    this.#socket = socket;
    this.#isHeld = isHeld;
    socket
      .on('data', (chunk: Buffer) => {
        if (this.#mayDiscard !== undefined) return this.#discard(chunk.length);
        this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
        socket.pause();
        this.goOn();
      })
      .once('end', () => {
        this.#hasEnded = true;
        if (this.#mayDiscard === undefined) this.goOn();
        else this.destroy();
      })
      .once('error', (error) => this.destroy(error))
      .once('close', () => this.destroy());
  }

  /** The client's; an IPv4 client of a socket for both is one of IPv4. */
  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress?.replace(/^::ffff:(?=.*\.)/i, '');
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  /** Passes on the bytes that may be passed on now. */
  goOn(): void {
    if (!this.#isWanted || this.destroyed || this.#mayDiscard !== undefined || this.#isHeld()) return;
    if (this.#rest.length === 0) {
      if (!this.#hasEnded) return void this.#socket.resume();
      this.#isWanted = false;
      this.push(null);
      return;
    }
    this.#isWanted = false;
    const end = endOfHeaders(this.#rest);
    const piece = this.#rest.subarray(0, end);
    this.#rest = this.#rest.subarray(end);
    this.push(piece);
  }

  /**
   * Passes nothing on from now on, so that the end of the connection is noticed while it waits for an answer: what is not read hides
   * it. Who sends more than so many bytes is cut off.
   */
  discardRest(maxBytes: number): void {
    this.#mayDiscard = maxBytes;
    const { length } = this.#rest;
    this.#rest = Buffer.alloc(0);
    if (this.#hasEnded) return void this.destroy();
    this.#discard(length);
    this.#socket.resume();
  }

  #discard(bytes: number): void {
    this.#mayDiscard = (this.#mayDiscard ?? 0) - bytes;
    if (this.#mayDiscard < 0) this.destroy();
  }

  override _read(): void {
    this.#isWanted = true;
    this.goOn();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#socket.write(chunk, callback);
  }

  override _writev(chunks: { readonly chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this.#socket.cork();
    for (const { chunk } of chunks.slice(0, -1)) this.#socket.write(chunk);
    this.#socket.write(chunks.at(-1)?.chunk ?? '', callback);
    this.#socket.uncork();
  }

  override _final(callback: () => void): void {
    this.#socket.end(callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#rest = Buffer.alloc(0);
    this.#socket.destroy();
    callback(error);
  }

  /** What Node's HTTP server calls after the last answer of a connection. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }
}

/** Where the first blank line ends, or the bytes do. */
function endOfHeaders(bytes: Buffer): number {
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return at + 2;
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3;
  }
  return bytes.length;
}
