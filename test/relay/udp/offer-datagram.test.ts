import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DatagramQueue } from '../../../src/relay/udp/datagram-queue.ts';
import type { DatagramRun } from '../../../src/relay/udp/datagram-run.ts';
import { offerDatagram } from '../../../src/relay/udp/offer-datagram.ts';
import type { UdpUpstream } from '../../../src/relay/udp/udp-upstream.ts';
import { Descriptors } from '../../../src/system/descriptors.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { aUdpBudget } from '../../support/builders.ts';
import { Datagrams, type Endpoint, settleDatagrams } from '../../support/datagrams.ts';
import { copyRun, datagramsWays } from '../../support/datagrams-ways.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freeUdpPort } from '../../support/free-ports.ts';

describe.each(datagramsWays)('offerDatagram moving datagrams $way', ({ native }) => {
  let clock: FakeClock;
  let datagrams: Datagrams;
  let queue: DatagramQueue;
  let stop: AbortController;
  let upstreams: UdpUpstream[];
  let events: string[];
  /** `waiting`, `proven`, or why it failed. */
  let outcome: string;
  beforeEach(() => {
    clock = new FakeClock();
    datagrams = new Datagrams();
    queue = new DatagramQueue(
      { maxQueuedDatagrams: 9, maxQueuedBytes: 100, maxQueueAgeMs: 9_000_000 },
      aUdpBudget().openListener().queue,
    );
    stop = new AbortController();
    upstreams = [];
    events = [];
    outcome = 'waiting';
  });
  afterEach(async () => {
    stop.abort(new Error('over'));
    await settle();
    for (const upstream of upstreams) upstream.close();
    await datagrams.close();
    expect(clock.pending).toBe(0);
  });
  const keep = (...texts: readonly string[]) => {
    for (const text of texts) queue.push(Buffer.from(text), 0);
  };
  const offer = (readiness: 'reply' | 'open', ...ports: readonly number[]) =>
    offerWith({}, readiness, ...ports);
  const offerWith = (
    more: Pick<Partial<Parameters<typeof offerDatagram>[1]>, 'clock' | 'descriptors'>,
    readiness: 'reply' | 'open',
    ...ports: readonly number[]
  ) => {
    const handlers = {
      onReply: (datagram: Buffer) => void events.push(`reply ${datagram}`),
      onReplies: (run: DatagramRun) => {
        for (const datagram of copyRun(run)) events.push(`reply ${datagram}`);
      },
      onRefused: () => void events.push('refused'),
      onUnsent: (datagram: Buffer) => void events.push(`unsent ${datagram}`),
      onUnsendable: () => void events.push('unsendable'),
    };
    const targets = ports.map((port) => ({ host: '127.0.0.1', port }));
    const offering = offerDatagram(queue, {
      ...{ readiness, targets, handlersFor: () => handlers, clock },
      signal: stop.signal,
      datagrams: native,
      ...more,
    });
    offering.then(
      (upstream) => {
        upstreams.push(upstream);
        outcome = 'proven';
      },
      (error) => {
        outcome = error.message;
      },
    );
  };
  const ended = async () => {
    while (outcome === 'waiting') await settle();
    return outcome;
  };
  const answer = ({ socket, senders }: Endpoint, text: string) => {
    const to = senders.at(-1);
    socket.send(text, to?.port ?? 0, to?.address);
  };

  describe('in reply mode', () => {
    test('offers the first datagram every 500 ms until it is answered', async () => {
      const silent = await datagrams.bind();
      keep('one', 'two');
      offer('reply', silent.port);
      await silent.arrived(1);
      await clock.advance(499);
      await settleDatagrams();
      expect(silent.texts).toEqual(['one']);
      await clock.advance(1);
      await silent.arrived(2);
      await clock.advance(1_000);
      await silent.arrived(4);
      expect(silent.texts).toEqual(['one', 'one', 'one', 'one']);
      expect(outcome).toBe('waiting');
      answer(silent, 'here');
      expect(await ended()).toBe('proven');
      expect(events).toEqual(['reply here']);
      expect(queue.peek()?.toString()).toBe('two');
    });

    test('offers all tries from one address', async () => {
      const silent = await datagrams.bind();
      keep('one');
      offer('reply', silent.port);
      await silent.arrived(1);
      await clock.advance(500);
      await silent.arrived(2);
      expect(silent.senders[1]?.port).toBe(silent.senders[0]?.port);
    });

    test('fails at once when the port refuses, and keeps the datagram', async () => {
      keep('one', 'two');
      offer('reply', await freeUdpPort());
      expect(await ended()).toContain('refuses');
      expect(queue.size).toBe(2);
      expect(events).toEqual([]);
    });

    test('fails when the port refuses a later try', async () => {
      const silent = await datagrams.bind();
      keep('one');
      offer('reply', silent.port);
      await silent.arrived(1);
      await silent.close();
      await clock.advance(500);
      expect(await ended()).toContain('refuses');
      expect(queue.size).toBe(1);
    });

    test('offers what comes when there was nothing to offer at first', async () => {
      const echo = await datagrams.echo();
      offer('reply', echo.port);
      await settleDatagrams();
      keep('late');
      await clock.advance(500);
      expect(await ended()).toBe('proven');
      expect(echo.texts).toEqual(['late']);
      expect(queue.size).toBe(0);
    });

    test('ends with the signal, and keeps the datagram', async () => {
      const silent = await datagrams.bind();
      keep('one');
      offer('reply', silent.port);
      await silent.arrived(1);
      stop.abort(new Error('too late'));
      expect(await ended()).toBe('too late');
      expect(queue.size).toBe(1);
    });
  });

  describe('in open mode', () => {
    test('sends the first datagram once, and is through when it was not refused', async () => {
      const silent = await datagrams.bind();
      keep('one', 'two');
      offer('open', silent.port);
      await silent.arrived(1);
      await clock.advance(50);
      expect(await ended()).toBe('proven');
      expect(silent.texts).toEqual(['one']);
      expect(queue.peek()?.toString()).toBe('two');
    });

    test('is through at once when it was answered', async () => {
      const echo = await datagrams.echo();
      keep('one');
      offer('open', echo.port);
      expect(await ended()).toBe('proven');
      expect(events).toEqual(['reply echo one']);
    });

    test('fails at once when the port refuses, and keeps the datagram', async () => {
      keep('one');
      offer('open', await freeUdpPort());
      expect(await ended()).toContain('refuses');
      expect(queue.size).toBe(1);
    });

    test.runIf(native !== undefined)(
      'sees a refusal of which nobody was told while the program stood still',
      async () => {
        keep('one');
        // The time is over before the refusal can be read.
        const hasty = new FakeClock();
        hasty.sleep = async () => {};
        offerWith({ clock: hasty }, 'open', await freeUdpPort());
        expect(await ended()).toContain('refuses');
        expect(queue.size).toBe(1);
      },
    );

    test('sends nothing again when it was ended after it had sent', async () => {
      const silent = await datagrams.bind();
      keep('one', 'two');
      offer('open', silent.port);
      await silent.arrived(1);
      stop.abort(new Error('the run is over'));
      expect(await ended()).toBe('the run is over');
      expect(queue.peek()?.toString()).toBe('two');
    });

    test('sends nothing when it was ended before', async () => {
      const silent = await datagrams.bind();
      keep('one');
      offer('open', silent.port);
      stop.abort(new Error('the run is over'));
      expect(await ended()).toBe('the run is over');
      await settleDatagrams();
      expect(silent.texts).toEqual([]);
      expect(queue.size).toBe(1);
    });
  });

  describe('in reply mode, with several addresses', () => {
    test('offers by turns, until one answers', async () => {
      const [silent, server] = [await datagrams.bind(), await datagrams.bind()];
      keep('one');
      offer('reply', silent.port, server.port);
      await silent.arrived(1);
      await clock.advance(500);
      await server.arrived(1);
      await clock.advance(500);
      await silent.arrived(2);
      await clock.advance(500);
      await server.arrived(2);
      answer(server, 'here');
      expect(await ended()).toBe('proven');
      expect(events).toEqual(['reply here']);
      expect(queue.size).toBe(0);
      // What was proven is the one that answered.
      upstreams[0]?.send(Buffer.from('two'));
      await server.arrived(3);
      expect(silent.received).toHaveLength(2);
    });

    test('hears an answer that comes after the next one was offered', async () => {
      const [slow, silent] = [await datagrams.bind(), await datagrams.bind()];
      keep('one');
      offer('reply', slow.port, silent.port);
      await slow.arrived(1);
      await clock.advance(500);
      await silent.arrived(1);
      answer(slow, 'late');
      expect(await ended()).toBe('proven');
      upstreams[0]?.send(Buffer.from('two'));
      await slow.arrived(2);
    });

    test('goes to the next at once when one refuses, and comes back to it', async () => {
      const silent = await datagrams.bind();
      const port = await freeUdpPort();
      keep('one');
      offer('reply', port, silent.port);
      await silent.arrived(1);
      const server = await datagrams.bind(undefined, { port });
      await clock.advance(500);
      await server.arrived(1);
      answer(server, 'here');
      expect(await ended()).toBe('proven');
    });

    test('does not take the lack of a socket for a refusal', async () => {
      const silent = await datagrams.bind();
      keep('one');
      const descriptors = new Descriptors({ limit: 4, clock, logger: silentLogger });
      offerWith({ descriptors }, 'reply', silent.port, await freeUdpPort());
      expect(await ended()).toBe('too few file descriptors are left');
      expect(queue.size).toBe(1);
    });

    test('fails when all refuse', async () => {
      keep('one');
      offer('reply', await freeUdpPort(), await freeUdpPort());
      expect(await ended()).toContain('refuses datagrams');
      expect(queue.size).toBe(1);
    });
  });

  test('tells of a refusal, and hands back what was unsent for it, when it was through', async () => {
    const echo = await datagrams.echo();
    keep('one');
    offer('reply', echo.port);
    await ended();
    await echo.close();
    upstreams[0]?.send(Buffer.from('two'));
    upstreams[0]?.send(Buffer.from('three'));
    while (events.length < 3) await settle();
    expect(events).toEqual(['reply echo one', 'refused', 'unsent three']);
  });
});
