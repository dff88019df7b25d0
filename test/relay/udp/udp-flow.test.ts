import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { UdpPolicy } from '../../../src/model/service.ts';
import type { DropReason } from '../../../src/relay/udp/datagram-queue.ts';
import type { FlowLease } from '../../../src/relay/udp/flow-lease.ts';
import type { UdpBudget } from '../../../src/relay/udp/udp-budget.ts';
import { UdpFlow } from '../../../src/relay/udp/udp-flow.ts';
import { AbortFan } from '../../../src/system/waiting/abort-fan.ts';
import { Descriptors } from '../../../src/system/descriptors.ts';
import { DueQueue } from '../../../src/system/waiting/due-queue.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { linkSignals } from '../../../src/system/waiting/link-signals.ts';
import { EAGAIN } from '../../../src/relay/native/errno.ts';
import { aUdpBudget } from '../../support/builders.ts';
import { Datagrams, type Endpoint, settleDatagrams } from '../../support/datagrams.ts';
import { copyRun, datagramsWays } from '../../support/datagrams-ways.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freeUdpPort } from '../../support/free-ports.ts';

const POLICY: UdpPolicy = {
  readiness: 'reply',
  flowTimeoutMs: 60_000,
  maxQueuedDatagrams: 1_024,
  maxQueuedBytes: 1_048_576,
  maxQueueAgeMs: 30_000,
};
const IDLE_MS = 60_000;

/** A lease whose workload the test wakes and ends. */
class ScriptedLease implements FlowLease {
  readonly releases: number[] = [];
  doubts = 0;
  answers = 0;
  opens = 0;
  proven: boolean;
  /** Whether the workload has other addresses that may answer. */
  hasOthers = false;
  /** Where the flow has been without an answer, as it said at each opening. */
  readonly avoided: unknown[] = [];
  /** Called with what the port was passed with, before the flow gets it. */
  onPassed: (value: { close(): void }) => void = () => {};
  #port = 0;
  #run = new AbortController();
  #awake = createGate();

  constructor({ proven }: { readonly proven: boolean }) {
    this.proven = proven;
  }

  wake(port: number): void {
    this.#port = port;
    this.#run = new AbortController();
    this.#awake.open();
  }

