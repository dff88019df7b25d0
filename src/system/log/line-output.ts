import type { Writable } from 'node:stream';

/**
 * Writes whole lines to one of the program's own streams, all those of a turn at once. Nothing of the program ends with the
 * stream: where its reader has gone, the rest is dropped without a word, as of a program in front of `head`; of any
 * other error `onFailed` is told once.
 */
export function createLineOutput(
  stream: Writable,
  onFailed: (error: NodeJS.ErrnoException) => void,
): (line: string) => void {
  let waiting: string[] = [];
  let isBroken = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Of a socket whose reader had not read all it had.
    const isReaderGone = error.code === 'EPIPE' || error.code === 'ECONNRESET';
    if (!isBroken && !isReaderGone) onFailed(error);
    isBroken = true;
  });
  const flush = () => {
    const text = waiting.join('');
    waiting = [];
    if (!isBroken) stream.write(text);
  };
  return (line) => {
    if (isBroken) return;
    if (waiting.length === 0) queueMicrotask(flush);
    waiting.push(`${line}\n`);
  };
}
