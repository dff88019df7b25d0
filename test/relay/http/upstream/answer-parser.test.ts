/** What is read of an answer: cut anywhere, and beside Node's own parser, which is the measure. */
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AnswerParser } from '../../../../src/relay/http/upstream/answer-parser.ts';

interface Reading {
  readonly informations: readonly number[];
  readonly status: number | undefined;
  readonly message: string;
  readonly headers: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
  readonly isWhole: boolean;
  readonly isMalformed: boolean;
  readonly keepsOpen: boolean;
  /** How many bytes belong to it. */
  readonly taken: number;
}

/** Reads pieces, as they come from a connection that ends behind them. */
function read(pieces: readonly Buffer[], { isHead = false } = {}): Reading {
  const parser = new AnswerParser();
  const informations: number[] = [];
  const found = { status: undefined as number | undefined, message: '', headers: [] as readonly string[] };
  let [body, trailers, isWhole, isMalformed] = ['', [] as readonly string[], false, false];
  parser.begin(
    {
      onInformation: ({ status }) => informations.push(status),
      onHead: (head) => Object.assign(found, head),
      onBody: (chunk) => (body += chunk.toString('latin1')),
      onEnd: (all) => ([trailers, isWhole] = [all, true]),
    },
    { isHead },
  );
  let taken = 0;
  try {
    for (const piece of pieces) taken += parser.read(piece);
    if (!parser.isDone) parser.finish();
  } catch {
    isMalformed = true;
  }
  const { keepsOpen } = parser;
  return { informations, ...found, body, trailers, isWhole, isMalformed, keepsOpen, taken };
}

const bytes = (text: string) => Buffer.from(text, 'latin1');

type Callback = (...args: readonly never[]) => unknown;
interface NodeParser extends Record<number, Callback> {
  initialize(type: number, resource: object, maxHeaderSize: number, lenient: number): void;
  execute(data: Buffer): number | Error;
  finish(): Error | undefined;
}

const { HTTPParser } = createRequire(import.meta.url)('_http_common') as {
  readonly HTTPParser: Readonly<Record<string, number>> & (new () => NodeParser);
};

/** The same with Node's parser, of one answer. */
function readByNode(text: string, { isHead = false } = {}): Omit<Reading, 'taken' | 'informations'> {
  const parser = new HTTPParser();
  const {
    RESPONSE = 0,
    kOnHeaders = 0,
    kOnHeadersComplete = 0,
    kOnBody = 0,
    kOnMessageComplete = 0,
  } = HTTPParser;
  parser.initialize(RESPONSE, {}, 65_536, 0);
  let late: string[] = [];
  let [status, message, headers] = [undefined as number | undefined, '', [] as string[]];
  let [body, trailers, isWhole, keepsOpen] = ['', [] as string[], false, false];
  parser[kOnHeaders] = (fields: string[]) => (late = [...late, ...fields]);
  parser[kOnHeadersComplete] = (
    ...[, , fields, , , code, reason, , keeps]: [0, 0, string[] | undefined, 0, 0, number, string, 0, boolean]
  ) => {
    if (code >= 200 && !isWhole)
      [status, message, headers, keepsOpen] = [code, reason, fields ?? late, keeps];
    late = [];
    return isHead && code >= 200 ? 1 : 0;
  };
  parser[kOnBody] = (chunk: Buffer) => {
    if (!isWhole) body += chunk.toString('latin1');
  };
  parser[kOnMessageComplete] = () => {
    if (status !== undefined && !isWhole) [trailers, isWhole] = [late, true];
    late = [];
  };
  const result = parser.execute(bytes(text));
  const isBroken = result instanceof Error || parser.finish() instanceof Error;
  return { status, message, headers, body, trailers, isWhole, isMalformed: isBroken && !isWhole, keepsOpen };
}

const token = fc
  .stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,8}$/)
  .filter(
    (name) =>
      !/^(connection|content-length|transfer-encoding|upgrade|keep-alive|proxy-connection|trailer)$/i.test(
        name,
      ),
  );
const value = fc.stringMatching(/^([\x21-\x7e\xe4]([\t\x20-\x7e\xe4]{0,8}[\x21-\x7e\xe4])?)?$/);
const fields = fc.array(fc.tuple(token, value), { maxLength: 4 });
const lines = (all: readonly (readonly [string, string])[]) =>
  all.map(([name, text]) => `${name}: ${text}\r\n`).join('');
const payload = fc.uint8Array({ maxLength: 40 }).map((all) => Buffer.from(all).toString('latin1'));

