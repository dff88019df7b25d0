import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type HttpTarget, NoAnswerError, requestUrl } from '../../../src/system/net/http-client.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { HOSTILE_ANSWERS } from '../../support/hostile-answers.ts';
import { Sockets } from '../../support/sockets.ts';

const DEADLINE_MS = 3_000;

describe('requestUrl', () => {
  let clock: FakeClock;
  let sockets: Sockets;
  beforeEach(() => {
    clock = new FakeClock();
    sockets = new Sockets();
  });
  afterEach(async () => {
    await sockets.close();
    expect(clock.pending).toBe(0);
  });
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  /** A server that answers each request as `answer` does, and what it was asked. */
  const serve = async (answer: (socket: Socket, head: string) => void, host = '127.0.0.1') => {
    const asked: string[] = [];
    const server = await sockets.listen(
      (socket) => {
        socket.once('data', (data: Buffer) => {
          asked.push(data.toString());
          answer(socket, data.toString());
        });
      },
      { host },
    );
    return { ...server, asked, base: `http://${host}:${server.port}` };
  };
  const ok = (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok');

  test.each(HOSTILE_ANSWERS)('is done by its deadline when a server answers with $name', async (hostile) => {
    const { base, asked, sockets: opened } = await serve(hostile.answer);
    const outcome = requestUrl(base, { clock, deadlineMs: DEADLINE_MS }).then(
      ({ status }) => status,
      (error: Error) => error.message,
    );
    await until(() => asked.length === 1);
    if (hostile.hangs === true) await clock.advance(DEADLINE_MS);
    if (hostile.status === undefined) expect(await outcome).toMatch(hostile.told ?? '');
    else expect(await outcome).toBe(hostile.status);
    await until(() => opened[0]?.readableEnded === true || opened[0]?.destroyed === true);
  });

  test('sends method, headers, its name and the body', async () => {
    const { base, asked } = await serve(ok);
    const request = { clock, deadlineMs: DEADLINE_MS, headers: { 'x-a': 'b' } } as const;
    await requestUrl(`${base}/p?q=1`, { ...request, method: 'POST', body: 'é' });
    const [head = ''] = asked;
    expect(head).toMatch(/^POST \/p\?q=1 HTTP\/1\.1\r\n/);
    expect(head.toLowerCase()).toContain('user-agent: lazy-proxy\r\n');
    expect(head.toLowerCase()).toContain('x-a: b\r\n');
    expect(head.toLowerCase()).toContain('content-length: 2\r\n');
  });

  test('says in plain words that a server does not speak TLS', async () => {
    const { base } = await serve(ok);
    const url = base.replace('http:', 'https:');
    await expect(requestUrl(url, { clock, deadlineMs: DEADLINE_MS })).rejects.toThrow(
      /^no TLS connection: wrong version number; it may take http:\/\/ alone$/,
    );
  });

  test('keeps of the body what was asked for', async () => {
    const { base } = await serve(ok);
    const options = { clock, deadlineMs: DEADLINE_MS };
    expect((await requestUrl(base, options)).body.toString()).toBe('');
    expect((await requestUrl(base, { ...options, maxBodyBytes: 10 })).body.toString()).toBe('ok');
    expect((await requestUrl(base, { ...options, maxBodyBytes: 1 })).body.toString()).toBe('o');
  });

  test('asks about every address before it connects, with the name that led to it', async () => {
    const { port, sockets: opened } = await serve(ok);
    const targets: HttpTarget[] = [];
    const checkTarget = (target: HttpTarget) => {
      targets.push(target);
      return `may not lead to ${target.address}`;
    };
    const options = { clock, deadlineMs: DEADLINE_MS, checkTarget };
    const refused = /^may not lead to /;
    await expect(requestUrl(`http://localhost:${port}/`, options)).rejects.toThrow(refused);
    await expect(requestUrl(`http://0x7f.1:${port}/`, options)).rejects.toThrow('may not lead to 127.0.0.1');
    await expect(requestUrl(`http://[::1]:${port}/`, options)).rejects.toThrow('may not lead to ::1');
    expect(targets.some(({ host, address }) => host === 'localhost' && address === '127.0.0.1')).toBe(true);
    expect(targets.every((target) => target.port === port)).toBe(true);
    expect(opened).toHaveLength(0);
  });

  test('uses the addresses of a name that are allowed, and no other', async () => {
    const { port } = await serve(ok);
    const checkTarget = ({ address }: HttpTarget) => (address === '127.0.0.1' ? undefined : 'no');
    const options = { clock, deadlineMs: DEADLINE_MS, checkTarget };
    expect((await requestUrl(`http://localhost:${port}/`, options)).status).toBe(200);
  });

  test('asks about the address of a redirect again', async () => {
    const { base, asked } = await serve(
      (socket) => void socket.end('HTTP/1.1 302 S\r\nlocation: /b\r\nconnection: close\r\n\r\n'),
    );
    const checkTarget = () => (asked.length === 0 ? undefined : 'no longer');
    const redirects = { max: 5, follows: () => true };
    const options = { clock, deadlineMs: DEADLINE_MS, checkTarget, redirects };
    await expect(requestUrl(base, options)).rejects.toThrow('no longer');
    expect(asked).toHaveLength(1);
  });

  test('follows redirects that stay on their host, whatever the port, and no others', async () => {
    const { base, asked, port } = await serve(ok);
    let leads = `http://127.0.0.1:${port}/there`;
    const first = await serve(
      (socket) => void socket.end(`HTTP/1.1 302 S\r\nlocation: ${leads}\r\nconnection: close\r\n\r\n`),
    );
    const options = { clock, deadlineMs: DEADLINE_MS, redirects: { max: 5, follows: () => true } };
    expect(await requestUrl(first.base, options)).toMatchObject({ status: 200, url: `${base}/there` });
    expect(asked).toHaveLength(1);
    leads = `http://localhost:${port}/there`;
    expect(await requestUrl(first.base, options)).toMatchObject({ status: 302, redirect: leads });
    leads = 'file:///etc/passwd';
    expect(await requestUrl(first.base, options)).toMatchObject({ status: 302, redirect: undefined });
    expect(asked).toHaveLength(1);
  });

  test('has one deadline for all redirects', async () => {
    const { base, asked } = await serve((socket, head) => {
      if (head.startsWith('GET / ')) {
        socket.end('HTTP/1.1 302 S\r\nlocation: /b\r\nconnection: close\r\n\r\n');
      }
    });
    const options = { clock, deadlineMs: DEADLINE_MS, redirects: { max: 5, follows: () => true } };
    const outcome = expect(requestUrl(base, options)).rejects.toBeInstanceOf(NoAnswerError);
    await clock.advance(1_000);
    await until(() => asked.length === 2);
    await clock.advance(2_000);
    await outcome;
  });

  test('ends with the signal, and with its deadline where a check hangs', async () => {
    const stop = new AbortController();
    const checkTarget = () => new Promise<undefined>(() => {});
    const options = { clock, deadlineMs: DEADLINE_MS, signal: stop.signal };
    const checked = expect(requestUrl('http://127.0.0.1:1/', { ...options, checkTarget })).rejects.toThrow(
      'no answer within 3 s',
    );
    const named = expect(requestUrl('http://localhost:1/', { ...options, checkTarget })).rejects.toThrow(
      'no answer within 3 s',
    );
    await clock.advance(DEADLINE_MS);
    await Promise.all([checked, named]);
    const { base, asked } = await serve(() => {});
    const stopped = expect(requestUrl(base, options)).rejects.toThrow('over');
    await until(() => asked.length === 1);
    stop.abort(new Error('over'));
    await stopped;
    await expect(requestUrl(base, options)).rejects.toThrow('over');
  });
});
