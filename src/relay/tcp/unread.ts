import { readSync } from 'node:fs';
import type { Socket } from 'node:net';
import { descriptorOf } from '../native/descriptor-of.ts';

const CHUNK_BYTES = 65_536;
/** A client that sends more than this while it is being closed is reset. */
const MAX_DISCARDED_CHUNKS = 64;

/** Reads what a socket holds without waiting; undefined if there is nothing, or the socket has ended or failed. */
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

/** Discards what a client has sent: closing a socket with unread bytes would make the kernel reset it. */
export function discardUnread(socket: Socket): void {
  const fd = descriptorOf(socket);
  for (let count = 0; count < MAX_DISCARDED_CHUNKS && readNow(fd) !== undefined; count++);
}
