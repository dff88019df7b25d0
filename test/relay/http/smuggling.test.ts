/**
 * Requests that two servers could read in two ways. Each is either refused, or reaches the upstream as exactly one request that
 * says what the proxy has read.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readAll, WebBed } from './web-bed.ts';

/** After each attack: were it read as a request of its own, somebody would have smuggled it. */
const SECRET = 'GET /smuggled HTTP/1.1\r\nHost: wiki.test\r\n\r\n';
const CHUNKED_SECRET = `0\r\n\r\n${SECRET}`;
const HOST = 'Host: wiki.test\r\n';

const post = (headers: string, body = '') => `POST /attack HTTP/1.1\r\n${HOST}${headers}\r\n${body}`;
const get = (headers: string) => `GET /attack HTTP/1.1\r\n${headers}\r\n`;
const line = (requestLine: string) => `${requestLine}\r\n${HOST}\r\n`;

/** Whatever is left over is met by a request whose answer ends the connection. */
const LAST = `GET /last HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;

/** By name, what a client sends. */
const REFUSED: Readonly<Record<string, string>> = {
  // Two lengths, or none that is one.
  'two lengths': post(`Content-Length: 5\r\nContent-Length: 0\r\n`, `xxxxx${SECRET}`),
  'the same length twice': post('Content-Length: 5\r\nContent-Length: 5\r\n', 'xxxxx'),
  'two lengths in one header': post('Content-Length: 5, 0\r\n', `xxxxx${SECRET}`),
  'the same length twice in one header': post('Content-Length: 5, 5\r\n', 'xxxxx'),
  'a length with a sign': post('Content-Length: +5\r\n', 'xxxxx'),
  'a negative length': post('Content-Length: -5\r\n', 'xxxxx'),
  'a hexadecimal length': post('Content-Length: 0x5\r\n', 'xxxxx'),
  'a length with a fraction': post('Content-Length: 5.0\r\n', 'xxxxx'),
  'a length with an exponent': post('Content-Length: 1e1\r\n', 'xxxxxxxxxx'),
  'a length with letters': post('Content-Length: 5x\r\n', 'xxxxx'),
  'a length with a blank inside': post('Content-Length: 1 0\r\n', 'xxxxxxxxxx'),
  'an empty length': post('Content-Length:\r\n', 'xxxxx'),
  'a length beyond all numbers': post('Content-Length: 99999999999999999999\r\n', 'x'),
  'a length that is too big to count': post('Content-Length: 18446744073709551616\r\n', SECRET),
  'a quoted length': post('Content-Length: "5"\r\n', 'xxxxx'),
  'a folded length': post('Content-Length:\r\n 5\r\n', 'xxxxx'),
  'a length with a vertical tab': post('Content-Length: \x0b5\r\n', 'xxxxx'),
  'a length with a form feed': post('Content-Length: 5\x0c\r\n', 'xxxxx'),
  'a length before the colon has a blank': post('Content-Length : 5\r\n', 'xxxxx'),
  'a length before the colon has a tab': post('Content-Length\t: 5\r\n', 'xxxxx'),
  // Length and chunks.
  'length and chunks': post('Content-Length: 44\r\nTransfer-Encoding: chunked\r\n', CHUNKED_SECRET),
  'chunks and length': post('Transfer-Encoding: chunked\r\nContent-Length: 44\r\n', CHUNKED_SECRET),
  'no length and chunks': post('Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', CHUNKED_SECRET),
  'length and chunks of another case': post(
    'content-length: 44\r\ntransfer-encoding: CHUNKED\r\n',
    CHUNKED_SECRET,
  ),
  // Codings.
  'gzip and chunks': post('Transfer-Encoding: gzip, chunked\r\n', CHUNKED_SECRET),
  'chunks and gzip': post('Transfer-Encoding: chunked, gzip\r\n', CHUNKED_SECRET),
  'chunks twice': post('Transfer-Encoding: chunked, chunked\r\n', CHUNKED_SECRET),
  'chunks in two headers': post(
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
    CHUNKED_SECRET,
  ),
  'chunks, then identity in another header': post(
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    CHUNKED_SECRET,
  ),
  'identity, then chunks in another header': post(
    'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n',
    CHUNKED_SECRET,
  ),
  'identity, chunked': post('Transfer-Encoding: identity, chunked\r\n', CHUNKED_SECRET),
  'identity alone': post('Transfer-Encoding: identity\r\n', SECRET),
  'identity and a length': post('Transfer-Encoding: identity\r\nContent-Length: 1\r\n', 'x'),
  'an unknown coding': post('Transfer-Encoding: xchunked\r\n', CHUNKED_SECRET),
  'an unknown coding that begins like one': post('Transfer-Encoding: chunkedx\r\n', CHUNKED_SECRET),
  'a quoted coding': post('Transfer-Encoding: "chunked"\r\n', CHUNKED_SECRET),
  'a coding with a parameter': post('Transfer-Encoding: chunked;x=1\r\n', CHUNKED_SECRET),
  'a coding behind a vertical tab': post('Transfer-Encoding: \x0bchunked\r\n', CHUNKED_SECRET),
  'a coding before a control character': post('Transfer-Encoding: chunked\x01\r\n', CHUNKED_SECRET),
  'a coding with a zero byte': post('Transfer-Encoding: chunked\x00\r\n', CHUNKED_SECRET),
  'a folded coding': post('Transfer-Encoding:\r\n chunked\r\n', CHUNKED_SECRET),
  'a coding in a folded header': post('X-Thing: 1\r\n Transfer-Encoding: chunked\r\n', CHUNKED_SECRET),
  'a coding folded with a tab': post('Transfer-Encoding:\r\n\tchunked\r\n', CHUNKED_SECRET),
  'a coding with a blank before the colon': post('Transfer-Encoding : chunked\r\n', CHUNKED_SECRET),
  'a coding with a tab before the colon': post('Transfer-Encoding\t: chunked\r\n', CHUNKED_SECRET),
  'a coding whose name begins with a blank': `POST /attack HTTP/1.1\r\n Transfer-Encoding: chunked\r\n${HOST}\r\n${CHUNKED_SECRET}`,
  'a coding whose name has a zero byte': post('Transfer-Encoding\x00: chunked\r\n', CHUNKED_SECRET),
  'a coding after a lone carriage return': post('X: y\rTransfer-Encoding: chunked\r\n', CHUNKED_SECRET),
  'a coding after a lone line feed': post('X: y\nTransfer-Encoding: chunked\r\n', CHUNKED_SECRET),
  'chunks in HTTP/1.0': `POST /attack HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${CHUNKED_SECRET}`,
  'chunks and a length in HTTP/1.0': `POST /attack HTTP/1.0\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED_SECRET}`,
  // Hosts.
  'two hosts': get(`${HOST}Host: blog.test\r\n`),
  'the same host twice': get(`${HOST}${HOST}`),
  'a host of another case twice': get(`${HOST}host: wiki.test\r\n`),
  'no host': get('X: y\r\n'),
  'no host in HTTP/1.0': 'GET /attack HTTP/1.0\r\nX: y\r\n\r\n',
  'an empty host': get('Host:\r\n'),
  'two hosts in one header': get('Host: wiki.test, blog.test\r\n'),
  'a host with a path': get('Host: wiki.test/x\r\n'),
  'a host with a name before it': get('Host: blog.test@wiki.test\r\n'),
  'a host with a blank': get('Host: wiki.test blog.test\r\n'),
  'a host with a backslash': get('Host: wiki.test\\blog.test\r\n'),
  'a host with a port that is none': get('Host: wiki.test:http\r\n'),
  'a host with two ports': get('Host: wiki.test:80:81\r\n'),
  'a host with a port beyond all ports': get('Host: wiki.test:65536\r\n'),
  'a host that is folded': get('Host:\r\n wiki.test\r\n'),
  'a host with a tab before the colon': get('Host\t: wiki.test\r\n'),
  'an open bracket': get('Host: [::1\r\n'),
  'a host of bytes beyond ASCII': get('Host: wïki.test\r\n'),
  'a URL of another host': `GET http://blog.test/attack HTTP/1.1\r\n${HOST}\r\n`,
  'a URL of another port': `GET http://wiki.test:81/attack HTTP/1.1\r\n${HOST}\r\n`,
  'a URL with a name before the host': `GET http://blog.test@wiki.test/attack HTTP/1.1\r\n${HOST}\r\n`,
  'a URL without a host': `GET http:///attack HTTP/1.1\r\n${HOST}\r\n`,
  'a URL of another scheme': `GET ftp://wiki.test/attack HTTP/1.1\r\n${HOST}\r\n`,
  // Request lines.
  'a target without a slash': line('GET attack HTTP/1.1'),
  'a target with a blank': line('GET /att ack HTTP/1.1'),
  'a target with a fragment': line('GET /attack#x HTTP/1.1'),
  'a target that is a star': line('GET * HTTP/1.1'),
  'an empty target': line('GET  HTTP/1.1'),
  'no version': line('GET /attack'),
  'version 0.9': line('GET /attack HTTP/0.9'),
  'version 1.2': line('GET /attack HTTP/1.2'),
  'version 2.0': line('GET /attack HTTP/2.0'),
  'a version with zeros': line('GET /attack HTTP/01.1'),
  'a version with letters': line('GET /attack HTTP/1.x'),
  'another protocol': line('GET /attack ICE/1.1'),
  'a method in small letters': line('get /attack HTTP/1.1'),
  'an unknown method': line('SMUGGLE /attack HTTP/1.1'),
  'a method with a colon': line('GET: /attack HTTP/1.1'),
  'a tab between the parts': line('GET\t/attack\tHTTP/1.1'),
  'a blank before the method': line(' GET /attack HTTP/1.1'),
  'a request line that ends with a lone line feed': `GET /attack HTTP/1.1\n${HOST}\r\n`,
  'a request line that ends with a lone carriage return': `GET /attack HTTP/1.1\r${HOST}\r\n`,
  'lone line feeds all over': `GET /attack HTTP/1.1\nHost: wiki.test\n\n`,
  'a head that ends with a lone line feed': `GET /attack HTTP/1.1\r\n${HOST}\n`,
  'a zero byte in the target': line('GET /att\x00ack HTTP/1.1'),
  // Header names and values.
  'an empty name': get(`${HOST}: x\r\n`),
  'a name with a blank': get(`${HOST}X Y: x\r\n`),
  'a name with a slash': get(`${HOST}X/Y: x\r\n`),
  'a name with brackets': get(`${HOST}X[0]: x\r\n`),
  'a name with a byte beyond ASCII': get(`${HOST}Xä: x\r\n`),
  'a header without a colon': get(`${HOST}X\r\n`),
  'a value with a zero byte': get(`${HOST}X: a\x00b\r\n`),
  'a value with a lone carriage return': get(`${HOST}X: a\rb\r\n`),
  'a value with a control character': get(`${HOST}X: a\x01b\r\n`),
  'a folded value': get(`${HOST}X: a\r\n b\r\n`),
  'a first header that is folded': `GET /attack HTTP/1.1\r\n ${HOST}\r\n`,
  // Chunks.
  'a chunk size that is none': post('Transfer-Encoding: chunked\r\n', `x\r\n\r\n${SECRET}`),
  'an empty chunk size': post('Transfer-Encoding: chunked\r\n', `\r\n\r\n${SECRET}`),
  'a chunk size with a sign': post('Transfer-Encoding: chunked\r\n', `+0\r\n\r\n${SECRET}`),
  'a negative chunk size': post('Transfer-Encoding: chunked\r\n', `-1\r\n\r\n${SECRET}`),
  'a chunk size with a prefix': post('Transfer-Encoding: chunked\r\n', `0x0\r\n\r\n${SECRET}`),
  'a chunk size behind a blank': post('Transfer-Encoding: chunked\r\n', ` 0\r\n\r\n${SECRET}`),
  'a chunk size beyond all numbers': post('Transfer-Encoding: chunked\r\n', `FFFFFFFFFFFFFFFFF\r\n${SECRET}`),
  'a chunk that is longer than its size': post('Transfer-Encoding: chunked\r\n', `1\r\nxx\r\n0\r\n\r\n`),
  'a chunk that ends with a lone line feed': post('Transfer-Encoding: chunked\r\n', `1\r\nx\n0\r\n\r\n`),
  'a chunk size that ends with a lone line feed': post('Transfer-Encoding: chunked\r\n', `1\nx\r\n0\r\n\r\n`),
  'a chunk extension with a lone line feed': post('Transfer-Encoding: chunked\r\n', `1;a\nx\r\n0\r\n\r\n`),
  'a last chunk of lone line feeds': post('Transfer-Encoding: chunked\r\n', `0\n\n${SECRET}`),
  // Others.
  'an unknown expectation': get(`${HOST}Expect: 200-ok\r\n`),
  'a tunnel': `CONNECT wiki.test:443 HTTP/1.1\r\n${HOST}\r\n`,
  'a trace': `TRACE /attack HTTP/1.1\r\n${HOST}\r\n`,
  'the begin of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'the begin of TLS': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
};

