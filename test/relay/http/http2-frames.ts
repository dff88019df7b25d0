/** HTTP/2 by hand: frames as no library would send them, and what comes back. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const HEADER_BYTES = 9;

/** RFC 9113, 6. */
export const FRAME = {
  ...{ data: 0, headers: 1, priority: 2, reset: 3, settings: 4, push: 5 },
  ...{ ping: 6, goAway: 7, windowUpdate: 8, continuation: 9 },
} as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8 } as const;
/** RFC 9113, 7. */
const CODES = [
  ...['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT'],
  ...['STREAM_CLOSED', 'FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR'],
  ...['CONNECT_ERROR', 'ENHANCE_YOUR_CALM', 'INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED'],
];
/** The statuses that have an index of their own (RFC 7541, appendix A). */
const STATUSES: Readonly<Record<number, number>> = {
  ...{ 136: 200, 137: 204, 138: 206, 139: 304, 140: 400, 141: 404, 142: 500 },
};

export function frame(
  type: number,
  options: { flags?: number; stream?: number; payload?: Buffer } = {},
): Buffer {
  const { flags = 0, stream = 0, payload = Buffer.alloc(0) } = options;
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** One setting. */
export function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}

export type HeaderPairs = readonly (readonly [string, string])[];

/** Literals that no table remembers. */
export function pack(headers: HeaderPairs): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value, 'latin1');
    const { length } = bytes;
    if (length < 127) return Buffer.concat([Buffer.from([length]), bytes]);
    const rest: number[] = [];
    let left = length - 127;
    for (; left >= 128; left >>= 7) rest.push((left & 127) | 128);
    return Buffer.concat([Buffer.from([127, ...rest, left]), bytes]);
  };
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

/** A request's headers, with these in place of its own, or behind them. */
export function requestHeaders(
  changes: { readonly [name: string]: string | undefined } = {},
  more: HeaderPairs = [],
): HeaderPairs {
  const all: Record<string, string | undefined> = {
    ...{ ':method': 'GET', ':scheme': 'https', ':path': '/', ':authority': 'wiki.test' },
    ...changes,
  };
  const kept = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return [...kept, ...more];
}

export function headersFrame(
  headers: HeaderPairs,
  options: { stream?: number; flags?: number } = {},
): Buffer {
  const { stream = 1, flags = FLAG.endHeaders | FLAG.endStream } = options;
  return frame(FRAME.headers, { flags, stream, payload: pack(headers) });
}

/** A connection of HTTP/2 on which every byte is ours. */
export class RawSession {
  readonly socket: TLSSocket;
  /** What became of it so far: `settings`, `status 200 on 1`, `reset 3 PROTOCOL_ERROR`, `gone COMPRESSION_ERROR`, `closed` … */
  readonly seen: string[] = [];
  #bytes = Buffer.alloc(0);
  readonly #waiting = new Set<() => void>();

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket
      .on('data', (chunk: Buffer) => this.#take(chunk))
      .on('error', () => {})
      .once('close', () => this.#note('closed'));
  }

  /** @param options.preface sent in place of the proper begin. */
  static async open(port: number, { preface }: { readonly preface?: Buffer } = {}): Promise<RawSession> {
    const socket = connect({
      ...{
        port,
        host: '127.0.0.1',
        servername: 'wiki.test',
        rejectUnauthorized: false,
        ALPNProtocols: ['h2'],
      },
    });
    await once(socket, 'secureConnect');
    const session = new RawSession(socket);
    session.send(preface ?? Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings)]));
    return session;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  /** The first that matches. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.seen.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (this.seen.includes('closed')) throw new Error(`closed after ${this.seen.join(', ')}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      const [type, flags] = [this.#bytes.readUInt8(3), this.#bytes.readUInt8(4)];
      if (type === FRAME.ping && flags === 0)
        this.send(frame(type, { flags: FLAG.ack, payload: this.#bytes.subarray(HEADER_BYTES, end) }));
      this.#note(
        describe({
          type,
          flags,
          stream: this.#bytes.readUInt32BE(5),
          payload: this.#bytes.subarray(HEADER_BYTES, end),
        }),
      );
      this.#bytes = this.#bytes.subarray(end);
    }
  }

  #note(line: string): void {
    this.seen.push(line);
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

function describe(got: {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}): string {
  const { type, flags, stream, payload } = got;
  switch (type) {
    case FRAME.headers:
      return `status ${STATUSES[payload.readUInt8(0)] ?? 'other'} on ${stream}`;
    case FRAME.reset:
      return `reset ${stream} ${CODES[payload.readUInt32BE(0)]}`;
    case FRAME.goAway:
      return `gone ${CODES[payload.readUInt32BE(4)]}`;
    case FRAME.ping:
      return `ping${flags & FLAG.ack ? ' answered' : ''}`;
    case FRAME.settings:
      return flags & FLAG.ack ? 'settings taken' : 'settings';
    case FRAME.data:
      return `data ${payload.length}${flags & FLAG.endStream ? ' end' : ''} on ${stream}`;
    default:
      return `frame ${type}`;
  }
}
