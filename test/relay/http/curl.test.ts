import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebBed } from './web-bed.ts';

const execute = promisify(execFile);
const hasCurl = spawnSync('curl', ['--version']).status === 0;
const DIGITS = '0123456789'.repeat(1_000);
const BODY_BYTES = 3_000_000;

/** An application with what servers differ in. */
function serveApp(request: IncomingMessage, response: ServerResponse): void {
  const { url = '', method, headers } = request;
  response.setHeader('Date', 'Thu, 01 Jan 1970 00:00:00 GMT');
  switch (url.split('?', 1)[0]) {
    case '/sum': {
      const hash = createHash('sha256');
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        bytes += chunk.length;
      });
      request.on('end', () =>
        response.end(`${method} ${bytes} ${hash.digest('hex')} ${JSON.stringify(request.trailers)}`),
      );
      return;
    }
    case '/full':
      response.writeHead(413, { Connection: 'close' });
      response.end('too much');
      return;
    case '/none':
      response.writeHead(204, { 'X-None': '1' });
      response.end();
      return;
    case '/same':
      response.writeHead(headers['if-none-match'] === '"v1"' ? 304 : 200, { ETag: '"v1"' });
      response.end(headers['if-none-match'] === '"v1"' ? undefined : 'v1');
      return;
    case '/range': {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
      const part = from === undefined ? DIGITS : DIGITS.slice(Number(from), Number(to) + 1);
      const range = from === undefined ? {} : { 'Content-Range': `bytes ${from}-${to}/${DIGITS.length}` };
      response.writeHead(from === undefined ? 200 : 206, { 'Content-Length': part.length, ...range });
      response.end(part);
      return;
    }
    case '/trailer':
      response.writeHead(200, request.httpVersion === '1.0' ? {} : { Trailer: 'X-Sum' });
      response.write('first ');
      setImmediate(() => {
        response.addTrailers({ 'X-Sum': '42' });
        response.end('last');
      });
      return;
    case '/hints':
      response.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => response.end('hinted'));
      return;
    case '/big':
      response.writeHead(200, { 'Content-Length': BODY_BYTES });
      response.end(Buffer.alloc(BODY_BYTES, 'b'));
      return;
    default:
      response.end(`${method} ${url}`);
  }
}

describe.runIf(hasCurl)('curl', () => {
  let bed: WebBed;
  let direct = 0;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-curl-'));
    await writeFile(path.join(folder, 'body'), Buffer.alloc(BODY_BYTES, 'a'));
    bed = await WebBed.open([{ host: 'wiki', app: serveApp }]);
    const { server } = bed.service('wiki');
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      if (request.url !== '/full') response.writeContinue();
      serveApp(request, response);
    });
    direct = (server.address() as AddressInfo).port;
  });
  afterAll(async () => {
    bed.close();
    await rm(folder, { recursive: true });
  });

  /** What curl prints, without the headers of the connection. */
  async function run(port: number, args: readonly string[]): Promise<string> {
    const all = [
      '-sS',
      '--max-time',
      '20',
      '--connect-to',
      `wiki.test:80:127.0.0.1:${port}`,
      '--noproxy',
      '*',
    ];
    const { stdout } = await execute('curl', [...all, ...args], { cwd: folder, maxBuffer: 16 * BODY_BYTES });
    return stdout.replaceAll(/^(connection|keep-alive): .*\r\n/gim, '');
  }

  const upload = ['--data-binary', '@body', '-H', 'Content-Type: text/plain'];
  const code = ['-w', '\n%{http_code} %{http_version} %{size_upload} %{num_connects}'];

  test.each<readonly [string, readonly string[], RegExp]>([
    ['GET', ['-i', 'http://wiki.test/x?y=1'], /^HTTP\/1\.1 200 OK[\s\S]*GET \/x\?y=1$/],
    ['HEAD', ['-I', 'http://wiki.test/range'], /^HTTP\/1\.1 200 OK\r\n[\s\S]*Content-Length: 10000/],
    [
      'an upload that is asked for',
      [...upload, '-H', 'Expect: 100-continue', ...code, 'http://wiki.test/sum'],
      /POST 3000000 [0-9a-f]{64} \{\}\n200 1\.1 3000000 1$/,
    ],
    [
      'an upload that is not wanted',
      [...upload, '-H', 'Expect: 100-continue', ...code, 'http://wiki.test/full'],
      /^too much\n413 1\.1 0 1$/,
    ],
    [
      'an upload in chunks',
      ['-T', 'body', '-H', 'Transfer-Encoding: chunked', '-H', 'Expect:', 'http://wiki.test/sum'],
      /^PUT 3000000 /,
    ],
    [
      'a form with a file',
      ['-F', 'file=@body', '-o', '/dev/null', '-w', '%{http_code}', 'http://wiki.test/sum'],
      /^200$/,
    ],
    [
      '204',
      ['-i', 'http://wiki.test/none', 'http://wiki.test/x'],
      /^HTTP\/1\.1 204 No Content\r\n[\s\S]*HTTP\/1\.1 200 OK[\s\S]*GET \/x$/,
    ],
    [
      '304',
      ['-i', '-H', 'If-None-Match: "v1"', 'http://wiki.test/same', 'http://wiki.test/x'],
      /^HTTP\/1\.1 304 Not Modified\r\n[\s\S]*GET \/x$/,
    ],
    [
      'a range',
      ['-i', '-r', '5-8', 'http://wiki.test/range'],
      /^HTTP\/1\.1 206 [\s\S]*bytes 5-8\/10000[\s\S]*5678$/,
    ],
    ['trailers', ['--raw', 'http://wiki.test/trailer'], /\r\n0\r\nX-Sum: 42\r\n\r\n$/],
    [
      'early hints',
      ['-i', 'http://wiki.test/hints'],
      /^HTTP\/1\.1 103 Early Hints\r\nlink: [\s\S]*HTTP\/1\.1 200 OK[\s\S]*hinted$/i,
    ],
    ['HTTP/1.0', ['-0', ...code, 'http://wiki.test/trailer'], /^first last\n200 1\.1 0 1$/],
    [
      'two requests on one connection',
      [...code, 'http://wiki.test/1', 'http://wiki.test/2'],
      /^GET \/1\n200 1\.1 0 1GET \/2\n200 1\.1 0 0$/,
    ],
    ['other methods', ['-X', 'PROPFIND', 'http://wiki.test/dav'], /^PROPFIND \/dav$/],
    [
      'a path as it is written',
      ['--path-as-is', 'http://wiki.test/a/../b//c%2Fd?e=%00'],
      /^GET \/a\/\.\.\/b\/\/c%2Fd\?e=%00$/,
    ],
    ['a big body that is read slowly', ['--limit-rate', '6M', 'http://wiki.test/big'], /^b{3000000}$/],
  ])('gets through the proxy what it gets directly: %s', async (_, args, expected) => {
    const through = await run(bed.port, args);
    expect(through).toBe(await run(direct, args));
    // A comparison of megabytes makes no good message.
    expect(expected.test(through) ? 'as expected' : through.slice(0, 2_000)).toBe('as expected');
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
  });
});
