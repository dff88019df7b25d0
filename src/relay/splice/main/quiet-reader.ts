import type { Libc } from '../../native/libc.ts';
import { createTcpInfoReader } from '../../native/tcp-info.ts';
import type { SharedState } from '../thread-protocol.ts';

/** How long ago a byte went through the upstream's socket of a slot, ms; undefined where the thread hasn't it, or the kernel doesn't tell. */
export type ReadQuiet = (slot: number) => number | undefined;

/** Asks the kernel about sockets of the relay thread, which goes on with them meanwhile. */
export function createQuietReader(
  thread: { readonly shared: Pick<SharedState, 'open' | 'sockets'> },
  libc: Pick<Libc, 'readTcpInfo'>,
): ReadQuiet {
  const readTcpInfo = createTcpInfoReader(libc);
  return (slot) => {
    const { open, sockets } = thread.shared;
    if (Atomics.load(open, slot) === 0) return undefined;
    const quietMs = readTcpInfo(sockets[slot * 2 + 1] ?? -1)?.quietMs;
    // Once it is closed, its descriptor may be somebody else's.
    return Atomics.load(open, slot) === 0 ? undefined : quietMs;
  };
}
