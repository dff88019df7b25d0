import { lookup } from 'node:dns/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EAGAIN } from '../../../src/relay/native/errno.ts';
import { connectUdp, type UdpUpstream, type UpstreamOptions } from '../../../src/relay/udp/udp-upstream.ts';
import { Descriptors } from '../../../src/system/descriptors.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import type { OwnListeners } from '../../../src/system/net/own-listeners.ts';
import { Datagrams, settleDatagrams } from '../../support/datagrams.ts';
import { copyRun, datagramsWays } from '../../support/datagrams-ways.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freeUdpPort } from '../../support/free-ports.ts';
import { hasIpv6 } from '../../support/has-ipv6.ts';
import { pattern } from '../../support/sockets.ts';

describe.each(datagramsWays)('UdpUpstream moving datagrams $way', ({ native }) => {
  let datagrams: Datagrams;
  let upstream: UdpUpstream | undefined;
  let events: string[];
  let replies: Buffer[];
  let onRefused: () => void;
  beforeEach(() => {
    onRefused = () => {};
    datagrams = new Datagrams();
    events = [];
    replies = [];
  });
  afterEach(async () => {
    upstream?.close();
    await datagrams.close();
  });
  const connect = async (
    port: number,
    host = '127.0.0.1',
    more: Pick<UpstreamOptions, 'own' | 'descriptors'> = {},
  ) => {
    upstream = await connectUdp(
      { host, port },
      {
        ...more,
        datagrams: native,
        handlers: {
          onReply: (datagram) => void replies.push(datagram),
          onReplies: (run) => void replies.push(...copyRun(run)),
          onRefused: () => {
            events.push('refused');
            onRefused();
          },
          onUnsent: (datagram) => void events.push(`unsent ${datagram}`),
          onUnsendable: () => void events.push('unsendable'),
        },
      },
    );
    return upstream;
  };

  test.each(['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])])('sends and hears, at %s', async (host) => {
    const echo = await datagrams.echo({ host });
    const connected = await connect(echo.port, host);
    connected.send(Buffer.from('hello'));
    while (replies.length === 0) await settle();
    expect(replies.map(String)).toEqual(['echo hello']);
    expect(events).toEqual([]);
  });

  test('looks a name up', async () => {
    const { address } = await lookup('localhost');
    const echo = await datagrams.echo({ host: address });
    (await connect(echo.port, 'localhost')).send(Buffer.from('hello'));
    while (replies.length === 0) await settle();
    expect(replies.map(String)).toEqual(['echo hello']);
  });

  test('tells that a name is unknown', async () => {
    await expect(connect(53, 'no-such-host.invalid')).rejects.toThrow('no-such-host.invalid');
  });

  test('carries the longest datagrams both ways', async () => {
    const longest = pattern(65_507);
    const mirror = await datagrams.bind((datagram, from, { socket }) => {
      socket.send(datagram, from.port, from.address);
    });
    (await connect(mirror.port)).send(longest);
    while (replies.length === 0) await settle();
    expect(replies[0]?.equals(longest)).toBe(true);
  });

  test('hears nobody but its target', async () => {
    const echo = await datagrams.echo();
    const stranger = await datagrams.bind();
    (await connect(echo.port)).send(Buffer.from('one'));
    await echo.arrived(1);
    const own = echo.senders[0];
    stranger.send('from elsewhere', { port: own?.port ?? 0 });
    await settleDatagrams();
    expect(replies.map(String)).toEqual(['echo one']);
  });

  test('tells that the port refuses', async () => {
    const connected = await connect(await freeUdpPort());
    connected.send(Buffer.from('one'));
    while (events.length === 0) await settle();
    expect(events).toEqual(['refused']);
  });

  test('hands back the datagram in whose place an earlier refusal was told', async () => {
    const connected = await connect(await freeUdpPort());
    // On one machine the refusal is there before the next line runs.
    connected.send(Buffer.from('one'));
    connected.send(Buffer.from('two'));
    while (events.length < 2) await settle();
    expect(events).toEqual(['refused', 'unsent two']);
  });

  test('hands back an unsent datagram although it was closed meanwhile, and tells nothing else', async () => {
    const connected = await connect(await freeUdpPort());
    connected.send(Buffer.from('one'));
    connected.send(Buffer.from('two'));
    connected.close();
    await settleDatagrams();
    // Many at once, it is told before it is closed.
    expect(events).toEqual(native === undefined ? ['unsent two'] : ['refused', 'unsent two']);
  });

  test('tells that a datagram can not be sent, without handing it back', async () => {
    const sink = await datagrams.bind();
    const connected = await connect(sink.port);
    connected.send(Buffer.alloc(65_508));
    connected.send(Buffer.from('two'));
    await sink.arrived(1);
    expect(sink.texts).toEqual(['two']);
    expect(events).toEqual(['unsendable']);
  });

  test('sends nothing when it is closed', async () => {
    const sink = await datagrams.bind();
    const connected = await connect(sink.port);
    connected.close();
    connected.close();
    connected.send(Buffer.from('late'));
    await settleDatagrams();
    expect(sink.texts).toEqual([]);
    expect(events).toEqual([]);
  });

  test('throws when there is no way to the target', async () => {
    // A link-local address says nothing without its zone.
    await expect(connect(9, 'fe80::1')).rejects.toThrow();
  });

  describe('that the proxy knows as its own', () => {
    const notes: string[] = [];
    const own = {
      explain: () => undefined,
      noteUpstream: () => {
        notes.push('came');
        return () => void notes.push('left');
      },
    } as unknown as OwnListeners;
    beforeEach(() => {
      notes.length = 0;
    });

    test('is known until it is closed', async () => {
      const sink = await datagrams.bind();
      const connected = await connect(sink.port, undefined, { own });
      expect(notes).toEqual(['came']);
      connected.close();
      expect(notes).toEqual(['came', 'left']);
    });

    test('is closed where too few descriptors are left', async () => {
      const sink = await datagrams.bind();
      const descriptors = new Descriptors({ limit: 4, clock: new FakeClock(), logger: silentLogger });
      const connecting = connect(sink.port, undefined, { own, descriptors });
      await expect(connecting).rejects.toMatchObject({ code: 'EMFILE' });
      expect(notes).toEqual(['came', 'left']);
    });
  });

  test.runIf(native !== undefined)(
    'hands back the rest of a run when it is closed in the middle of it',
    async () => {
      const connected = await connect(await freeUdpPort());
      onRefused = () => connected.close();
      const datagrams = ['one', 'two', 'three', 'four'].map((text) => Buffer.from(text));
      connected.sendRun({
        size: datagrams.length,
        lengthOf: (index) => datagrams[index]?.length ?? 0,
        copy: (index) => datagrams[index] ?? Buffer.alloc(0),
        send: () => -EAGAIN,
      });
      expect(events).toEqual(['refused', 'unsent two', 'unsent three', 'unsent four']);
    },
  );
});