/** What is odd, but means one thing only. */
const FORWARDED: Readonly<Record<string, string>> = {
  'a URL of the same host': `GET http://wiki.test/attack HTTP/1.1\r\n${HOST}\r\n`,
  'a URL in capitals': `GET HTTP://WIKI.TEST/attack HTTP/1.1\r\n${HOST}\r\n`,
  'a host with a dot at its end': get('Host: wiki.test.\r\n'),
  'a host with an empty port': get('Host: wiki.test:\r\n'),
  'chunks in capitals': post('Transfer-Encoding: Chunked\r\n', '0\r\n\r\n'),
  'chunks after blanks': post('Transfer-Encoding:    chunked  \r\n', '0\r\n\r\n'),
  'a length with zeros before it': post('Content-Length: 0005\r\n', 'xxxxx'),
  'a length after a tab': post('Content-Length:\t5\r\n', 'xxxxx'),
  'a chunk size with zeros before it': post('Transfer-Encoding: chunked\r\n', '0001\r\nx\r\n0\r\n\r\n'),
  'a chunk with an extension': post('Transfer-Encoding: chunked\r\n', '1;a=b\r\nx\r\n0\r\n\r\n'),
  'an empty line before it': `\r\n${get(HOST)}`,
  'Connection names the length': post(
    'Connection: keep-alive, Content-Length\r\nContent-Length: 5\r\n',
    'xxxxx',
  ),
  'Connection names the host': get(`${HOST}Connection: Host\r\n`),
  'Connection names what the proxy says': get(`${HOST}Connection: X-Forwarded-For, X-Real-IP\r\n`),
  'a get with a body': `GET /attack HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nxxxxx`,
  'an underscore in place of a dash': post('Content_Length: 3\r\n'),
  'a coding of another name': post('Transfer_Encoding: chunked\r\nContent-Length: 5\r\n', 'xxxxx'),
};

