import { EAGAIN, EINTR } from '../../native/errno.ts';
import type { Libc } from '../../native/libc.ts';
import type { Pipe, PipePool } from './pipe-pool.ts';

/** One socket of a connection, as the last events of epoll describe it. */
export interface Side {
  readonly fd: number;
  /** False after the kernel said that there is nothing to read, until it says otherwise. */
  readable: boolean;
  /** False after the kernel said that there is no room to write, until it says otherwise. */
  writable: boolean;
  /** The other end has sent FIN: a read will come to the end. */
  finished: boolean;
  /**
   * The other end has sent urgent data. A read stops in front of it, though there is more behind it, and splice never gets
   * past it. Nothing tells when the last urgent byte was read, so this stays true.
   */
  urgent: boolean;
  /**
   * The connection is over: the other end has reset it, or the kernel has given it up. What came before can still be read;
   * the end after it was not sent by the other end. Nothing can be sent any more.
   */
  failed: boolean;
}

/** Marks a side as failed. It counts as readable then, because no event will say so any more. */
export function fail(side: Side): void {
  side.failed = side.finished = side.readable = true;
}

/**
 * `waiting`: it needs an event of one of the sides. `more`: its share of the turn is used up. `ended`: the source has ended,
 * and so has this direction of the target. `broken`: a side has failed, and nothing is left that the target could take.
 */
export type PumpResult = 'waiting' | 'more' | 'ended' | 'broken';

/** What a pump needs of the kernel. */
export type PumpKernel = Pick<
  Libc,
  'recv' | 'send' | 'splice' | 'shutdownWrite' | 'takeError' | 'unacknowledged'
>;

/** What the pumps of one thread share. */
export interface PumpParts {
  readonly kernel: PumpKernel;
  readonly pipes: Pick<PipePool, 'take' | 'give' | 'discard'>;
  /** For small payloads; empty between two turns. */
  readonly buffer: Uint8Array;
  /** Bytes that one direction may move before other connections get their turn. */
  readonly bytesPerTurn: number;
}

/**
 * Moves the bytes of one direction: small payloads by recv and send, a stream that fills the buffer by splice through a
 * pipe. It reads only what it can pass on, so what the target doesn't take stays with the sender. It passes an end of the
 * source on, or acts on its failure, once everything before that was passed on. It never waits.
 */
export class Pump {
  readonly #parts: PumpParts;
  readonly #source: Side;
  readonly #target: Side;
  /** What was read and could not be sent yet, outside of the pipe. */
  #rest: Uint8Array | undefined;
  #pipe: Pipe | undefined;
  #inPipe = 0;
  #isBulk = false;
  #atEnd = false;
  #result: PumpResult = 'waiting';
  #moved = 0;

  /** @param options.first what was read of the source already; it is sent first. */
  constructor(
    parts: PumpParts,
    options: { readonly source: Side; readonly target: Side; readonly first: Uint8Array | undefined },
  ) {
    this.#parts = parts;
    this.#source = options.source;
    this.#target = options.target;
    this.#rest = options.first;
  }

  get ended(): boolean {
    return this.#result === 'ended';
  }

  /** Bytes that the target has taken. */
  get moved(): number {
    return this.#moved;
  }

  /** Moves what can be moved now. */
  run(): PumpResult {
    if (this.#result === 'ended' || this.#result === 'broken') return this.#result;
    const limit = this.#moved + this.#parts.bytesPerTurn;
    this.#result = 'more';
    while (this.#result === 'more' && this.#moved < limit) this.#step();
    if (this.#inPipe === 0) this.#givePipe();
    return this.#result;
  }

  /** Drops what it still holds. The caller closes the sockets. */
  close(): void {
    if (this.#pipe !== undefined) this.#parts.pipes.discard(this.#pipe);
    this.#pipe = undefined;
    this.#rest = undefined;
  }

  #step(): void {
    if (this.#target.failed) this.#result = 'broken';
    else if (!this.#target.writable) this.#result = 'waiting';
    else if (this.#rest !== undefined) this.#sendRest(this.#rest);
    else if (this.#inPipe > 0) this.#emptyPipe();
    else if (this.#atEnd) this.#end();
    else if (!this.#source.readable) this.#result = 'waiting';
    else if (this.#isBulk && !this.#source.urgent && this.#takePipe() !== undefined) this.#fillPipe();
    else this.#copy();
  }

  #copy(): void {
    const { kernel, buffer } = this.#parts;
    const count = kernel.recv(this.#source.fd, buffer);
    if (!this.#didRead(count)) return;
    this.#isBulk = count === buffer.length;
    // The buffer wasn't filled, so nothing is left to read. Not after a FIN, though: no further event would tell of the end.
    const { finished, urgent } = this.#source;
    if (!this.#isBulk && !finished && !urgent) this.#source.readable = false;
    const sent = kernel.send(this.#target.fd, buffer, count);
    if (this.#didWrite(sent) && sent === count) return;
    this.#rest = buffer.slice(Math.max(sent, 0), count);
  }

  #sendRest(rest: Uint8Array): void {
    const sent = this.#parts.kernel.send(this.#target.fd, rest, rest.length);
    if (!this.#didWrite(sent)) return;
    this.#rest = sent === rest.length ? undefined : rest.subarray(sent);
  }

  #fillPipe(): void {
    const { writeEnd = -1, capacity = 0 } = this.#takePipe() ?? {};
    const count = this.#parts.kernel.splice(this.#source.fd, writeEnd, capacity);
    if (!this.#didRead(count)) return;
    this.#inPipe = count;
    this.#isBulk = count >= this.#parts.buffer.length / 4;
  }

  #emptyPipe(): void {
    const sent = this.#parts.kernel.splice(this.#pipe?.readEnd ?? -1, this.#target.fd, this.#inPipe);
    if (this.#didWrite(sent)) this.#inPipe -= sent;
  }

  #end(): void {
    const status = this.#parts.kernel.shutdownWrite(this.#target.fd);
    if (status < 0) this.#break(this.#target);
    else this.#result = 'ended';
  }

  /** Whether a read brought bytes; acts on any other result. */
  #didRead(count: number): boolean {
    if (count > 0) return true;
    if (count === -EINTR) return false;
    const isOver = this.#source.failed && (count === 0 || count === -EAGAIN);
    if (isOver) this.#result = 'broken';
    else if (count === 0) this.#atEnd = true;
    else if (count === -EAGAIN) this.#source.readable = false;
    else this.#break(this.#source);
    return false;
  }

  #didWrite(count: number): boolean {
    if (count >= 0) {
      this.#moved += count;
      return true;
    }
    if (count === -EAGAIN) this.#target.writable = false;
    else if (count !== -EINTR) this.#break(this.#target);
    return false;
  }

  #break(side: Side): void {
    fail(side);
    this.#result = 'broken';
  }

  #takePipe(): Pipe | undefined {
    this.#pipe ??= this.#parts.pipes.take();
    return this.#pipe;
  }

  #givePipe(): void {
    if (this.#pipe !== undefined) this.#parts.pipes.give(this.#pipe);
    this.#pipe = undefined;
  }
}
