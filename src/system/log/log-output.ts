import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { openTerminal } from './terminal-output.ts';

/** How much of the log is kept while it can't be written; the rest is dropped. */
const MAX_UNWRITTEN_BYTES = 256 * 1024;

export interface LogOutputOptions {
  /** Called once with a message when the log can't be written; the program goes on without it. */
  readonly onBroken: (message: string) => void;
  /** Called when the log flows again, with the number of lines that were dropped meanwhile. */
  readonly onFlow: (lost: number) => void;
}

/**
 * Opens the standard output for the log. It never holds up the program: what a pipe, socket or terminal doesn't take at once is
 * kept, up to 256 KiB, and what is beyond that is dropped and counted. Files are written to synchronously.
 */
export function openLogOutput(options: LogOutputOptions): Writable | ReturnType<typeof pino.destination> {
  const { stdout } = process;
  if (stdout.isTTY) return tryTerminal(options) ?? openFile(options);
  // A pipe, or a socket such as the journal's: Node writes to both without waiting.
  return stdout instanceof Socket ? new BoundedOutput(stdout, options) : openFile(options);
}

/** Undefined if the terminal can't be opened a second time; it is then written to like a file. */
function tryTerminal(options: LogOutputOptions): BoundedOutput | undefined {
  try {
    return new BoundedOutput(openTerminal(), options);
  } catch {
    return undefined;
  }
}

/** Passes on the lines for which the stream has room and drops the others; each `write()` is one whole line. */
export class BoundedOutput extends Writable {
  readonly #stream: Writable;
  #lost = 0;
  #isBroken = false;

  constructor(stream: Writable, { onBroken, onFlow }: LogOutputOptions) {
    super({ decodeStrings: false });
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (!this.#isBroken) onBroken(describeBroken(error));
      this.#isBroken = true;
    });
    stream.on('drain', () => {
      const lost = this.#lost;
      this.#lost = 0;
      if (lost > 0) onFlow(lost);
    });
  }

  override _write(line: string | Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    const hasRoom = this.#stream.writableLength + line.length <= MAX_UNWRITTEN_BYTES;
    if (!hasRoom) this.#lost++;
    else if (!this.#isBroken) this.#stream.write(line);
    done();
  }
}

/**
 * Written synchronously: the last line before an exit is never lost. Where it can't be written, as on a full disk, it is tried
 * again with each line.
 */
function openFile({ onBroken }: LogOutputOptions): ReturnType<typeof pino.destination> {
  const destination = pino.destination({ dest: 1, sync: true, maxLength: MAX_UNWRITTEN_BYTES });
  let isTold = false;
  destination.on('error', (error: NodeJS.ErrnoException) => {
    if (!isTold) onBroken(describeBroken(error));
    isTold = true;
  });
  return destination;
}

function describeBroken({ code, message }: NodeJS.ErrnoException): string {
  return code === 'EPIPE' || code === 'ECONNRESET'
    ? 'nobody reads the log any more; the proxy goes on without it'
    : `the log can't be written: ${message}; the proxy goes on, and lines are lost until it can`;
}