describe('a request that could be read in two ways', () => {
  let bed: WebBed;
  const seen: string[] = [];
  beforeAll(async () => {
    bed = await WebBed.open([
      {
        host: 'wiki',
        app: (request, response) => {
          const chunks: Buffer[] = [];
          request
            .on('data', (chunk: Buffer) => chunks.push(chunk))
            .on('end', () => {
              const { host, 'x-forwarded-for': from } = request.headers;
              const body = Buffer.concat(chunks);
              seen.push(`${request.url} ${host?.toLowerCase().replace(/[.:]*$/, '')} ${from} ${body.length}`);
              response.end();
            });
        },
      },
      { host: 'blog', app: (_, response) => response.end(void seen.push('blog')) },
    ]);
  });
  afterAll(() => bed.close());

  const send = async (text: string) => {
    seen.length = 0;
    const socket = await bed.connect();
    socket.write(`${text}${LAST}`, 'latin1');
    return readAll(socket);
  };

  test.concurrent('counts more than a hundred', () => {
    expect(Object.keys(REFUSED).length + Object.keys(FORWARDED).length).toBeGreaterThan(100);
  });

  for (const [name, text] of Object.entries(REFUSED)) {
    test(`is refused: ${name}`, async () => {
      const answer = await send(text);
      expect([answer.slice(0, 12), seen]).toEqual([
        expect.stringMatching(/^(HTTP\/1\.1 (400|405|417|501|505)|)$/),
        [],
      ]);
    });
  }

  for (const [name, text] of Object.entries(FORWARDED)) {
    test(`is forwarded as one: ${name}`, async () => {
      const answer = await send(text);
      expect(answer.slice(0, 12)).toBe('HTTP/1.1 200');
      const [, body = ''] = /\r\n\r\n(?:\d+(?:;a=b)?\r\n)?(x*)/.exec(text) ?? [];
      const { length } = body;
      expect(seen).toEqual([`/attack wiki.test 127.0.0.1 ${length}`, '/last wiki.test 127.0.0.1 0']);
    });
  }
});
