import type { Socket } from 'node:net';

/** An HTTP server's way to harm whoever asks it, and what may be said of it. */
export interface HostileAnswer {
  readonly name: string;
  /** Answers a request whose first bytes have come. */
  readonly answer: (socket: Socket) => void;
  /** How the one who asks describes it; undefined = as an answer with `status`. */
  readonly told?: RegExp;
  /** The status that counts, whatever follows it. */
  readonly status?: number;
  /** Only the deadline ends it. */
  readonly hangs?: boolean;
}

const NO_ANSWER = /no answer within \d s/;
const BROKEN_OFF = /socket hang up|ECONNRESET|reset by|closed .* without an answer/;
/** What nobody reads stops; what is written without looking at that fills the memory of the test. */
const ROUND_BYTES = 65_536;

/** Writes the same bytes for as long as somebody takes them. */
function flood(socket: Socket, text: string): void {
  const round = text.repeat(Math.ceil(ROUND_BYTES / text.length));
  const write = () => {
    if (socket.destroyed) return;
    if (socket.write(round)) setImmediate(write);
    else socket.once('drain', write);
  };
  write();
}

/** Answers that hold who trusts them for ever, or nearly. */
export const HOSTILE_ANSWERS: readonly HostileAnswer[] = [
  {
    name: '101 with Upgrade',
    answer: (socket) =>
      void socket.write('HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    status: 101,
  },
  {
    name: '101 without Upgrade',
    answer: (socket) => void socket.write('HTTP/1.1 101 S\r\n\r\n'),
    status: 101,
  },
  ...[100, 102, 103].map((status) => ({
    name: `a flood of ${status}`,
    answer: (socket: Socket) => flood(socket, `HTTP/1.1 ${status} S\r\n\r\n`),
    told: /it answers 1xx only/,
  })),
  {
    name: 'a body without end',
    answer: (socket) => {
      socket.write('HTTP/1.1 500 S\r\n\r\n');
      flood(socket, 'x');
    },
    status: 500,
  },
  {
    name: 'chunks without end',
    answer: (socket) => {
      socket.write('HTTP/1.1 500 S\r\ntransfer-encoding: chunked\r\n\r\n');
      flood(socket, '1\r\nx\r\n');
    },
    status: 500,
  },
  {
    name: 'a body that never comes',
    answer: (socket) => void socket.write('HTTP/1.1 500 S\r\ncontent-length: 10\r\n\r\n'),
    status: 500,
  },
  {
    name: 'headers without end',
    answer: (socket) => {
      socket.write('HTTP/1.1 500 S\r\n');
      flood(socket, 'x: y\r\n');
    },
    told: /Header overflow/,
  },
  {
    name: 'a header without end',
    answer: (socket) => {
      socket.write('HTTP/1.1 500 S\r\nx: ');
      flood(socket, 'y');
    },
    told: /Header overflow/,
  },
  { name: 'no answer', answer: () => {}, told: NO_ANSWER, hangs: true },
  {
    name: 'half a status line',
    answer: (socket) => void socket.write('HTTP/1.1 2'),
    told: NO_ANSWER,
    hangs: true,
  },
  {
    name: 'half of the headers',
    answer: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-'),
    told: NO_ANSWER,
    hangs: true,
  },
  {
    name: 'one 100 and no more',
    answer: (socket) => void socket.write('HTTP/1.1 100 Continue\r\n\r\n'),
    told: NO_ANSWER,
    hangs: true,
  },
  { name: 'an end without an answer', answer: (socket) => void socket.end(), told: BROKEN_OFF },
  { name: 'a reset', answer: (socket) => void socket.resetAndDestroy(), told: BROKEN_OFF },
  {
    name: 'an end after half an answer',
    answer: (socket) => void socket.end('HTTP/1.1 200 OK\r\nx'),
    told: BROKEN_OFF,
  },
  {
    name: 'an end after 100',
    answer: (socket) => void socket.end('HTTP/1.1 100 Continue\r\n\r\n'),
    told: BROKEN_OFF,
  },
  { name: 'no HTTP', answer: (socket) => void socket.end('hello\r\n'), told: /Parse Error/ },
];
