import type { Libc } from './libc.ts';

/** What the kernel knows of one TCP connection. */
export interface TcpInfo {
  /** Whether bytes, or the end, were given to the kernel that the other end has not acknowledged. */
  readonly isUnderWay: boolean;
  /** Whether something was sent again, or a full window asked about, and nothing was heard since. */
  readonly isUnanswered: boolean;
  /** Since the other end was last heard of. */
  readonly silenceMs: number;
}

/** Room for the part of `struct tcp_info` that is read; the kernel fills no more than there is. */
const BYTES = 148;
/** tcpi_retransmits and tcpi_probes count what the other end has not answered, and begin anew when it does. */
const RETRANSMITS = 2;
const PROBES = 3;
/** Segments, FIN included, and bytes that a full window holds back; the latter from Linux 4.6 on. */
const UNACKNOWLEDGED = 24;
const NOT_SENT = 144;
const LAST_DATA_RECEIVED = 52;
const LAST_ACKNOWLEDGED = 56;

/** Makes a function that asks for it; undefined where the descriptor is none of a TCP socket. */
export function createTcpInfoReader(libc: Pick<Libc, 'readTcpInfo'>): (fd: number) => TcpInfo | undefined {
  const bytes = new Uint8Array(BYTES);
  const words = new Uint32Array(bytes.buffer);
  const word = (offset: number) => words[offset / 4] ?? 0;
  return (fd) => {
    bytes.fill(0);
    if (libc.readTcpInfo(fd, bytes) < 0) return undefined;
    return {
      isUnderWay: word(UNACKNOWLEDGED) > 0 || word(NOT_SENT) > 0,
      isUnanswered: (bytes[RETRANSMITS] ?? 0) > 0 || (bytes[PROBES] ?? 0) > 0,
      silenceMs: Math.min(word(LAST_DATA_RECEIVED), word(LAST_ACKNOWLEDGED)),
    };
  };
}
