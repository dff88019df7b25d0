import { EPOLLIN, EpollEvents } from '../epoll-events.ts';
import type { Libc } from '../libc.ts';

const TOKEN = 0xfeed_beef;
const BYTES = new Uint8Array([1, 2, 3, 5, 8]);

/**
 * Tries the system calls out on this machine: the layout of structures differs between architectures, and sandboxes refuse
 * some calls. Takes a few microseconds.
 * @returns what is wrong, in words; undefined where everything works.
 */
export function findNativeFault(libc: Libc): string | undefined {
  const open: number[] = [];
  const keep = (fd: number): number => {
    if (fd >= 0) open.push(fd);
    return fd;
  };
  const makePipe = (): readonly [number, number] => {
    const ends = new Int32Array(2);
    const status = libc.pipe(ends);
    if (status < 0) return [status, status];
    return [keep(ends[0] ?? -1), keep(ends[1] ?? -1)];
  };
  try {
    const [read, write] = makePipe();
    const [farRead, farWrite] = makePipe();
    const epoll = keep(libc.epollCreate());
    if (Math.min(read, farRead, epoll, keep(libc.eventfd())) < 0)
      return 'pipes, epoll or eventfd are refused';
    return findEpollFault(libc, { epoll, read, write }) ?? findSpliceFault(libc, { read, farWrite, farRead });
  } finally {
    for (const fd of open) libc.close(fd);
  }
}

function findEpollFault(
  libc: Libc,
  { epoll, read, write }: { readonly epoll: number; readonly read: number; readonly write: number },
): string | undefined {
  const events = new EpollEvents(2);
  events.set(0, { events: EPOLLIN, token: TOKEN });
  libc.epollAdd(epoll, read, events.bytes);
  libc.write(write, BYTES);
  events.set(0, { events: 0, token: 0 });
  const count = libc.epollWait(epoll, events.bytes, { max: 2, timeoutMs: 0 });
  const isRight = count === 1 && events.events(0) === EPOLLIN && events.token(0) === TOKEN;
  return isRight ? undefined : 'epoll answers in an unknown layout';
}

function findSpliceFault(
  libc: Libc,
  { read, farWrite, farRead }: { readonly read: number; readonly farWrite: number; readonly farRead: number },
): string | undefined {
  const moved = libc.splice(read, farWrite, BYTES.length);
  const arrived = new Uint8Array(BYTES.length);
  const count = libc.read(farRead, arrived);
  const isRight =
    moved === BYTES.length && count === moved && arrived.every((byte, index) => byte === BYTES[index]);
  return isRight ? undefined : `splice is refused (errno ${Math.max(0, -moved)})`;
}
