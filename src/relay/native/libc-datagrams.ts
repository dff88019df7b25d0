import { createDeclare } from './declare.ts';
import type { Koffi } from './load-koffi.ts';

/**
 * The calls of Linux that move many datagrams at once. Each returns how many, or the negative `errno` where not even one
 * was moved (see `errno.ts`); none blocks. Memory is told by its address: whoever calls keeps it alive.
 */
export interface LibcDatagrams {
  readonly pointerBytes: number;
  /** Where the memory begins. What an ArrayBuffer is made for lies outside V8's heap, and never moves. */
  addressOf(memory: ArrayBuffer): bigint;
  /** `recvmmsg(2)` into `count` times `struct mmsghdr` at `messages`. */
  receive(fd: number, messages: number, count: number): number;
  /** `sendmmsg(2)` likewise. */
  send(fd: number, messages: number, count: number): number;
  /** Whether the socket's send buffer has much room: half of it and more. */
  isWritable(fd: number): boolean;
}

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const POLLOUT = 4;

/** Declares the functions. @throws where the C library lacks one of them. */
export function createLibcDatagrams(koffi: Koffi): LibcDatagrams {
  const declare = createDeclare(koffi);
  const recvmmsg = declare(
    'int recvmmsg(int fd, uintptr_t messages, unsigned int count, int flags, void *timeout)',
  );
  const sendmmsg = declare('int sendmmsg(int fd, uintptr_t messages, unsigned int count, int flags)');
  const poll = declare('int poll(void *fds, unsigned long count, int timeoutMs)');
  // struct pollfd { int fd; short events; short revents; }
  const polled = new Int32Array(2);
  return {
    pointerBytes: koffi.sizeof('void *'),
    addressOf: (memory) => koffi.address(memory),
    receive: (fd, messages, count) => recvmmsg(fd, messages, count, MSG_DONTWAIT, null),
    send: (fd, messages, count) => sendmmsg(fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL),
    isWritable(fd) {
      polled[0] = fd;
      polled[1] = POLLOUT;
      return poll(polled, 1, 0) > 0 && (((polled[1] ?? 0) >>> 16) & POLLOUT) !== 0;
    },
  };
}
