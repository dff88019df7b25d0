import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { WebBed } from './web-bed.ts';

const MAX_PAYLOAD = 1_048_576;
const [TEXT, BINARY, CLOSE, PING, PONG] = [0x1, 0x2, 0x8, 0x9, 0xa] as const;
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

interface FrameOptions {
  readonly fin?: boolean;
  /** The reserved bits, as they stand in the first byte. */
  readonly reserved?: number;
  readonly isMasked?: boolean;
}

/** A frame as a client sends it (RFC 6455, 5.2). */
function frame(opcode: number, data: string | Buffer = '', options: FrameOptions = {}): Buffer {
  const { fin = true, reserved = 0, isMasked = true } = options;
  const payload = Buffer.from(data);
  const bit = isMasked ? 0x80 : 0;
  const first = (fin ? 0x80 : 0) | reserved | opcode;
  let head: Buffer;
  if (payload.length < 126) head = Buffer.from([first, bit | payload.length]);
  else if (payload.length < 65_536) {
    head = Buffer.from([first, bit | 126, 0, 0]);
    head.writeUInt16BE(payload.length, 2);
  } else {
    head = Buffer.alloc(10);
    head.set([first, bit | 127]);
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  if (!isMasked) return Buffer.concat([head, payload]);
  return Buffer.concat([head, MASK, payload.map((byte, index) => byte ^ (MASK[index % 4] ?? 0))]);
}

function closing(code: number, reason: string | Buffer = ''): Buffer {
  const payload = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)]);
  payload.writeUInt16BE(code, 0);
  return frame(CLOSE, payload);
}

/** A text in frames of so many bytes, with what may stand between them. */
function fragments(data: string | Buffer, size: number, between: readonly Buffer[] = []): readonly Buffer[] {
  const bytes = Buffer.from(data);
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const isLast = at + size >= bytes.length;
    parts.push(frame(at === 0 ? TEXT : 0, bytes.subarray(at, at + size), { fin: isLast }));
    if (!isLast) parts.push(...between);
  }
  return parts;
}

/** What is sent, in writes of so many bytes. */
function chops(frames: readonly Buffer[], size: number): readonly Buffer[] {
  const all = Buffer.concat(frames);
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.subarray(index * size, (index + 1) * size),
  );
}

const NORMAL = closing(1_000);
const MANY = '0123456789abcdef'.repeat(16_384);
/** Of Autobahn's families 6.6 to 6.21: ends of each length, cut ones, overlong ones, surrogates, what is beyond Unicode. */
const VALID_UTF8 = [
  ...['00', '7f', 'c280', 'dfbf', 'e0a080', 'ed9fbf', 'ee8080', 'efbfbd', 'efbfbe', 'efbfbf'],
  ...['f0908080', 'f09fbfbf', 'f48fbfbf', 'f48fbfbe', 'cebae1bdb9cf83cebcceb5f0908080'],
];
const INVALID_UTF8 = [
  ...['80', 'bf', '80bf80bf80', 'c0', 'c120', 'dfe0', 'e0af20', 'efbf', 'f08f', 'f0808080', 'f888808080'],
  ...['fc8480808080', 'fe', 'ff', 'c0af', 'e080af', 'f08080af', 'c1bf', 'e09fbf', 'f08fbfbf', 'eda0bf'],
  ...['edad80', 'edbfbf', 'eda080edb080', 'edafbfedbfbf', 'f4908080', 'f7bfbfbf', 'cebae1bdb9cf83f4908080'],
];
const EURO = Buffer.from('€');

