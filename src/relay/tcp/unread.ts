import { readSync } from 'node:fs';
import type { Socket } from 'node:net';
import { descriptorOf } from '../native/descriptor-of.ts';

const CHUNK_BYTES = 65_536;
/** Who sends more than this while he is closed is reset. */
const MAX_DISCARDED_CHUNKS = 64;

/** What can be read of a socket at once; undefined where that is nothing, or it has ended or failed. */
export function readNow(fd: number | undefined): Buffer | undefined {
  if (fd === undefined) return undefined;
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    const bytes = readSync(fd, chunk);
    return bytes > 0 ? chunk.subarray(0, bytes) : undefined;
  } catch {
    // EAGAIN, or the error that the socket is closed for anyway.
    return undefined;
  }
}

/** Throws away what a client has sent that nobody will read: the kernel resets a socket that is closed with bytes unread. */
export function discardUnread(socket: Socket): void {
  const fd = descriptorOf(socket);
  for (let count = 0; count < MAX_DISCARDED_CHUNKS && readNow(fd) !== undefined; count++);
}
