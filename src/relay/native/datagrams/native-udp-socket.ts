import { getSystemErrorName } from 'node:util';
import ipaddr from 'ipaddr.js';
import {
  ADDRESS_WORDS,
  AF_INET,
  AF_INET6,
  addressBytes,
  decodeAddress,
  encodeAddress,
} from './datagram-address.ts';
import { EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EINTR } from '../errno.ts';
import { type LibcDatagrams, SOCKET_OPTIONS } from './libc-datagrams.ts';
import type { LoopPoll, LoopReader, LoopWatch } from '../loop-poll.ts';

/** Buffers for bursts: of all clients on a listener, and of one client. The kernel's own limits apply. */
const LISTENER_BUFFER_BYTES = 4_194_304;
const CLIENT_BUFFER_BYTES = 1_048_576;
/** How much is kept while the send buffer is full; the rest is lost, as on any network. */
const MAX_KEPT_BYTES = 1_048_576;
/** What keeping one datagram costs beside its bytes. */
const KEPT_COST_BYTES = 640;

/** Never written to. */
const NOTHING: Sending[] = [];

interface Place {
  /** For a listener, `''` stands for all addresses: IPv6 and IPv4 on one socket, or IPv4 alone on a machine without IPv6. */
  readonly address: string;
  readonly port: number;
}

/** A datagram and its address, which is absent where the socket is connected. */
export interface Sending {
  readonly datagram: Buffer;
  readonly to?: Uint32Array | undefined;
}

interface Means {
  readonly libc: LibcDatagrams;
  readonly poll: LoopPoll;
  /** Sends at once, without keeping anything: 1, or the negative `errno`. */
  readonly sendAlone: (fd: number, sending: Sending) => number;
}

/** What the user of a socket is told. */
export interface SocketHandlers {
  /** There may be something to read, or an error: `NativeDatagrams.receive` takes both. */
  onReadable(): void;
  /** A datagram could not be sent, for another reason than that the send buffer is full. */
  onSendFailed(sending: Sending, errno: number): void;
}

/**
 * A UDP socket made without node:dgram, and read when the event loop says so. node:dgram doesn't tell the local address that
 * a datagram was sent to, and one of its sockets costs more time and memory than everything else of a flow. On a listener
 * for all addresses, the kernel tells that address here.
 */
export class NativeUdpSocket implements LoopReader {
  readonly fd: number;
  readonly #means: Means;
  readonly #handlers: SocketHandlers;
  readonly #watch: LoopWatch;
  /** `NOTHING` on most sockets, which never keep a datagram. */
  #kept: Sending[] = NOTHING;
  #keptBytes = 0;
  #closed = false;

  private constructor(fd: number, means: Means, handlers: SocketHandlers) {
    this.fd = fd;
    this.#means = means;
    this.#handlers = handlers;
    try {
      this.#watch = means.poll.watch(fd, this);
    } catch (error) {
      means.libc.close(fd);
      throw error;
    }
  }

  /** @throws the bind error, with its `code`. */
  static listen(place: Place, { means, handlers }: Parts): NativeUdpSocket {
    return new NativeUdpSocket(listenAt(means.libc, place), means, handlers);
  }

  /** @throws the error of connect(2), such as ENETUNREACH, with its `code`. */
  static connect(place: Place, { means, handlers }: Parts): NativeUdpSocket {
    return new NativeUdpSocket(connectTo(means.libc, place), means, handlers);
  }

  /** The port that it is bound to. */
  get port(): number {
    return this.local.port;
  }

