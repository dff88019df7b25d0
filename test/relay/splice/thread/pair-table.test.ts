import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createClientCounts } from '../../../../src/relay/access/client-counts.ts';
import { EPOLLERR, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../../../src/relay/native/epoll-events.ts';
import { ECONNRESET, EPIPE } from '../../../../src/relay/native/errno.ts';
import { PairTable } from '../../../../src/relay/splice/thread/pair-table.ts';
import { PipePool } from '../../../../src/relay/splice/thread/pipe-pool.ts';
import { Poller } from '../../../../src/relay/splice/thread/poller.ts';
import { PeerVigil } from '../../../../src/relay/tcp/peer-vigil.ts';
import { CrowdedKernel, type CrowdedSocket } from '../crowded-kernel.ts';

const SLOTS = 4;
const BUFFER_BYTES = 16;
const PIPE_BYTES = 64;
const READY = EPOLLIN | EPOLLOUT;

/** A table of pairs with pipes for some of them, on a kernel whose numbers come back soon. */
function createTable({ monotonicMs = (): number => 0 } = {}) {
  const kernel = new CrowdedKernel();
  const close = (fd: number) => kernel.close(fd);
  const epoll = { epollAdd: () => 0, epollChange: () => 0, epollRemove: () => 0, epollWait: () => 0 };
  const pipes = new PipePool(kernel, {
    registry: new Int32Array(SLOTS),
    counts: createClientCounts(1),
    ...{ maxDescriptor: 1_000, wantedBytes: PIPE_BYTES },
  });
  const closed: number[] = [];
  const vigil = new PeerVigil({ readTcpInfo: () => undefined, nowMs: () => 0 });
  const table = new PairTable({
    poller: new Poller({ ...epoll, close, closeWithReset: close }, { epoll: 0, onRefused() {} }),
    shared: {
      open: new Int32Array(SLOTS),
      sockets: new Int32Array(2 * SLOTS),
      traffic: new Float64Array(2 * SLOTS),
      endings: new Int32Array(SLOTS),
    },
    pump: {
      ...{ kernel, pipes, buffer: new Uint8Array(BUFFER_BYTES) },
      bytesPerTurn: 4 * PIPE_BYTES,
    },
    vigil,
    monotonicMs,
    onConnected() {},
    onRefused() {},
    onClosed: (slot) => void closed.push(slot),
  });
  return { kernel, pipes, table, closed, vigil };
}

test('a pair that is closed is watched no longer for an end that is gone', () => {
  const { kernel, table, vigil } = createTable();
  const [client, upstream] = [createSocket(0), createSocket(1)].map((socket) => kernel.openSocket(socket));
  table.add(0, { client: client ?? -1, upstream: upstream ?? -1, keepAliveMs: 60_000 }, 'connected');
  table.runDue();
  expect(vigil.timeoutMs()).toBe(10_000);
  table.close(0, 'reset');
  expect(vigil.timeoutMs()).toBeUndefined();
});

test('a pair of which one end has reset lives while the other end takes something every 5 s', () => {
  let nowMs = 0;
  const { kernel, table, closed } = createTable({ monotonicMs: () => nowMs });
  const sockets = [createSocket(0), createSocket(1)] as const;
  const [client, upstream] = sockets.map((socket) => kernel.openSocket(socket)) as [number, number];
  table.add(0, { client, upstream, keepAliveMs: 0 }, 'connected');
  sockets[1].unread = 12;
  kernel.unacknowledgedBytes = 12;
  table.note(0, READY);
  table.note(1, READY | EPOLLERR);
  const turn = (afterMs: number) => {
    nowMs += afterMs;
    table.endTurn();
    table.runDue();
    return closed.length;
  };
  for (let rest = 12; rest >= 6; rest--) {
    kernel.unacknowledgedBytes = rest;
    expect(turn(4_900), `with ${rest} bytes to go`).toBe(0);
  }
  expect(turn(5_001)).toBe(1);
});

const answer = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 2 * PIPE_BYTES }) },
  { weight: 2, arbitrary: fc.constant('EAGAIN' as const) },
  fc.constantFrom('EINTR' as const, -ECONNRESET, -EPIPE, 0),
);

/** What happens to the connection of a slot, which is opened anew where there is none; and how the kernel answers then. */
const happening = fc.record({
  slot: fc.integer({ min: 0, max: SLOTS - 1 }),
  what: fc.oneof(
    { weight: 8, arbitrary: fc.constant(READY) },
    fc.constantFrom(READY | EPOLLRDHUP, READY | EPOLLERR, 'destroyed' as const),
  ),
  side: fc.constantFrom(0, 1),
  arrived: fc.integer({ min: 0, max: 4 * PIPE_BYTES }),
  answers: fc.array(answer, { maxLength: 12 }),
});

test('bytes of one connection never reach another, whatever ends at whatever moment', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
      const { kernel, pipes, table, closed } = createTable();
      const open = new Map<number, readonly [CrowdedSocket, CrowdedSocket]>();
      const all: (readonly [CrowdedSocket, CrowdedSocket])[] = [];
      for (const { slot, what, side, arrived, answers } of happenings) {
        kernel.answers = [...answers];
        if (!open.has(slot)) {
          const tag = 2 * all.length;
          const pair = [createSocket(tag), createSocket(tag + 1)] as const;
          all.push(pair);
          open.set(slot, pair);
          const [client, upstream] = pair.map((socket) => kernel.openSocket(socket)) as [number, number];
          table.add(slot, { client, upstream, keepAliveMs: 0 }, 'connected');
        }
        const source = open.get(slot)?.[side];
        if (source !== undefined) source.unread += arrived;
        if (what === 'destroyed') table.close(slot, 'reset');
        else
          for (const which of [side, 1 - side]) table.note(2 * slot + which, which === side ? what : READY);
        table.runDue();
        for (const ended of closed.splice(0)) open.delete(ended);
      }
      for (const [client, upstream] of all) {
        expect(tagsOf(client)).toEqual(tagsOf(client).length === 0 ? [] : [upstream.tag]);
        expect(tagsOf(upstream)).toEqual(tagsOf(upstream).length === 0 ? [] : [client.tag]);
      }
      for (const slot of open.keys()) table.close(slot, 'reset');
      pipes.trim();
      expect(kernel.openCount).toBe(0);
    }),
    { numRuns: 1_000 },
  );
});

function createSocket(tag: number): CrowdedSocket {
  return { tag, unread: 0, received: [] };
}

/** Whose bytes it has got. */
function tagsOf({ received }: CrowdedSocket): readonly number[] {
  return [...new Set(received.flatMap((bytes) => [...bytes]))];
}
