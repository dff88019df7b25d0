import { describe, expect, test } from 'vitest';
import {
  cameByHttps,
  findClient,
  forwardHeaders,
} from '../../../../src/relay/http/message/forward-headers.ts';
import { type ReadRequest, readRequest } from '../../../../src/relay/http/message/read-request.ts';

const TRUSTED = new Set(['10.0.0.1', '10.0.0.2']);
const isTrusted = (address: string) => TRUSTED.has(address);

function read(headers: readonly string[], method = 'GET'): ReadRequest {
  const all = ['Host', 'wiki.lan', ...headers];
  const request = readRequest({ method, target: '/', version: '1.1', headers: all });
  if ('refused' in request) throw new Error(request.refused);
  return request;
}

function forward(
  headers: readonly string[],
  { peer = '192.0.2.7', method = 'GET', login = { hasPassword: false, hasKey: false } } = {},
): Record<string, string> {
  const request = read(headers, method);
  const client = findClient(request.headers, { peer, isTrusted });
  const sender = { peer, client, scheme: 'http', isTrusted: isTrusted(peer) } as const;
  const sent = forwardHeaders(request, sender, login);
  const pairs = sent.flatMap((name, index) =>
    index % 2 === 0 ? [[name.toLowerCase(), sent[index + 1] ?? ''] as const] : [],
  );
  return Object.fromEntries(pairs);
}

describe('forwardHeaders', () => {
  test('says who the client is, and keeps Host', () => {
    expect(forward([])).toEqual({
      host: 'wiki.lan',
      'x-forwarded-for': '192.0.2.7',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'wiki.lan',
      'x-real-ip': '192.0.2.7',
    });
  });

  test('believes nothing of what a stranger says of itself', () => {
    const lies = [
      ...['X-Forwarded-For', '1.1.1.1', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'evil.lan'],
      ...['X-Real-IP', '1.1.1.1', 'Forwarded', 'for=1.1.1.1', 'X-Forwarded-Port', '443'],
      ...['X_Forwarded_For', '1.1.1.1', 'X-Forwarded_Proto', 'https', 'X_Real_IP', '1.1.1.1'],
      ...['Connection', 'X-Forwarded-For, X-Real-IP, X-Forwarded-Proto'],
    ];
    expect(forward(lies)).toEqual(forward([]));
  });

  test('adds to what a trusted proxy says', () => {
    const said = [
      ...['X-Forwarded-For', '1.1.1.1, 10.0.0.2', 'X-Forwarded-Proto', 'https'],
      ...['X-Forwarded-Host', 'outer.lan', 'X-Forwarded-Port', '443', 'Forwarded', 'for=1.1.1.1'],
    ];
    expect(forward(said, { peer: '10.0.0.1' })).toMatchObject({
      'x-forwarded-for': '1.1.1.1, 10.0.0.2, 10.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'outer.lan',
      'x-forwarded-port': '443',
      'x-real-ip': '1.1.1.1',
      forwarded: 'for=1.1.1.1, for=10.0.0.1;proto=http',
    });
  });

  test('leaves out what belongs to the connection, also what Connection names, but nothing that the message needs', () => {
    const headers = [
      ...[
        'Connection',
        'X-Hop, keep-alive, Cookie, Content-Length',
        'X-Hop',
        '1',
        'Keep-Alive',
        'x',
        'TE',
        'gzip',
      ],
      ...['Proxy-Authorization', 'x', 'Proxy-Connection', 'x', 'Upgrade', 'x', 'HTTP2-Settings', 'x'],
      ...['Cookie', 'a=1', 'Content-Length', '5', 'X-Kept', '1'],
    ];
    const sent = forward(headers, { method: 'POST' });
    expect(Object.keys(sent).filter((name) => !name.startsWith('x-forwarded'))).toEqual([
      ...['host', 'cookie', 'content-length', 'x-kept', 'x-real-ip'],
    ]);
  });

  test('delimits the body as the client does, and says where there is none', () => {
    expect(forward(['Transfer-Encoding', 'chunked'], { method: 'POST' })).toMatchObject({
      'transfer-encoding': 'chunked',
    });
    expect(forward([], { method: 'POST' })).toMatchObject({ 'content-length': '0' });
    expect(forward([])).not.toHaveProperty('content-length');
    expect(forward(['Trailer', 'X-Sum', 'Content-Length', '5'], { method: 'POST' })).not.toHaveProperty(
      'trailer',
    );
    expect(forward(['Trailer', 'X-Sum', 'Transfer-Encoding', 'chunked'])).toMatchObject({ trailer: 'X-Sum' });
  });

  test('keeps the proxy’s own passwords and keys to itself, and passes others on', () => {
    const headers = ['Authorization', 'Basic x', 'X-API-Key', 'k', 'X_API_KEY', 'k'];
    expect(forward(headers)).toMatchObject({ authorization: 'Basic x', 'x-api-key': 'k' });
    const sent = forward(headers, { login: { hasPassword: true, hasKey: true } });
    expect(Object.keys(sent)).not.toEqual(expect.arrayContaining(['authorization']));
    expect(JSON.stringify(sent)).not.toMatch(/api.key/i);
  });
});

describe('findClient', () => {
  test.each([
    [['X-Forwarded-For', '1.1.1.1'], '192.0.2.7', '192.0.2.7'],
    [[], '10.0.0.1', '10.0.0.1'],
    [['X-Forwarded-For', '1.1.1.1'], '10.0.0.1', '1.1.1.1'],
    [['X-Forwarded-For', '9.9.9.9, 1.1.1.1, 10.0.0.2'], '10.0.0.1', '1.1.1.1'],
    [['X-Forwarded-For', '9.9.9.9', 'X-Forwarded-For', '1.1.1.1'], '10.0.0.1', '1.1.1.1'],
    [['X-Forwarded-For', '1.1.1.1:4242'], '10.0.0.1', '1.1.1.1'],
    [['X-Forwarded-For', '[2001:db8::1]:4242'], '10.0.0.1', '2001:db8::1'],
    [['X-Forwarded-For', '2001:DB8::1'], '10.0.0.1', '2001:db8::1'],
    [['X-Forwarded-For', '1.1.1.1, unknown'], '10.0.0.1', '10.0.0.1'],
    [['X-Forwarded-For', '1.1.1.1, evil, 10.0.0.2'], '10.0.0.1', '10.0.0.2'],
    [['X-Forwarded-For', '10.0.0.2'], '10.0.0.1', '10.0.0.2'],
    [['Forwarded', 'for=1.1.1.1;proto=https, for="[2001:db8::1]:80"'], '10.0.0.1', '2001:db8::1'],
    [['Forwarded', 'proto=https;for=1.1.1.1'], '10.0.0.1', '1.1.1.1'],
  ])('takes of %j from %s %s', (headers, peer, client) => {
    expect(findClient(headers, { peer, isTrusted })).toBe(client);
  });
});

describe('cameByHttps', () => {
  test.each([
    [[], false],
    [['X-Forwarded-Proto', 'https'], true],
    [['X-Forwarded-Proto', 'HTTPS, http'], true],
    [['X-Forwarded-Proto', 'http, https'], false],
    [['X-Forwarded-Proto', 'http', 'Forwarded', 'proto=https'], false],
    [['Forwarded', 'for=1.1.1.1;proto=https, for=10.0.0.1;proto=http'], true],
    [['Forwarded', 'Proto="https";for=1.1.1.1'], true],
    [['Forwarded', 'for=1.1.1.1, proto=https'], false],
  ])('of %j: %j', (headers, expected) => {
    expect(cameByHttps(headers)).toBe(expected);
  });
});
