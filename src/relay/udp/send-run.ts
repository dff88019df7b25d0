import type { DatagramRun } from './datagram-run.ts';
import { EAGAIN, ECONNREFUSED, EINTR, ENOBUFS } from '../native/errno.ts';

/** How a socket sends, and whom it tells of datagrams that it can't send. */
export interface RunSender {
  /** The descriptor to send on; undefined where datagrams have to be sent one by one now, or the socket was closed. */
  fdOf(): number | undefined;
  /** Whether there is much room in the send buffer. */
  isWritable(fd: number): boolean;
  /** The address to send to; absent where the socket is connected. */
  readonly to?: Uint32Array | undefined;
  /** Sends one datagram, and keeps it while the send buffer is full. */
  sendOne(datagram: Buffer): void;
  /** The kernel reported the refusal of an earlier datagram instead of sending this one; `onUnsent` follows with this one. */
  onRefused(): void;
  onUnsent(datagram: Buffer): void;
  /** A datagram can't be sent; `copy` makes a copy of it. */
  onUnsendable(copy: () => Buffer): void;
}

/** Sends each datagram of a run once and in order, or tells the sender why it can't. */
export function sendRun(run: DatagramRun, sender: RunSender): void {
  let next = 0;
  while (next < run.size) {
    const fd = sender.fdOf();
    if (fd === undefined) return sendSingly(run, { from: next, sender });
    const result = run.send(fd, { from: next, to: sender.to });
    if (result > 0) next += result;
    if (next >= run.size) return;
    const failure = result > 0 ? nameStop(sender, fd) : -result;
    switch (failure) {
      case EINTR:
        break;
      case EAGAIN:
      case ENOBUFS:
        return sendSingly(run, { from: next, sender });
      case ECONNREFUSED:
        sender.onRefused();
        sender.onUnsent(run.copy(next++));
        break;
      default: {
        const failed = next++;
        sender.onUnsendable(() => run.copy(failed));
      }
    }
  }
}

/**
 * Why the kernel stopped after it had sent some datagrams. It doesn't say, and has forgotten the refusal that may have
 * stopped it. But a full send buffer shows; otherwise it is taken for a refusal, and the datagram is sent again alone.
 */
function nameStop(sender: RunSender, fd: number): number {
  return sender.isWritable(fd) ? ECONNREFUSED : EAGAIN;
}

function sendSingly(
  run: DatagramRun,
  { from, sender }: { readonly from: number; readonly sender: RunSender },
): void {
  for (let index = from; index < run.size; index++) sender.sendOne(run.copy(index));
}
