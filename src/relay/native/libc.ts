import type { KeepAlive } from '../tcp/keep-alive.ts';
import { createDeclare, type Koffi } from './load-koffi.ts';

/**
 * System calls of Linux that Node doesn't offer, through the C library. Each returns what the system call returns, or the
 * negative `errno` where it fails (see `errno.ts`). Only `epollWait` blocks, and calls on a blocking descriptor. Buffers are
 * used only during the call.
 */
export interface Libc {
  /** A second descriptor for the same file, closed on exec. */
  dup(fd: number): number;
  close(fd: number): number;
  /**
   * The next client of a listening socket: a non-blocking socket with the options of the listening one. Puts the client's
   * `struct sockaddr` into `address`: see `socket-address.ts`.
   */
  accept(listener: number, address: Uint8Array): number;
  /** A non-blocking TCP socket. */
  tcpSocket(family: number): number;
  /**
   * Switches the Nagle delay off, and keepalive on, or off where it is undefined. Keeps urgent data at its place among the
   * other bytes; by default the kernel would drop it.
   */
  tuneTcp(fd: number, keepAlive: KeepAlive | undefined): number;
  /** Puts the beginning of a connection's `struct tcp_info` into `into`: see `tcp-info.ts`. */
  readTcpInfo(fd: number, into: Uint8Array): number;
  /** Begins to connect to a `struct sockaddr`: see `socket-address.ts`. */
  connect(fd: number, address: Uint8Array): number;
  recv(fd: number, into: Uint8Array): number;
  /** The same, without taking anything. */
  peek(fd: number, into: Uint8Array): number;
  /** Sends the first `length` bytes; a peer that is gone is -EPIPE, never a signal. */
  send(fd: number, bytes: Uint8Array, length: number): number;
  /** Moves up to `length` bytes between a pipe and a socket, without blocking. */
  splice(from: number, to: number, length: number): number;
  /** Sends FIN: no more is sent in this direction. */
  shutdownWrite(fd: number): number;
  /** Receives no more. A listening socket stops listening, whoever else has a descriptor of it. */
  shutdownRead(fd: number): number;
  /** Bytes sent on a TCP socket that its peer has not acknowledged yet. */
  unacknowledged(fd: number): number;
  /** Takes the error that is pending on a socket, as a positive errno; 0 = none. */
  takeError(fd: number): number;
  /** Closes with a reset (RST) instead of FIN. */
  closeWithReset(fd: number): number;
  /** Makes a non-blocking pipe, and puts [read end, write end] into `into`. */
  pipe(into: Int32Array): number;
  /** Asks for so much room in a pipe, in bytes; returns how much it has then. */
  setPipeSize(fd: number, bytes: number): number;
  /** Makes a non-blocking counter; a write to it wakes whoever polls it. */
  eventfd(): number;
  read(fd: number, into: Uint8Array): number;
  write(fd: number, bytes: Uint8Array): number;
  epollCreate(): number;
  /** `event` is a `struct epoll_event`: see `epoll-events.ts`. */
  epollAdd(epoll: number, fd: number, event: Uint8Array): number;
  /** The same for a descriptor that was added before. */
  epollChange(epoll: number, fd: number, event: Uint8Array): number;
  epollRemove(epoll: number, fd: number): number;
  /** Waits up to `timeoutMs` (-1 = for ever) for up to `max` events. */
  epollWait(
    epoll: number,
    events: Uint8Array,
    options: { readonly max: number; readonly timeoutMs: number },
  ): number;
}

const MSG_PEEK_DONTWAIT = 0x2 | 0x40;
const F_DUPFD_CLOEXEC = 1030;
const F_SETPIPE_SZ = 1031;
const SHUT_RD = 0;
const SHUT_WR = 1;
const MSG_NOSIGNAL = 0x4000;
const SPLICE_F_MOVE_NONBLOCK = 1 | 2;
/** O_CLOEXEC | O_NONBLOCK, which is also EFD_CLOEXEC | EFD_NONBLOCK, on every architecture that koffi is built for. */
const CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const TIOCOUTQ = 0x5411;
const SO_KEEPALIVE = 9;
const SO_OOBINLINE = 10;
const SO_LINGER = 13;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_INFO = 11;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;

