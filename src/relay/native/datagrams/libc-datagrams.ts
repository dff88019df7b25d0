import { createDeclare, type Koffi } from '../load-koffi.ts';

/**
 * System calls of Linux for UDP sockets that Node doesn't offer. Each returns what the system call returns, or the negative
 * `errno` (see `errno.ts`); none blocks. Memory is passed by its address: the caller keeps it alive.
 */
export interface LibcDatagrams {
  readonly pointerBytes: number;
  /** Where the memory begins. The memory of an ArrayBuffer lies outside of V8's heap and never moves. */
  addressOf(memory: ArrayBuffer): bigint;
  /** `recvmmsg(2)`: receives up to `count` datagrams into the `struct mmsghdr`s at `messages`; returns how many came. */
  receive(fd: number, messages: number, count: number): number;
  /** `sendmmsg(2)`: sends up to `count` datagrams; returns how many were sent. */
  send(fd: number, messages: number, count: number): number;
  /** Whether at least half of the socket's send buffer is free. */
  isWritable(fd: number): boolean;
  /** A non-blocking UDP socket of an address family. */
  socket(family: number): number;
  setOption(fd: number, option: SocketOption, value: number): number;
  /** Binds to a `struct sockaddr` of `length` bytes. */
  bind(fd: number, address: Uint32Array, length: number): number;
  /** Connects to a `struct sockaddr` of `length` bytes: the socket receives only what comes from there. */
  connect(fd: number, address: Uint32Array, length: number): number;
  /** Puts the `struct sockaddr` that the socket is bound to into `address`. */
  name(fd: number, address: Uint32Array): number;
  close(fd: number): number;
}

/** Level and name. */
type SocketOption = readonly [number, number];

/** Options of Linux, alike on every architecture that koffi is built for. */
export const SOCKET_OPTIONS = {
  receiveBuffer: [1, 8],
  sendBuffer: [1, 7],
  /** IP_PKTINFO: an `in_pktinfo` with the local address comes with each datagram. */
  packetInfo4: [0, 8],
  ipv6Only: [41, 26],
  /** IPV6_RECVPKTINFO: an `in6_pktinfo` comes with each datagram, those of IPv4 included. */
  packetInfo6: [41, 49],
} as const satisfies Record<string, SocketOption>;

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const POLLOUT = 4;
/** SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK */
const DATAGRAM_SOCKET = 2 | 0o2000000 | 0o4000;

/** Declares the functions. @throws where the C library lacks one of them. */
export function createLibcDatagrams(koffi: Koffi): LibcDatagrams {
  const declare = createDeclare(koffi);
  const recvmmsg = declare(
    'int recvmmsg(int fd, uintptr_t messages, unsigned int count, int flags, void *timeout)',
  );
  const sendmmsg = declare('int sendmmsg(int fd, uintptr_t messages, unsigned int count, int flags)');
  const poll = declare('int poll(void *fds, unsigned long count, int timeoutMs)');
  const socket = declare('int socket(int family, int type, int protocol)');
  const setsockopt = declare(
    'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
  );
  const bind = declare('int bind(int fd, const void *address, unsigned int length)');
  const connect = declare('int connect(int fd, const void *address, unsigned int length)');
  const getsockname = declare('int getsockname(int fd, void *address, void *length)');
  const close = declare('int close(int fd)');
  // struct pollfd { int fd; short events; short revents; }
  const polled = new Int32Array(2);
  const number = new Int32Array(1);
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
    socket: (family) => socket(family, DATAGRAM_SOCKET, 0),
    setOption(fd, [level, name], value) {
      number[0] = value;
      return setsockopt(fd, level, name, number, number.byteLength);
    },
    bind: (fd, address, length) => bind(fd, address, length),
    connect: (fd, address, length) => connect(fd, address, length),
    name(fd, address) {
      number[0] = address.byteLength;
      return getsockname(fd, address, number);
    },
    close: (fd) => close(fd),
  };
}