  /** Its local address; to be asked only while it is open. */
  get local(): Place {
    const words = new Uint32Array(ADDRESS_WORDS);
    this.#means.libc.name(this.fd, words);
    return decodeAddress(words);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** The descriptor to send on; undefined when the socket is closed, and while kept datagrams have to go first. */
  get sendFd(): number | undefined {
    return this.#closed || this.#kept.length > 0 ? undefined : this.fd;
  }

  /** Sends a datagram, or keeps it while the send buffer is full. */
  send(sending: Sending): void {
    if (this.#closed) return;
    if (this.#kept.length > 0 || !this.#trySend(sending)) this.#keep(sending);
  }

  /** Sends at once, or not at all; returns whether it was sent. */
  sendNow(sending: Sending): boolean {
    return !this.#closed && this.#means.sendAlone(this.fd, sending) === 1;
  }

  /** Frees it. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#kept = NOTHING;
    this.#watch.close();
    this.#means.libc.close(this.fd);
  }

  /** For the event loop. */
  onReady(): void {
    this.#sendKept();
    if (!this.#closed) this.#handlers.onReadable();
  }

  /** Returns whether that settles it: it was sent, or can't be; false while the send buffer is full. */
  #trySend(sending: Sending): boolean {
    for (;;) {
      const errno = -this.#means.sendAlone(this.fd, sending);
      if (errno === EAGAIN) return false;
      if (errno === EINTR) continue;
      if (errno > 0) this.#handlers.onSendFailed(sending, errno);
      return true;
    }
  }

  #keep(sending: Sending): void {
    const bytes = sending.datagram.length + KEPT_COST_BYTES;
    if (this.#keptBytes + bytes > MAX_KEPT_BYTES) return this.#handlers.onSendFailed(sending, EAGAIN);
    if (this.#kept === NOTHING) this.#kept = [];
    this.#kept.push(sending);
    this.#keptBytes += bytes;
    this.#watch.alsoWritable('on');
  }

  #sendKept(): void {
    while (!this.#closed) {
      const [first] = this.#kept;
      if (first === undefined || !this.#trySend(first)) return;
      // The handler may have closed the socket.
      if (this.#kept[0] !== first) return;
      this.#kept.shift();
      this.#keptBytes -= first.datagram.length + KEPT_COST_BYTES;
      if (this.#kept.length === 0) this.#watch.alsoWritable('off');
    }
  }
}

interface Parts {
  readonly means: Means;
  readonly handlers: SocketHandlers;
}

function listenAt(libc: LibcDatagrams, { address, port }: Place): number {
  if (address !== '') return bindTo(libc, { address, port });
  try {
    return bindTo(libc, { address: '::', port });
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    if (errno !== -EAFNOSUPPORT && errno !== -EADDRNOTAVAIL) throw error;
    return bindTo(libc, { address: '0.0.0.0', port });
  }
}

function bindTo(libc: LibcDatagrams, place: Place): number {
  const { words, length, isIpv6 } = encode('bind', place);
  const fd = open(libc, { place, isIpv6, bufferBytes: LISTENER_BUFFER_BYTES });
  if (isUnspecified(place.address)) {
    if (isIpv6) libc.setOption(fd, SOCKET_OPTIONS.ipv6Only, 0);
    libc.setOption(fd, isIpv6 ? SOCKET_OPTIONS.packetInfo6 : SOCKET_OPTIONS.packetInfo4, 1);
  }
  const status = libc.bind(fd, words, length);
  if (status >= 0) return fd;
  libc.close(fd);
  throw failure('bind', { place, errno: -status });
}

function connectTo(libc: LibcDatagrams, place: Place): number {
  const { words, length, isIpv6 } = encode('connect', place);
  const fd = open(libc, { place, isIpv6, bufferBytes: CLIENT_BUFFER_BYTES });
  const status = libc.connect(fd, words, length);
  if (status >= 0) return fd;
  libc.close(fd);
  throw failure('connect', { place, errno: -status });
}

function encode(syscall: string, place: Place) {
  const words = encodeAddress(place);
  if (words === undefined) throw failure(syscall, { place, errno: EADDRNOTAVAIL });
  const length = addressBytes(words);
  return { words, length, isIpv6: length === ADDRESS_WORDS * 4 };
}

function open(
  libc: LibcDatagrams,
  options: { readonly place: Place; readonly isIpv6: boolean; readonly bufferBytes: number },
): number {
  const { place, isIpv6, bufferBytes } = options;
  const fd = libc.socket(isIpv6 ? AF_INET6 : AF_INET);
  if (fd < 0) throw failure('socket', { place, errno: -fd });
  libc.setOption(fd, SOCKET_OPTIONS.receiveBuffer, bufferBytes);
  libc.setOption(fd, SOCKET_OPTIONS.sendBuffer, bufferBytes);
  return fd;
}

function isUnspecified(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'unspecified';
}

/** An error as Node would word it. */
function failure(
  syscall: string,
  { place: { address, port }, errno }: { readonly place: Place; readonly errno: number },
): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${syscall} ${code} ${address}:${port}`), {
    ...{ code, errno: -errno, syscall, address, port },
  });
}
