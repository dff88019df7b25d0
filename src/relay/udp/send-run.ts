import type { DatagramRun } from './datagram-run.ts';
import { EAGAIN, ECONNREFUSED, EINTR, ENOBUFS } from '../native/errno.ts';

/** How a socket sends, and who is told of what it can't. */
export interface RunSender {
  /** The descriptor to send on; `undefined` where many can't be sent at once now, or the socket was closed. */
  fdOf(): number | undefined;
  /** Whether there is much room in the send buffer. */
  isWritable(fd: number): boolean;
  /** Where the socket isn't connected. */
  readonly to?: Uint32Array | undefined;
  /** Sends one by node:dgram, which keeps it while the send buffer is full. */
  sendOne(datagram: Buffer): void;
  /** The refusal of something sent earlier was told in the place of a datagram, which follows as `onUnsent`. */
  onRefused(): void;
  onUnsent(datagram: Buffer): void;
  /** `copy` gives the datagram. */
  onUnsendable(copy: () => Buffer): void;
}

/** Sends each datagram of a run once and in order, or says why not. */
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
 * When some were sent, the kernel doesn't say what stopped it at the next one, and asked again it knows no more of a
 * refusal that it has told so. A full send buffer can be seen, though; what else it may be, the datagram's own way tells.
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
