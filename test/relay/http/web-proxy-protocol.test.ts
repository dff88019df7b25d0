import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { writeProxyHeader } from '../../../src/relay/access/proxy-protocol.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { aRequest, readAll, readUntil, WebBed } from './web-bed.ts';

const headerOf = (host: string, version: 'v1' | 'v2' = 'v1') =>
  writeProxyHeader(version, {
    source: { host, port: 4242 },
    destination: { host: '198.51.100.1', port: 443 },
    protocol: 'tcp',
  });

/** Answers each request with the line that its connection began with. */
function tellHeader(socket: Socket): void {
  let [told, rest] = [undefined as string | undefined, ''];
  socket.on('data', (chunk: Buffer) => {
    rest += chunk.toString('latin1');
    if (told === undefined)
      [told = '', rest] = [rest.slice(0, rest.indexOf('\r\n')), rest.slice(rest.indexOf('\r\n') + 2)];
    for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
      rest = rest.slice(end + 4);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${told.length}\r\n\r\n${told}`);
    }
  });
}

describe('a web door behind a proxy that names its clients', () => {
  let bed: WebBed;
  let refused: string[];
  afterEach(() => bed.close());

  const open = async (
    service: Partial<Parameters<typeof WebBed.open>[0][number]> = {},
    { isTrusted = true, clock }: { readonly isTrusted?: boolean; readonly clock?: FakeClock } = {},
  ) => {
    refused = [];
    bed = await WebBed.open(
      [
        {
          host: 'wiki',
          app: ({ headers }, response) => response.end(`from ${headers['x-forwarded-for']}`),
          ...service,
        },
      ],
      {
        ...(clock !== undefined && { clock }),
        door: {
          ...{ takesProxyHeaders: () => true, isTrusted: (address) => isTrusted && address === '127.0.0.1' },
          onRefused: (bound) => refused.push(bound),
          onTurnedAway: (client, error) => refused.push(`${client.replace(/:\d+$/, '')}: ${error.message}`),
        },
      },
    );
  };

  test.each(['v1', 'v2'] as const)(
    'takes the client from a header of %s, however it is cut',
    async (version) => {
      await open();
      const header = headerOf('203.0.113.9', version);
      const whole = await bed.connect();
      whole.write(Buffer.concat([header, Buffer.from(aRequest('wiki.test'))]));
      expect(await readAll(whole)).toContain('from 203.0.113.9');
      const cut = await bed.connect();
      cut.setNoDelay(true);
      for (const byte of header) {
        cut.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      cut.write(aRequest('wiki.test'));
      expect(await readAll(cut)).toContain('from 203.0.113.9');
    },
  );

  test('serves all requests of a connection, also those that came with its header', async () => {
    await open();
    const request = aRequest('wiki.test');
    const [first, last] = [request.replace('Connection: close\r\n', ''), request];
    const answers = await bed.exchange(`${headerOf('203.0.113.9')}${first}${first}${last}`);
    expect(answers.match(/from 203\.0\.113\.9/g)).toHaveLength(3);
  });

  test('goes by the address in the header in the access list', async () => {
    await open({ access: { allowList: ['203.0.113.0/24'], blockList: [] }, policy: { blocked: '403' } });
    const ask = (host: string) => bed.exchange(`${headerOf(host)}${aRequest('wiki.test')}`);
    expect(await ask('203.0.113.9')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ask('203.0.114.9')).toMatch(/^HTTP\/1\.1 403 /);
  });

  test('closes what does not come from a trusted proxy', async () => {
    await open({}, { isTrusted: false });
    expect(await bed.exchange(`${headerOf('203.0.113.9')}${aRequest('wiki.test')}`)).toBe('');
    expect(refused).toEqual([
      'untrusted-proxy',
      expect.stringMatching(/^127\.0\.0\.1: it comes from none of trusted_proxies/),
    ]);
  });

  test('closes what begins with something else, and what says nothing', async () => {
    const clock = new FakeClock();
    await open({}, { clock });
    expect(await bed.exchange(aRequest('wiki.test'))).toBe('');
    expect(refused[0]).toBe('bad-proxy-header');
    const silent = await bed.connect();
    const closed = once(silent.resume(), 'close');
    silent.once('end', () => silent.end());
    while (!refused.includes('no-proxy-header')) await clock.advance(500);
    await closed;
    expect(bed.service('wiki').dials).toBe(0);
  });

  test('takes the proxy itself for the client where the header names none', async () => {
    await open();
    expect(await bed.exchange(`PROXY UNKNOWN\r\n${aRequest('wiki.test')}`)).toContain('from 127.0.0.1');
  });

  test('is drained though a header never came', async () => {
    await open();
    const silent = await bed.connect();
    silent.resume().once('end', () => silent.end());
    // It is known once another one, which came later, is served.
    await bed.exchange(`${headerOf('203.0.113.9')}${aRequest('wiki.test')}`);
    bed.door.close();
    await expect.poll(() => bed.drains).toBe(1);
    expect(refused).toEqual([]);
  });

  test('tells upstreams of each client, which has its own connections', async () => {
    await open({ raw: tellHeader, proxyProtocol: 'v1' });
    const clients = await Promise.all([bed.connect(), bed.connect()]);
    const request = aRequest('wiki.test').replace('Connection: close\r\n', '');
    const told: string[] = [];
    for (const [index, client] of clients.entries()) client.write(headerOf(`203.0.113.${index + 1}`));
    for (const round of [1, 2]) {
      for (const client of clients) {
        const answer = readUntil(client, /PROXY TCP4 \S+ 198\.51\.100\.1 4242 443$/);
        client.write(request);
        told.push(`${round}: ${(await answer).split('PROXY TCP4 ')[1]?.split(' ')[0]}`);
      }
    }
    expect(told).toEqual(['1: 203.0.113.1', '1: 203.0.113.2', '2: 203.0.113.1', '2: 203.0.113.2']);
    expect(bed.service('wiki').dials).toBe(2);
  });
});

describe('a web service that is told of its clients', () => {
  let bed: WebBed;
  afterEach(() => bed.close());

  test('is told of those that a header of a trusted proxy names, of whose port nobody knows', async () => {
    bed = await WebBed.open([{ host: 'wiki', raw: tellHeader, proxyProtocol: 'v1' }], {
      door: { isTrusted: (address) => address === '127.0.0.1' },
    });
    const from = (headers: string) => bed.exchange(aRequest('wiki.test', { headers }));
    expect(await from('X-Forwarded-For: 203.0.113.7\r\n')).toContain('PROXY TCP4 203.0.113.7 127.0.0.1 0 ');
    expect(await from('')).toMatch(new RegExp(`PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${bed.port}$`));
  });
});
