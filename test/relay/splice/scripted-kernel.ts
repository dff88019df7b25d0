import { EAGAIN, EINTR } from '../../../src/relay/native/errno.ts';
import type { Pipe } from '../../../src/relay/splice/thread/pipe-pool.ts';
import type { PumpKernel } from '../../../src/relay/splice/thread/pump.ts';

/** `EAGAIN`, `EINTR`, a negative errno, or how many bytes are moved at the most. */
export type Answer = number | 'EAGAIN' | 'EINTR';

const PIPE: Pipe = { readEnd: 10, writeEnd: 11, capacity: 256 };

/** One source, one target and at most one pipe; answers by its script, and after that moves all it can. */
export class ScriptedKernel implements PumpKernel {
  readonly source = 1;
  readonly target = 2;
  /** The calls that were made. */
  readonly log: string[] = [];
  /** Of the target. */
  unacknowledgedBytes = 0;
  discarded = 0;
  lent = 0;
  readonly #answers: Answer[];
  readonly #pipes: number;
  readonly #errorAtEnd: number;
  readonly #pendingError: number;
  #input: Uint8Array;
  #inPipe: Uint8Array = new Uint8Array(0);
  #output: number[] = [];

  constructor(options: {
    readonly input: Uint8Array;
    readonly answers?: readonly Answer[];
    readonly pipes?: number;
    /** What a read answers when nothing is left, as a positive errno; 0 = the end. */
    readonly errorAtEnd?: number;
    /** The error that is pending on either socket. */
    readonly pendingError?: number;
  }) {
    this.#input = options.input;
    this.#answers = [...(options.answers ?? [])];
    this.#pipes = options.pipes ?? 1;
    this.#errorAtEnd = options.errorAtEnd ?? 0;
    this.#pendingError = options.pendingError ?? 0;
  }

  get output(): Uint8Array {
    return Uint8Array.from(this.#output);
  }

  recv(_fd: number, into: Uint8Array): number {
    this.log.push('recv');
    if (this.#input.length === 0 && this.#errorAtEnd > 0) return -this.#errorAtEnd;
    return this.#answer(Math.min(into.length, this.#input.length), (count) => into.set(this.#read(count)));
  }

  send(_fd: number, bytes: Uint8Array, length: number): number {
    this.log.push('send');
    return this.#answer(length, (count) => this.#output.push(...bytes.subarray(0, count)));
  }

  splice(from: number, to: number, length: number): number {
    if (to === PIPE.writeEnd) {
      this.log.push('fill');
      if (this.#input.length === 0 && this.#errorAtEnd > 0) return -this.#errorAtEnd;
      const room = Math.min(length, this.#input.length);
      return this.#answer(room, (count) => {
        this.#inPipe = this.#read(count);
      });
    }
    if (from !== PIPE.readEnd) throw new Error(`no splice from ${from} to ${to}`);
    this.log.push('empty');
    return this.#answer(Math.min(length, this.#inPipe.length), (count) => {
      this.#output.push(...this.#inPipe.subarray(0, count));
      this.#inPipe = this.#inPipe.slice(count);
    });
  }

  shutdownWrite(): number {
    this.log.push('shutdown');
    return 0;
  }

  unacknowledged(): number {
    return this.unacknowledgedBytes;
  }

  takeError(): number {
    return this.#pendingError;
  }

  take(): Pipe | undefined {
    if (this.lent >= this.#pipes) return undefined;
    this.lent++;
    return PIPE;
  }

  give(): void {
    if (this.#inPipe.length > 0) throw new Error('the pipe is not empty');
    this.lent--;
  }

  discard(): void {
    this.#inPipe = new Uint8Array(0);
    this.discarded++;
    this.lent--;
  }

  #answer(most: number, move: (count: number) => void): number {
    const answer = this.#answers.shift() ?? most;
    if (answer === 'EAGAIN') return -EAGAIN;
    if (answer === 'EINTR') return -EINTR;
    if (answer < 0) return answer;
    const count = Math.min(answer, most);
    move(count);
    return count;
  }

  #read(count: number): Uint8Array {
    const bytes = this.#input.slice(0, count);
    this.#input = this.#input.slice(count);
    return bytes;
  }
}