/** A proper answer, with what it has to be read as. */
const answer = fc
  .record({
    version: fc.constantFrom('1.1', '1.0'),
    status: fc.constantFrom(200, 201, 404, 503, 999),
    reason: value,
    headers: fields,
    body: fc.array(payload, { maxLength: 3 }),
    framing: fc.constantFrom('length', 'chunked', 'open'),
    extension: fc.constantFrom('', ';a', ';a=b', ';a="b c"'),
    trailers: fields,
    connection: fc.constantFrom('', 'Connection: close\r\n', 'Connection: keep-alive\r\n'),
  })
  .map(({ version, status, reason, headers, body, framing, extension, trailers, connection }) => {
    const whole = body.join('');
    const chunks = body
      .filter((chunk) => chunk !== '')
      .map((chunk) => `${chunk.length.toString(16)}${extension}\r\n${chunk}\r\n`);
    const framed = {
      length: [`Content-Length: ${whole.length}\r\n`, whole],
      chunked: [
        'Transfer-Encoding: chunked\r\n',
        `${chunks.join('')}0${extension}\r\n${lines(trailers)}\r\n`,
      ],
      open: ['', whole],
    }[framing] as [string, string];
    const text = `HTTP/${version} ${status} ${reason}\r\n${lines(headers)}${connection}${framed[0]}\r\n${framed[1]}`;
    return { text, body: whole, status };
  });

/** Cuts a text at these places. */
function cut(text: string, places: readonly number[]): Buffer[] {
  const at = [...new Set([0, ...places.map((place) => place % (text.length + 1)), text.length])].toSorted(
    (a, b) => a - b,
  );
  return at.slice(1).map((end, index) => bytes(text.slice(at[index], end)));
}

/** What an attacker, or a broken server, would change. */
const SPLINTERS = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '-1',
  '\x7f',
  '\xff',
  ' chunked',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Connection: close\r\n',
  'HTTP/1.1 200 OK\r\n',
];

