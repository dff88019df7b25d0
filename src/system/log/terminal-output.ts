import { constants, openSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { scheduleUnawaited } from '../clock.ts';

/** How often a terminal that takes nothing, as after Ctrl-S, is tried again, in ms. */
const RETRY_MS = 50;
/** How long the end of the program waits for the last lines to be written, in ms. */
const LAST_LINES_MS = 500;
const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;

/**
 * Opens the terminal behind the standard output a second time, non-blocking. The standard output itself is shared with the
 * program that started this one, so its mode must not be changed. What the terminal takes is written at once, so that
 * nothing of that is lost at an exit.
 * @throws where it can't be opened, as after `su`.
 */
export function openTerminal(): Writable {
  return new TerminalOutput(openSync('/proc/self/fd/1', O_WRONLY | O_NONBLOCK | O_NOCTTY));
}

class TerminalOutput extends Writable {
  readonly #fd: number;
  /** The bytes that are still to be written, and the callback for their end. */
  #rest: { readonly bytes: Buffer; readonly done: (error?: Error | null) => void } | undefined;

  constructor(fd: number) {
    super();
    this.#fd = fd;
    process.once('exit', () => this.#writeLast());
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#rest = { bytes, done };
    this.#goOn();
  }

  #goOn(): void {
    while (this.#rest !== undefined) {
      const { bytes, done } = this.#rest;
      try {
        const left = bytes.subarray(writeSync(this.#fd, bytes));
        this.#rest = left.length === 0 ? undefined : { bytes: left, done };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN')
          return scheduleUnawaited(RETRY_MS, () => this.#goOn());
        this.#rest = undefined;
        return done(error as Error);
      }
      if (this.#rest === undefined) return done();
    }
  }

  /** Runs at the exit of the process, so blocking holds up nobody. */
  #writeLast(): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let waitedMs = 0; this.#rest !== undefined && waitedMs < LAST_LINES_MS; waitedMs += RETRY_MS) {
      this.#goOn();
      if (this.#rest !== undefined) Atomics.wait(pause, 0, 0, RETRY_MS);
    }
  }
}
