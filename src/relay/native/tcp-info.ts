import type { Libc } from './libc.ts';

/** What the kernel knows of one TCP connection. */
export interface TcpInfo {
  /** Whether the other end has sent its end, and this one hasn't. */
  readonly hasPeerEnded: boolean;
  /** Whether the other end still has to acknowledge bytes, or the end, that the kernel was given. */
  readonly isUnderWay: boolean;
  /** Whether the kernel has sent something again, or probed a full window, and heard nothing since. */
  readonly isUnanswered: boolean;
  /** Since bytes were last sent or received, in ms. */
  readonly quietMs: number;
  /** Since the other end was last heard from, in ms. */
  readonly silenceMs: number;
}

/** How much of `struct tcp_info` is read; the kernel writes no more than that. */
const BYTES = 148;
/** tcpi_state, and the value that stands for CLOSE_WAIT. */
const STATE = 0;
const CLOSE_WAIT = 8;
/** tcpi_retransmits and tcpi_probes count what the other end has not answered; an answer sets them back to 0. */
const RETRANSMITS = 2;
const PROBES = 3;
/** tcpi_unacked: segments, FIN included. tcpi_notsent_bytes: bytes that a full window holds back, from Linux 4.6 on. */
const UNACKNOWLEDGED = 24;
const NOT_SENT = 144;
const LAST_DATA_SENT = 44;
const LAST_DATA_RECEIVED = 52;
const LAST_ACKNOWLEDGED = 56;

/** Makes a function that reads it; undefined where the descriptor is not a TCP socket. */
export function createTcpInfoReader(libc: Pick<Libc, 'readTcpInfo'>): (fd: number) => TcpInfo | undefined {
  const bytes = new Uint8Array(BYTES);
  const words = new Uint32Array(bytes.buffer);
  const word = (offset: number) => words[offset / 4] ?? 0;
  return (fd) => {
    bytes.fill(0);
    if (libc.readTcpInfo(fd, bytes) < 0) return undefined;
    return {
      hasPeerEnded: bytes[STATE] === CLOSE_WAIT,
      isUnderWay: word(UNACKNOWLEDGED) > 0 || word(NOT_SENT) > 0,
      isUnanswered: (bytes[RETRANSMITS] ?? 0) > 0 || (bytes[PROBES] ?? 0) > 0,
      quietMs: Math.min(word(LAST_DATA_SENT), word(LAST_DATA_RECEIVED)),
      silenceMs: Math.min(word(LAST_DATA_RECEIVED), word(LAST_ACKNOWLEDGED)),
    };
  };
}