/** What a client sends, the end of it included, in the order of the suite of Autobahn. */
const CASES: readonly (readonly [string, readonly Buffer[]])[] = [
  ...[0, 1, 125, 126, 127, 128, 65_535, 65_536, 300_000].flatMap((bytes) =>
    [TEXT, BINARY].map(
      (opcode) =>
        [`a message of ${bytes} bytes, ${opcode}`, [frame(opcode, '*'.repeat(bytes)), NORMAL]] as const,
    ),
  ),
  ['a message over the limit', [frame(BINARY, Buffer.alloc(MAX_PAYLOAD + 1))]],
  [
    'a message in single bytes',
    [...[...frame(TEXT, 'in single bytes')].map((byte) => Buffer.from([byte])), NORMAL],
  ],
  ['a ping', [frame(PING), NORMAL]],
  ['a ping of 125 bytes', [frame(PING, Buffer.alloc(125, 0xfe)), NORMAL]],
  ['a ping of 126 bytes', [frame(PING, Buffer.alloc(126))]],
  ['a pong that nobody asked for', [frame(PONG, 'x'), frame(PING, 'y'), NORMAL]],
  ['ten pings at once', [...Array.from({ length: 10 }, (_, index) => frame(PING, `${index}`)), NORMAL]],
  ...[0x10, 0x20, 0x40, 0x70].map(
    (reserved) => [`reserved bits ${reserved}`, [frame(TEXT, 'a'), frame(TEXT, 'b', { reserved })]] as const,
  ),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
    (opcode) => [`opcode ${opcode}`, [frame(TEXT, 'a'), frame(opcode, 'b')]] as const,
  ),
  ['a frame without a mask', [frame(TEXT, 'a', { isMasked: false })]],
  ['fragments', [frame(TEXT, 'frag', { fin: false }), frame(0, 'ment'), NORMAL]],
  [
    'fragments with a ping between them',
    [
      frame(TEXT, 'frag', { fin: false }),
      frame(PING, 'p'),
      frame(0, 'men', { fin: false }),
      frame(0, 't'),
      NORMAL,
    ],
  ],
  ['a fragmented ping', [frame(PING, 'frag', { fin: false }), frame(0, 'ment')]],
  ['a fragmented pong', [frame(PONG, 'frag', { fin: false }), frame(0, 'ment')]],
  ['a continuation of nothing', [frame(0, 'x')]],
  ['a continuation of nothing that goes on', [frame(0, 'x', { fin: false }), frame(TEXT, 'a')]],
  [
    'a continuation behind a message',
    [...fragments('whole', 2), frame(0, 'x', { fin: false }), frame(0, 'y'), NORMAL],
  ],
  ['empty fragments', [frame(TEXT, '', { fin: false }), frame(0, '', { fin: false }), frame(0), NORMAL]],
  [
    'an empty fragment between others',
    [frame(TEXT, 'a', { fin: false }), frame(0, '', { fin: false }), frame(0, 'b'), NORMAL],
  ],
  [
    'fragments of one byte with pings between them',
    [...fragments('fragments', 1, [frame(PING, 'p')]), NORMAL],
  ],
  ['a close within a message', [frame(TEXT, 'a', { fin: false }), NORMAL, frame(0, 'b')]],
  ...[64, 4_096, 65_536].map(
    (size) => [`256 KiB in fragments of ${size} bytes`, [...fragments(MANY, size), NORMAL]] as const,
  ),
  ...[97, 997, 65_521].map(
    (size) =>
      [
        `64 KiB in writes of ${size} bytes`,
        chops([frame(TEXT, MANY.slice(0, 65_536)), NORMAL], size),
      ] as const,
  ),
  [
    '200 messages in writes of 7 bytes',
    chops([...Array.from({ length: 200 }, (_, index) => frame(TEXT, `${index}`)), NORMAL], 7),
  ],
  ['a message within a message', [frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b')]],
  ['UTF-8', [frame(TEXT, 'κόσμε 😀'), NORMAL]],
  [
    'UTF-8 cut in a character',
    [frame(TEXT, EURO.subarray(0, 1), { fin: false }), frame(0, EURO.subarray(1)), NORMAL],
  ],
  ...VALID_UTF8.map(
    (hex) => [`UTF-8 in single bytes: ${hex}`, [...fragments(Buffer.from(hex, 'hex'), 1), NORMAL]] as const,
  ),
  ...INVALID_UTF8.map(
    (hex) => [`no UTF-8 in single bytes: ${hex}`, fragments(Buffer.from(hex, 'hex'), 1)] as const,
  ),
  ['no UTF-8 in the middle', [...fragments(Buffer.from('cebae1bdb9cf83f4908080656469746564', 'hex'), 11)]],
  ...['c080', 'eda080', 'f4908080', 'ceba80', 'fffe'].map(
    (hex) => [`what is no UTF-8: ${hex}`, [frame(TEXT, Buffer.from(hex, 'hex'))]] as const,
  ),
  ['a close without a code', [frame(CLOSE)]],
  ['a close of one byte', [frame(CLOSE, 'x')]],
  ['a close with the longest reason', [closing(1_000, '*'.repeat(123))]],
  ['a close with a reason too long', [closing(1_000, '*'.repeat(124))]],
  ['a close with a reason that is no UTF-8', [closing(1_000, Buffer.from('ceba80', 'hex'))]],
  ['frames behind a close', [closing(1_000), frame(TEXT, 'late'), frame(PING, 'late')]],
  ...[1_000, 1_001, 1_002, 1_003, 1_007, 1_011, 3_000, 3_999, 4_000, 4_999].map(
    (code) => [`close ${code}`, [closing(code, 'bye')]] as const,
  ),
  ...[0, 999, 1_004, 1_005, 1_006, 1_016, 2_999, 5_000, 65_535].map(
    (code) => [`close ${code}, which is none`, [closing(code)]] as const,
  ),
  ['500 messages at once', [...Array.from({ length: 500 }, (_, index) => frame(TEXT, `${index}`)), NORMAL]],
  ['an end in the middle of a frame', [frame(TEXT, 'whole'), frame(TEXT, 'broken').subarray(0, 5)]],
];

/** The first bytes of an answer of the server in the cases of which everybody knows what they have to be. */
const EXPECTED: Readonly<Record<string, string>> = {
  'a message of 1 bytes, 1': '81012a',
  'a ping': '8a0088',
  'reserved bits 16': '810161880203ea',
  'opcode 3': '810161880203ea',
  fragments: '8108667261676d656e74',
  'what is no UTF-8: c080': '880203ef',
  'a message over the limit': '880203f1',
  'close 1005, which is none': '880203ea',
  'close 4000': '88050fa0627965',
};

/** Gives each message back. */
function serve(server: Server, options: { readonly maxPayload?: number }): WebSocketServer {
  const sockets = new WebSocketServer({ server, ...options, perMessageDeflate: { threshold: 0 } });
  sockets.on('connection', (socket: WebSocket) => {
    socket.on('message', (data: Buffer, isBinary: boolean) => socket.send(data, { binary: isBinary }));
    socket.on('error', () => {});
  });
  return sockets;
}

describe('a WebSocket', () => {
  let bed: WebBed;
  let sockets: WebSocketServer;
  let large: WebSocketServer;
  let direct = 0;

  beforeAll(async () => {
    bed = await WebBed.open([
      { host: 'wiki', app: () => {} },
      { host: 'big', app: () => {} },
    ]);
    large = serve(bed.service('big').server as Server, {});
    const server = bed.service('wiki').server as Server;
    direct = (server.address() as AddressInfo).port;
    sockets = serve(server, { maxPayload: MAX_PAYLOAD });
  });
  afterAll(() => {
    sockets.close();
    large.close();
    bed.close();
  });

  /** Everything that the server has said behind its head until it ended, in hexadecimal digits. */
  async function converse(port: number, frames: readonly Buffer[]): Promise<string> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }).on('error', () => {});
    socket.write(
      'GET /chat HTTP/1.1\r\nHost: wiki.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => {
      if (chunks.length === 0) sendAll();
      chunks.push(chunk);
    });
    const sendAll = () => {
      for (const part of frames) socket.write(part);
      // What is left in the middle of a frame ends only when its client does.
      if (frames.at(-1)?.length === 5) socket.end();
    };
    await once(socket, 'close');
    const all = Buffer.concat(chunks);
    const end = all.indexOf('\r\n\r\n');
    expect(all.subarray(0, end).toString()).toMatch(
      /^HTTP\/1\.1 101 [\s\S]*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i,
    );
    return all.subarray(end + 4).toString('hex');
  }

  test.each(CASES)('is answered through the proxy as directly: %s', async (name, frames) => {
    const [through, without] = [await converse(bed.port, frames), await converse(direct, frames)];
    expect(through).toBe(without);
    expect(through.startsWith(EXPECTED[name] ?? '')).toBe(true);
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
  });

  test('keeps its extensions, and compressed messages come back whole', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${bed.port}/`, {
      ...{ headers: { host: 'wiki.test' }, perMessageDeflate: { threshold: 0 } },
    });
    await once(socket, 'open');
    expect(socket.extensions).toBe('permessage-deflate');
    const message = 'again and again '.repeat(40_000);
    for (let count = 0; count < 5; count++) {
      socket.send(message);
      const [data] = await once(socket, 'message');
      expect(String(data) === message).toBe(true);
    }
    socket.close(4_001, 'done');
    const [code, reason] = await once(socket, 'close');
    expect([code, String(reason)]).toEqual([4_001, 'done']);
  });

  test.each<readonly [string, object | undefined]>([
    ['as it is', undefined],
    ['compressed', {}],
    ['compressed, each by itself', { clientNoContextTakeover: true, serverNoContextTakeover: true }],
    ['compressed in a small window', { clientMaxWindowBits: 9, serverMaxWindowBits: 9 }],
  ])('comes back whole, whatever its size: %s', async (_, options) => {
    const socket = new WebSocket(`ws://127.0.0.1:${bed.port}/`, {
      headers: { host: 'big.test' },
      perMessageDeflate: options !== undefined && { threshold: 0, ...options },
    });
    await once(socket, 'open');
    // Neither all alike nor without any repetition, so that there is something to compress, and something left.
    const data = Buffer.alloc(4_194_304);
    for (let at = 0; at < data.length; at += 61) data.writeUInt8((at * at) & 0xff, at);
    for (const bytes of [0, 16, 64, 256, 1_024, 4_096, 8_192, 32_768, 131_072, 1_048_576, data.length]) {
      const sent = data.subarray(0, bytes);
      socket.send(sent, { binary: true });
      const [back] = await once(socket, 'message');
      expect(sent.equals(back), String(bytes)).toBe(true);
    }
    socket.close();
    await once(socket, 'close');
    await expect.poll(() => bed.service('big').leases).toBe(0);
  });
});