/** Declares the functions. @throws where the C library lacks one of them. */
export function createLibc(koffi: Koffi): Libc {
  const declare = createDeclare(koffi);
  const fcntl = declare('int fcntl(int fd, int command, int value)');
  const close = declare('int close(int fd)');
  const recv = declare('intptr_t recv(int fd, void *into, size_t length, int flags)');
  const send = declare('intptr_t send(int fd, const void *bytes, size_t length, int flags)');
  const splice = declare(
    'intptr_t splice(int from, void *fromOffset, int to, void *toOffset, size_t length, unsigned int flags)',
  );
  const shutdown = declare('int shutdown(int fd, int how)');
  const setsockopt = declare(
    'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
  );
  const ioctl = declare('int ioctl(int fd, unsigned long request, void *value)');
  const getsockopt = declare('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const pipe2 = declare('int pipe2(void *fds, int flags)');
  const eventfd = declare('int eventfd(unsigned int value, int flags)');
  const read = declare('intptr_t read(int fd, void *into, size_t length)');
  const write = declare('intptr_t write(int fd, const void *bytes, size_t length)');
  const epollCreate = declare('int epoll_create1(int flags)');
  const epollControl = declare('int epoll_ctl(int epoll, int operation, int fd, void *event)');
  const epollWait = declare('int epoll_wait(int epoll, void *events, int max, int timeout)');
  const accept4 = declare('int accept4(int listener, void *address, void *length, int flags)');
  const socket = declare('int socket(int family, int type, int protocol)');
  const connect = declare('int connect(int fd, const void *address, unsigned int length)');
  const addressLength = new Int32Array(1);
  const optionLength = new Int32Array(1);
  const optionValue = new Int32Array(1);
  const setInt = (fd: number, level: number, [name, value]: readonly [number, number]) => {
    optionValue[0] = value;
    return setsockopt(fd, level, name, optionValue, optionValue.byteLength);
  };
  // struct linger { int l_onoff; int l_linger; }
  const lingerZero = intBytes(1, 0);
  return {
    dup: (fd) => fcntl(fd, F_DUPFD_CLOEXEC, 0),
    close: (fd) => close(fd),
    accept(listener, address) {
      // The kernel replaces it by the length of the address.
      addressLength[0] = address.length;
      return accept4(listener, address, addressLength, CLOEXEC_NONBLOCK);
    },
    tcpSocket: (family) => socket(family, SOCK_STREAM | CLOEXEC_NONBLOCK, 0),
    tuneTcp(fd, keepAlive) {
      const status = Math.min(
        setInt(fd, IPPROTO_TCP, [TCP_NODELAY, 1]),
        setInt(fd, SOL_SOCKET, [SO_OOBINLINE, 1]),
      );
      if (keepAlive === undefined) return Math.min(status, setInt(fd, SOL_SOCKET, [SO_KEEPALIVE, 0]));
      return Math.min(
        status,
        setInt(fd, IPPROTO_TCP, [TCP_KEEPIDLE, keepAlive.idleSeconds]),
        setInt(fd, IPPROTO_TCP, [TCP_KEEPINTVL, keepAlive.intervalSeconds]),
        setInt(fd, IPPROTO_TCP, [TCP_KEEPCNT, keepAlive.probes]),
        setInt(fd, SOL_SOCKET, [SO_KEEPALIVE, 1]),
      );
    },
    readTcpInfo(fd, into) {
      optionLength[0] = into.length;
      return getsockopt(fd, IPPROTO_TCP, TCP_INFO, into, optionLength);
    },
    connect: (fd, address) => connect(fd, address, address.length),
    recv: (fd, into) => recv(fd, into, into.length, 0),
    peek: (fd, into) => recv(fd, into, into.length, MSG_PEEK_DONTWAIT),
    send: (fd, bytes, length) => send(fd, bytes, length, MSG_NOSIGNAL),
    splice: (from, to, length) => splice(from, null, to, null, length, SPLICE_F_MOVE_NONBLOCK),
    shutdownWrite: (fd) => shutdown(fd, SHUT_WR),
    shutdownRead: (fd) => shutdown(fd, SHUT_RD),
    unacknowledged(fd) {
      const bytes = new Int32Array(1);
      const status = ioctl(fd, TIOCOUTQ, bytes);
      return status < 0 ? status : (bytes[0] ?? 0);
    },
    takeError(fd) {
      optionLength[0] = optionValue.byteLength;
      const status = getsockopt(fd, SOL_SOCKET, SO_ERROR, optionValue, optionLength);
      return status < 0 ? -status : (optionValue[0] ?? 0);
    },
    closeWithReset(fd) {
      setsockopt(fd, SOL_SOCKET, SO_LINGER, lingerZero, lingerZero.length);
      return close(fd);
    },
    pipe: (into) => pipe2(into, CLOEXEC_NONBLOCK),
    setPipeSize: (fd, bytes) => fcntl(fd, F_SETPIPE_SZ, bytes),
    eventfd: () => eventfd(0, CLOEXEC_NONBLOCK),
    read: (fd, into) => read(fd, into, into.length),
    write: (fd, bytes) => write(fd, bytes, bytes.length),
    epollCreate: () => epollCreate(EPOLL_CLOEXEC),
    epollAdd: (epoll, fd, event) => epollControl(epoll, EPOLL_CTL_ADD, fd, event),
    epollChange: (epoll, fd, event) => epollControl(epoll, EPOLL_CTL_MOD, fd, event),
    epollRemove: (epoll, fd) => epollControl(epoll, EPOLL_CTL_DEL, fd, null),
    epollWait: (epoll, events, { max, timeoutMs }) => epollWait(epoll, events, max, timeoutMs),
  };
}

/** Values of the type `int`, one after the other. */
function intBytes(...values: readonly number[]): Uint8Array {
  return new Uint8Array(new Int32Array(values).buffer);
}