describe('an answer', () => {
  test('is read in the same way wherever it is cut', () => {
    fc.assert(
      fc.property(answer, fc.array(fc.nat(400), { maxLength: 6 }), ({ text, body, status }, places) => {
        const inPieces = read(cut(text, places));
        expect(inPieces).toEqual(read([bytes(text)]));
        expect(inPieces).toMatchObject({ status, body, isWhole: true, isMalformed: false });
        expect(read([...bytes(text)].map((byte) => Buffer.from([byte])))).toEqual(inPieces);
      }),
    );
  });

  test('is what Node reads of it, and what Node refuses is refused', () => {
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(
        answer,
        fc.array(fc.tuple(fc.nat(400), fc.constantFrom(...SPLINTERS), fc.nat(3)), { maxLength: 2 }),
        ({ text }, changes) => {
          const changed = changes.reduce((before, [at, splinter, removed]) => {
            const place = at % (before.length + 1);
            return before.slice(0, place) + splinter + before.slice(place + removed);
          }, text);
          const ours = read([bytes(changed)]);
          if (ours.isMalformed) return void seen.refused++;
          seen.accepted++;
          const { taken, informations, ...reading } = ours;
          const node = readByNode(changed.slice(0, taken));
          // Node judges no version, nor what the connection says beside chunks of HTTP/1.0; and a tab is no blank for it (RFC 9110, 5.6.3).
          const isTabbed = /^connection:[^\r]*\t/im.test(changed);
          expect({ ...reading, keepsOpen: reading.keepsOpen && (node.keepsOpen || isTabbed) }).toEqual({
            ...node,
            keepsOpen: reading.keepsOpen,
          });
        },
      ),
      { numRuns: 2_000 },
    );
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(200);
  });

  const OK = 'HTTP/1.1 200 OK\r\n';
  test.each([
    ['a folded header', `${OK}X: a\r\n b\r\n\r\n`],
    ['a folded length', `${OK}Content-Length:\r\n 2\r\n\r\nok`],
    ['lone line feeds', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
    ['a lone line feed in a header', `${OK}X: a\nContent-Length: 2\r\n\r\nok`],
    ['a line that ends with a lone carriage return', `${OK}X: a\rContent-Length: 2\r\n\r\nok`],
    ['the same length twice', `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`],
    ['the same length twice in one header', `${OK}Content-Length: 2, 2\r\n\r\nok`],
    ['a length with a sign', `${OK}Content-Length: +2\r\n\r\nok`],
    ['an empty length', `${OK}Content-Length:\r\n\r\nok`],
    ['a length beyond all numbers', `${OK}Content-Length: ${'9'.repeat(16)}\r\n\r\nok`],
    ['a coding before the chunks', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['a coding behind the chunks', `${OK}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
    ['the coding identity', `${OK}Transfer-Encoding: identity\r\n\r\nok`],
    ['chunks twice', `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a tab behind a length', `${OK}Content-Length: 0\t\r\n\r\n`],
    ['a tab behind a coding', `${OK}Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n`],
    ['a coding behind a vertical tab', `${OK}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`],
    ['a blank behind a chunk size', `${OK}Transfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n`],
    ['a chunk size with a prefix', `${OK}Transfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n`],
    ['a chunk size beyond all numbers', `${OK}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(14)}\r\nok`],
    ['a chunk that ends with a lone line feed', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\n0\r\n\r\n`],
    ['a trailer that is folded', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n`],
    ['a trailer with a blank before its colon', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nX : a\r\n\r\n`],
    ['a trailer that is a length', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n`],
    [
      'a trailer that is a coding',
      `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: x\r\n\r\n`,
    ],
    ['no end of its trailers', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n`],
    ['a chunk extension without an end', `${OK}Transfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}`],
    [
      'trailers that are too big',
      `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${'X: x\r\n'.repeat(20_000)}\r\n`,
    ],
    ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['two blanks in its status line', 'HTTP/1.1  200 OK\r\n\r\n'],
    ['a status line in small letters', 'http/1.1 200 OK\r\n\r\n'],
    ['an empty line before it', `\r\n${OK}Content-Length: 2\r\n\r\nok`],
    ['nothing but an answer before the answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['a control character in its reason', 'HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n'],
    ['a DEL in a header', `${OK}X: a\x7fb\r\nContent-Length: 0\r\n\r\n`],
  ])('is refused with %s, in one piece and byte by byte', (_, text) => {
    for (const pieces of [[bytes(text)], [...bytes(text)].map((byte) => Buffer.from([byte]))])
      expect(read(pieces)).toMatchObject({ isMalformed: true, isWhole: false });
  });

  test.each([
    ['no HTTP', 'hello'],
    ['a lone line feed', 'HTTP/1.1 200 OK\nX'],
    ['the begin of TLS', '\x15\x03\x01'],
  ])('that can only become %s is not waited for', (_, text) => {
    const parser = new AnswerParser();
    parser.begin({ onInformation() {}, onHead() {}, onBody() {}, onEnd() {} }, { isHead: false });
    expect(() => parser.read(bytes(text))).toThrow();
  });

  test.each([
    ['a length', `${OK}Content-Length: 2\r\n\r\nok`, {}, 'ok', true],
    ['no length', `${OK}\r\nok${OK}`, {}, `ok${OK}`, false],
    ['chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`, {}, 'ok', true],
    [
      'chunks in HTTP/1.0',
      'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      {},
      'ok',
      false,
    ],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', {}, 'ok', false],
    [
      'HTTP/1.0 that stays',
      'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok',
      {},
      'ok',
      true,
    ],
    [
      'the end of its connection',
      `${OK}Connection: x, Close\r\nContent-Length: 2\r\n\r\nok`,
      {},
      'ok',
      false,
    ],
    ['a length to HEAD', `${OK}Content-Length: 2\r\n\r\n`, { isHead: true }, '', true],
    ['chunks to HEAD', `${OK}Transfer-Encoding: chunked\r\n\r\n`, { isHead: true }, '', true],
    ['no body by its status', 'HTTP/1.1 204 None\r\nContent-Length: 2\r\n\r\n', {}, '', true],
    ['what has not changed', 'HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n', {}, '', true],
    [
      'answers before it',
      `HTTP/1.1 100 Go\r\nContent-Length: 5\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`,
      {},
      'ok',
      true,
    ],
  ])('with %s ends where it ends', (_, text, options, body, keepsOpen) => {
    const surplus = keepsOpen ? `${OK}Content-Length: 6\r\n\r\nforged` : '';
    expect(read([bytes(text + surplus)], options)).toMatchObject({
      ...{ body, keepsOpen, isWhole: true, taken: text.length },
    });
  });

  test('that changes the protocol ends with its head', () => {
    const text = 'HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n';
    expect(read([bytes(`${text}HTTP/1.1 200 OK\r\n\r\n`)])).toMatchObject({
      informations: [101],
      taken: text.length,
    });
  });
});
