import type { Shortage } from '../../system/descriptors.ts';
import type { Libc } from './libc.ts';

const BY_ERRNO: ReadonlyMap<number, Shortage> = new Map([
  [24, 'EMFILE'],
  [23, 'ENFILE'],
  [105, 'ENOBUFS'],
  [12, 'ENOMEM'],
]);

/** Wraps the calls that make a descriptor: `onShortage` is told where the system has none left. */
export function watchShortage(libc: Libc, onShortage: (shortage: Shortage) => void): Libc {
  const watch = (result: number): number => {
    const shortage = result < 0 ? BY_ERRNO.get(-result) : undefined;
    if (shortage !== undefined) onShortage(shortage);
    return result;
  };
  return {
    ...libc,
    dup: (fd) => watch(libc.dup(fd)),
    accept: (listener, address) => watch(libc.accept(listener, address)),
    tcpSocket: (family) => watch(libc.tcpSocket(family)),
    pipe: (into) => watch(libc.pipe(into)),
    eventfd: () => watch(libc.eventfd()),
    epollCreate: () => watch(libc.epollCreate()),
  };
}