  /** Who listens for the end of the run. */
  get listeners(): number {
    return getEventListeners(this.#run.signal, 'abort').length;
  }

  endRun(): void {
    this.#awake = createGate();
    this.#run.abort(new Error('the workload stopped'));
  }

  fail(message: string): void {
    this.#awake.fail(new Error(message));
  }

  async open<T extends { close(): void }>(request: Parameters<FlowLease['open']>[0]) {
    this.opens++;
    this.avoided.push(request.notAt);
    for (;;) {
      await Promise.race([this.#awake.promise, aborted(request.signal)]);
      const { signal } = this.#run;
      const target = { host: '127.0.0.1', port: this.#port };
      const link = linkSignals([signal, request.signal]);
      const pass = this.proven ? request.follow(target, link.signal) : request.prove([target], link.signal);
      const value = await pass.catch(() => undefined);
      link.unlink();
      request.signal.throwIfAborted();
      if (value === undefined) {
        await settle();
        continue;
      }
      this.proven = true;
      this.onPassed(value);
      return { value: value as T, ended: signal };
    }
  }

  answered(): void {
    this.answers++;
  }

  mayAnswerElsewhere(): boolean {
    return this.hasOthers;
  }

  doubt(): void {
    this.doubts++;
    this.proven = false;
  }

  release(idleSinceMs: number): void {
    this.releases.push(idleSinceMs);
  }
}

function createGate() {
  let open = () => {};
  let fail: (error: Error) => void = () => {};
  const promise = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  promise.catch(() => {});
  return { promise, open: () => open(), fail: (error: Error) => fail(error) };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

describe.each(datagramsWays)('UdpFlow moving datagrams $way', ({ native }) => {
  let clock: FakeClock;
  let datagrams: Datagrams;
  let lease: ScriptedLease;
  let flow: UdpFlow;
  let budget: UdpBudget;
  let replies: string[];
  let drops: Partial<Record<DropReason, number>>;
  let ends: unknown[];
  /** How flows have ended that were served, and the bytes of their clients. */
  let finished: unknown[];
  beforeEach(() => {
    clock = new FakeClock();
    budget = aUdpBudget();
    datagrams = new Datagrams();
    replies = [];
    drops = {};
    ends = [];
    finished = [];
    flow = create();
  });
  afterEach(async () => {
    flow.end('unlistened');
    await settle();
    await datagrams.close();
    expect(clock.pending).toBe(0);
    expect(lease.releases).toHaveLength(1);
    expect(ends).toHaveLength(1);
    expect(budget.queuedBytes).toBe(0);
  });
  function create(
    overrides: Partial<UdpPolicy> & { readonly proven?: boolean; readonly descriptors?: Descriptors } = {},
  ): UdpFlow {
    const { proven = true, descriptors, ...policy } = overrides;
    lease = new ScriptedLease({ proven });
    return new UdpFlow(
      {
        policy: { ...POLICY, ...policy },
        timeoutMs: IDLE_MS,
        budget: budget.openListener().queue,
        runEnds: new AbortFan(),
        dues: new DueQueue(clock),
        clock,
        datagrams: native,
        descriptors,
        countsBytes: true,
        countDrop(reason, count) {
          if (count > 0) drops[reason] = (drops[reason] ?? 0) + count;
        },
      },
      {
        onActive() {},
        lease,
        reply: (datagram) => void replies.push(String(datagram)),
        replyRun: (run) => void replies.push(...copyRun(run).map(String)),
        onFinished: (ending, { bytesUp }) => void finished.push([ending, bytesUp]),
        onEnd: (error) => void ends.push(error),
      },
    );
  }
  const send = (...texts: readonly string[]) => {
    for (const text of texts) flow.receive(Buffer.from(text));
  };
  const arrived = async (endpoint: Endpoint, count: number) => {
    while (endpoint.received.length < count) await clock.advance(1);
  };
  const numbers = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

  test('keeps its datagrams for the next run when the run is over before it gets its socket', async () => {
    const [first, second] = [await datagrams.bind(), await datagrams.bind()];
    lease.onPassed = () => {
      lease.onPassed = () => {};
      lease.endRun();
    };
    send('one');
    lease.wake(first.port);
    while (lease.opens < 2) await clock.advance(1);
    lease.wake(second.port);
    await arrived(second, 1);
    await settleDatagrams();
    expect([first.texts, second.texts]).toEqual([[], ['one']]);
  });

  test('passes datagrams on and replies back', async () => {
    const echo = await datagrams.echo();
    lease.wake(echo.port);
    send('one');
    await arrived(echo, 1);
    send('two');
    await echo.arrived(2);
    await settleDatagrams();
    expect(replies).toEqual(['echo one', 'echo two']);
    expect(lease.opens).toBe(1);
    expect(drops).toEqual({});
  });

  test('keeps what comes during the start, and passes it on once and in order', async () => {
    const sink = await datagrams.bind();
    send(...numbers(1, 100));
    await clock.advance(20_000);
    lease.wake(sink.port);
    await arrived(sink, 40);
    send(...numbers(101, 120));
    await arrived(sink, 120);
    await clock.advance(10);
    expect(sink.texts).toEqual(numbers(1, 120));
    expect(lease.opens).toBe(1);
  });

  test('passes a long queue on in pieces that do not overflow the upstream', async () => {
    const sink = await datagrams.bind();
    send(...numbers(1, 500));
    lease.wake(sink.port);
    await sink.arrived(1);
    for (let before = 0; before < 500; before = sink.received.length) {
      await settleDatagrams();
      expect(sink.received.length - before).toBeLessThanOrEqual(64);
      await clock.advance(1);
    }
    expect(sink.texts).toEqual(numbers(1, 500));
  });

  test('passes the first on only by proving the port with it', async () => {
    flow = replace({ proven: false });
    const echo = await datagrams.echo();
    send('one', 'two', 'three');
    lease.wake(echo.port);
    await arrived(echo, 3);
    expect(echo.texts).toEqual(['one', 'two', 'three']);
  });

  test('counts what does not fit while it waits', async () => {
    flow = replace({ maxQueuedDatagrams: 2, maxQueuedBytes: 8 });
    send('one', '1234567', 'two', 'three');
    expect(drops).toEqual({ 'queue-bytes': 1, 'queue-datagrams': 1 });
    const sink = await datagrams.bind();
    lease.wake(sink.port);
    await arrived(sink, 2);
    expect(sink.texts).toEqual(['one', 'two']);
  });

  test('counts what has become too old when it is awake', async () => {
    flow = replace({ maxQueueAgeMs: 1_000 });
    send('one', 'two');
    await clock.advance(1_001);
    send('three');
    const sink = await datagrams.bind();
    lease.wake(sink.port);
    await arrived(sink, 1);
    expect(sink.texts).toEqual(['three']);
    expect(drops).toEqual({ 'queue-age': 2 });
  });

  test('drops all, and says why, when it can not be served', async () => {
    send('one', 'two');
    lease.fail('no');
    await settle();
    expect(drops).toEqual({ 'not-ready': 2 });
    expect([ends, finished]).toEqual([[new Error('no')], []]);
  });

  test('counts each datagram of its client once, though a refusal has it sent again', async () => {
    lease.wake(await freeUdpPort());
    send('one');
    while ((drops.refused ?? 0) < 1) await clock.advance(1);
    send('two', 'three');
    while ((drops.refused ?? 0) < 2) await settleDatagrams();
    flow.end('unlistened');
    expect(finished).toEqual([['unlistened', 'onetwothree'.length]]);
  });

  test('goes on to another address with the first datagram after 250 ms of silence', async () => {
    const silent = await datagrams.bind();
    lease.hasOthers = true;
    lease.wake(silent.port);
    send('one');
    await arrived(silent, 1);
    const waitedMs = 249 - (clock.monotonicMs() - flow.lastActiveMs);
    await clock.advance(waitedMs);
    send('two');
    expect(lease.opens).toBe(1);
    await clock.advance(1);
    send('three');
    await arrived(silent, 3);
    expect(lease.avoided).toEqual([undefined, { host: '127.0.0.1', port: silent.port }]);
  });

  test('drops all at once, and ends, when there is no socket for it', async () => {
    const descriptors = new Descriptors({ limit: 4, clock, logger: silentLogger });
    flow = replace({ descriptors });
    const sink = await datagrams.bind();
    send('one', 'two');
    lease.wake(sink.port);
    while (ends.length === 0) await clock.advance(1);
    expect(drops).toEqual({ 'no-descriptors': 2 });
    expect(ends).toEqual([undefined]);
  });

  test('closes the socket that it gets when it has ended', async () => {
    const sink = await datagrams.bind();
    let closes = 0;
    lease.onPassed = (value) => {
      const close = value.close.bind(value);
      value.close = () => {
        closes++;
        close();
      };
      flow.end('unlistened');
    };
    send('one');
    lease.wake(sink.port);
    while (ends.length === 0) await clock.advance(1);
    await settle();
    expect(closes).toBe(1);
  });

  test('keeps the order of what comes together while it passes on what it has kept', async () => {
    const sink = await datagrams.bind();
    send(...numbers(1, 100));
    lease.wake(sink.port);
    await sink.arrived(1);
    const late = numbers(101, 104).map((text) => Buffer.from(text));
    flow.receiveRun({
      size: late.length,
      lengthOf: (index) => late[index]?.length ?? 0,
      copy: (index) => late[index] ?? Buffer.alloc(0),
      send: () => -EAGAIN,
    });
    await arrived(sink, 104);
    expect(sink.texts).toEqual(numbers(1, 104));
  });

  test('leaves no timer when it ends while it passes on what it has kept', async () => {
    const sink = await datagrams.bind();
    send(...numbers(1, 100));
    lease.wake(sink.port);
    await sink.arrived(1);
    flow.end('unlistened');
    expect(clock.pending).toBe(0);
    expect(drops['not-ready']).toBeGreaterThan(0);
  });

  test('takes no more when it has ended', async () => {
    const sink = await datagrams.bind();
    lease.wake(sink.port);
    flow.end('unlistened');
    flow.end('unlistened');
    send('late');
    await settleDatagrams();
    expect(sink.texts).toEqual([]);
    expect(lease.opens).toBe(0);
    expect(ends).toEqual([undefined]);
  });

  test('ends, and wakes nothing, when there is no room for its only datagram', () => {
    budget = aUdpBudget({ maxQueuedBytes: 2_000 });
    flow.end('unlistened');
    ends = [];
    flow = create();
    send('x');
    expect(drops).toEqual({ 'queue-listener': 1 });
    expect(lease.opens).toBe(0);
    expect(ends).toEqual([undefined]);
  });

  describe('being idle', () => {
    test('ends when nothing came from either side for the idle timeout', async () => {
      const echo = await datagrams.bind();
      lease.wake(echo.port);
      send('one', 'two');
      await arrived(echo, 2);
      await clock.advance(50_000);
      echo.send('reply', { port: echo.senders[0]?.port ?? 0 });
      while (replies.length === 0) await settle();
      const lastMs = clock.monotonicMs();
      await clock.advance(IDLE_MS - 1);
      expect(ends).toEqual([]);
      await clock.advance(1);
      expect(ends).toEqual([undefined]);
      expect(lease.releases).toEqual([lastMs]);
    });

    test('ends after 10 s of silence when one datagram came and one answer', async () => {
      const echo = await datagrams.echo();
      lease.wake(echo.port);
      send('one');
      await arrived(echo, 1);
      while (replies.length === 0) await settle();
      await clock.advance(9_900);
      expect(ends).toEqual([]);
      await clock.advance(100);
      expect(ends).toEqual([undefined]);
    });

    test.each([
      { what: 'a second datagram came', sent: ['two'], answers: [] },
      { what: 'a second answer came', sent: [], answers: ['more'] },
    ])('goes on after 10 s when $what', async ({ sent, answers }) => {
      const echo = await datagrams.echo();
      lease.wake(echo.port);
      send('one');
      await arrived(echo, 1);
      send(...sent);
      await arrived(echo, 1 + sent.length);
      for (const text of answers) echo.send(text, { port: echo.senders[0]?.port ?? 0 });
      while (replies.length < 2) await settle();
      await clock.advance(IDLE_MS - 100);
      expect(ends).toEqual([]);
      await clock.advance(100);
      expect(ends).toEqual([undefined]);
    });

    test('waits for an answer for the whole time', async () => {
      const sink = await datagrams.bind();
      lease.wake(sink.port);
      send('one');
      await arrived(sink, 1);
      await clock.advance(IDLE_MS - 100);
      expect(ends).toEqual([]);
      await clock.advance(100);
      expect(ends).toEqual([undefined]);
    });

    test('counts from the last datagram of the client', async () => {
      const sink = await datagrams.bind();
      lease.wake(sink.port);
      send('one');
      await arrived(sink, 1);
      await clock.advance(IDLE_MS - 100);
      send('two');
      await clock.advance(IDLE_MS - 1);
      expect(ends).toEqual([]);
      await clock.advance(1);
      expect(ends).toEqual([undefined]);
    });

    test('waits for the answer when the start took longer than the idle timeout', async () => {
      const echo = await datagrams.echo();
      send(...numbers(1, 100));
      await clock.advance(IDLE_MS - 35_000);
      send('last');
      await clock.advance(IDLE_MS - 35_000);
      lease.wake(echo.port);
      await arrived(echo, 1);
      await clock.advance(10);
      await settleDatagrams();
      expect(ends).toEqual([]);
      expect(replies).toContain('echo last');
    });

    test('does not end while it waits for a start', async () => {
      const sink = await datagrams.bind();
      lease.wake(sink.port);
      send('one');
      await arrived(sink, 1);
      lease.endRun();
      await clock.advance(IDLE_MS - 1_000);
      send('two');
      await clock.advance(25_000);
      lease.wake(sink.port);
      await sink.arrived(2);
      await clock.advance(IDLE_MS - 1);
      expect(ends).toEqual([]);
      await clock.advance(1);
      expect(ends).toEqual([undefined]);
    });

    test('does not end while it waits for a start that takes longer than the idle timeout', async () => {
      flow = replace({ maxQueueAgeMs: 10 * IDLE_MS });
      const sink = await datagrams.bind();
      lease.wake(sink.port);
      send('one');
      await arrived(sink, 1);
      lease.endRun();
      send('two');
      await clock.advance(2 * IDLE_MS);
      expect(ends).toEqual([]);
      lease.wake(sink.port);
      await arrived(sink, 2);
      expect(sink.texts).toEqual(['one', 'two']);
    });
  });

  describe('when a run ends', () => {
    test('goes on with a fresh socket', async () => {
      const first = await datagrams.echo();
      const second = await datagrams.echo();
      lease.wake(first.port);
      send('one');
      while (replies.length === 0) await settle();
      lease.endRun();
      send('two');
      lease.wake(second.port);
      await second.arrived(1);
      send('three');
      await second.arrived(2);
      await settleDatagrams();
      expect(replies).toEqual(['echo one', 'echo two', 'echo three']);
      expect(second.senders[0]?.port).not.toBe(first.senders[0]?.port);
      expect(second.senders[1]?.port).toBe(second.senders[0]?.port);
    });

    test('asks for no new one until there is something to send', async () => {
      const sink = await datagrams.bind();
      lease.wake(sink.port);
      send('one');
      await arrived(sink, 1);
      lease.endRun();
      await settle();
      expect(lease.opens).toBe(1);
    });

    test('passes what is still kept to the next one', async () => {
      const [first, second] = [await datagrams.bind(), await datagrams.bind()];
      send(...numbers(1, 70));
      lease.wake(first.port);
      await first.arrived(1);
      await settleDatagrams();
      const passed = first.received.length;
      expect(passed).toBeLessThan(70);
      lease.endRun();
      lease.wake(second.port);
      await arrived(second, 70 - passed);
      expect([...first.texts, ...second.texts]).toEqual(numbers(1, 70));
    });
  });

  describe('when the port refuses', () => {
    test('counts it in reply mode, and goes on', async () => {
      const port = await freeUdpPort();
      lease.wake(port);
      send('one');
      while (drops.refused === undefined) await clock.advance(1);
      const sink = await datagrams.bind(undefined, { port });
      send('two');
      await sink.arrived(1);
      expect(sink.texts).toEqual(['two']);
      expect(lease.doubts).toBe(0);
      expect(lease.opens).toBe(1);
    });

    test('loses no datagram to an earlier refusal', async () => {
      const port = await freeUdpPort();
      const sink = await datagrams.bind(undefined, { port });
      lease.wake(port);
      send('one');
      await arrived(sink, 1);
      await sink.close();
      send('two');
      const again = await datagrams.bind(undefined, { port });
      // The refusal of `two` is told in the place of `three`, unless it has been read before.
      send('three');
      await again.arrived(1);
      expect(again.texts).toEqual(['three']);
      expect(drops).toEqual({ refused: 1 });
    });

    test.runIf(native !== undefined)('keeps the order of what one refusal has held up', async () => {
      flow = replace({ readiness: 'open' });
      const port = await freeUdpPort();
      // Nothing more is tried until the port is there again.
      lease.doubt = () => lease.endRun();
      send('one', 'two', 'three');
      lease.wake(port);
      while (drops.refused === undefined) await clock.advance(1);
      const sink = await datagrams.bind(undefined, { port });
      lease.wake(port);
      await arrived(sink, 2);
      await settleDatagrams();
      expect(sink.texts).toEqual(['two', 'three']);
      expect(drops).toEqual({ refused: 1 });
    });

    test('has the port prove itself anew in open mode', async () => {
      flow = replace({ readiness: 'open' });
      const port = await freeUdpPort();
      const sink = await datagrams.bind(undefined, { port });
      lease.wake(port);
      send('one');
      await arrived(sink, 1);
      await sink.close();
      send('two');
      while (lease.doubts === 0) await clock.advance(1);
      send('three', 'four');
      await clock.advance(5);
      const again = await datagrams.bind(undefined, { port });
      await arrived(again, 2);
      await clock.advance(200);
      expect(again.texts).toEqual(['three', 'four']);
    });

    test('listens for the end of the run with its present socket alone', async () => {
      flow = replace({ readiness: 'open' });
      const port = await freeUdpPort();
      lease.wake(port);
      for (let round = 1; round <= 3; round++) {
        const sink = await datagrams.bind(undefined, { port });
        send('one');
        await arrived(sink, 1);
        expect(lease.listeners).toBe(1);
        await sink.close();
        send('two');
        while (lease.doubts < round) await clock.advance(1);
        lease.proven = true;
      }
      expect(lease.listeners).toBe(0);
    });

    test('does not go round in circles with a datagram that can not be sent', async () => {
      const sink = await datagrams.bind();
      lease.wake(sink.port);
      flow.receive(Buffer.alloc(65_508));
      send('two');
      await arrived(sink, 1);
      await clock.advance(10);
      expect(sink.texts).toEqual(['two']);
      expect(drops).toEqual({ unsendable: 1 });
    });
  });

  function replace(overrides: Parameters<typeof create>[0]): UdpFlow {
    flow.end('unlistened');
    ends = [];
    return create(overrides);
  }
});
