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
import { EADDRNOTAVAIL, EAFNOSUPPORT } from './errno.ts';
import { type LibcDatagrams, SOCKET_OPTIONS } from './libc-datagrams.ts';
import type { LoopPoll, LoopWatch } from './loop-poll.ts';

/** Room for bursts; the kernel's own limits apply. */
const BUFFER_BYTES = 4_194_304;

interface Place {
  /** Empty for all of them: IPv6 and IPv4 on one socket, or IPv4 alone where the machine has no IPv6. */
  readonly address: string;
  readonly port: number;
}

/**
 * A bound UDP socket that Node knows nothing of: reading it is left to whoever watches it, since node:dgram reads by
 * itself, and doesn't tell the address that a datagram was sent to. On a socket for all addresses the kernel tells it.
 */
export class NativeUdpSocket {
  readonly fd: number;
  readonly #libc: LibcDatagrams;
  readonly #poll: LoopPoll;
  #watch: LoopWatch | undefined;
  #closed = false;

  /** @throws the bind error, with its `code`. */
  constructor(place: Place, { libc, poll }: { readonly libc: LibcDatagrams; readonly poll: LoopPoll }) {
    this.#libc = libc;
    this.#poll = poll;
    this.fd = openAt(libc, place);
  }

  /** The port that it is bound to. */
  get port(): number {
    const words = new Uint32Array(ADDRESS_WORDS);
    this.#libc.name(this.fd, words);
    return decodeAddress(words).port;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Calls back whenever there is something to read, or room to send where that is asked for; once a socket. */
  watch(onReady: () => void): LoopWatch {
    this.#watch = this.#poll.watch(this.fd, onReady);
    return this.#watch;
  }

  /** Gives the port back. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.close();
    this.#libc.close(this.fd);
  }
}

function openAt(libc: LibcDatagrams, { address, port }: Place): number {
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
  const words = encodeAddress(place);
  if (words === undefined) throw failure('bind', { place, errno: EADDRNOTAVAIL });
  const length = addressBytes(words);
  const isV6 = length === ADDRESS_WORDS * 4;
  const fd = libc.socket(isV6 ? AF_INET6 : AF_INET);
  if (fd < 0) throw failure('socket', { place, errno: -fd });
  libc.setOption(fd, SOCKET_OPTIONS.receiveBuffer, BUFFER_BYTES);
  libc.setOption(fd, SOCKET_OPTIONS.sendBuffer, BUFFER_BYTES);
  if (isUnspecified(place.address)) {
    if (isV6) libc.setOption(fd, SOCKET_OPTIONS.ipv6Only, 0);
    libc.setOption(fd, isV6 ? SOCKET_OPTIONS.packetInfo6 : SOCKET_OPTIONS.packetInfo4, 1);
  }
  const status = libc.bind(fd, words, length);
  if (status >= 0) return fd;
  libc.close(fd);
  throw failure('bind', { place, errno: -status });
}

function isUnspecified(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'unspecified';
}

/** As Node words it. */
function failure(
  syscall: string,
  { place: { address, port }, errno }: { readonly place: Place; readonly errno: number },
): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${syscall} ${code} ${address}:${port}`), {
    ...{ code, errno: -errno, syscall, address, port },
  });
}
