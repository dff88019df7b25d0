import type { Writable } from 'node:stream';

/**
 * Writes whole lines to stdout or stderr, all lines of one turn of the event loop at once. The program goes on without the
 * stream: if its reader has gone, as with `| head`, the rest is dropped silently; any other error is passed to `onFailed` once.
 */
export function createLineOutput(
  stream: Writable,
  onFailed: (error: NodeJS.ErrnoException) => void,
): (line: string) => void {
  let waiting: string[] = [];
  let isBroken = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // ECONNRESET comes from a socket whose reader left bytes unread.
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
