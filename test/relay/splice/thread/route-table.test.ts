import { beforeEach, describe, expect, test } from 'vitest';
import {
  type ClientCounts,
  countIn,
  createClientCounts,
  noteOwn,
} from '../../../../src/relay/access/client-counts.ts';
import { EAGAIN, EINPROGRESS, EISCONN } from '../../../../src/relay/native/errno.ts';
import type { PairTable } from '../../../../src/relay/splice/thread/pair-table.ts';
import type { Poller } from '../../../../src/relay/splice/thread/poller.ts';
import { RouteTable } from '../../../../src/relay/splice/thread/route-table.ts';
import { createSharedState } from '../../../../src/relay/splice/thread-protocol.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const HOUR_MS = 3_600_000;
const LISTENER = 10;
const CLIENT = 11;
const UPSTREAM = 12;
const LAST_CONNECT_MS = 2_000;

/** A table with one open route. Its listener brings `clients`; its upstream takes each connection, and says nothing. */
function openRoutes({
  clients,
  budgetMs = 30_000,
  upstreams = 1,
  shared = createSharedState(),
  ...changes
}: { readonly clients: number[]; readonly budgetMs?: number; readonly upstreams?: number } & Partial<
  ConstructorParameters<typeof RouteTable>[0]
>): RouteTable {
  Atomics.store(shared.routeOpen, 0, 1);
  const routes = new RouteTable({
    libc: {
      accept: () => clients.shift() ?? -EAGAIN,
      tcpSocket: () => UPSTREAM,
      tuneTcp: () => 0,
      connect: () => -EINPROGRESS,
    },
    poller: { watch: () => true, unwatch() {}, close() {} } as unknown as Poller,
    pairs: { add() {}, remove() {}, close() {} } as unknown as PairTable,
    shared,
    counts: createClientCounts(0),
    maxDescriptor: 1_024,
    expected: new Int32Array(1),
    clock: new FakeClock(),
    onFinished() {},
    onUsed() {},
    onReturned() {},
    onBarred() {},
    onRouteClosed() {},
    ...changes,
  });
  routes.open({
    ...{ route: 0, listener: LISTENER, service: 0, keepAliveMs: 60_000, budgetMs },
    reportedAs: undefined,
    upstreams: Array.from({ length: upstreams }, () => ({ family: 2, bytes: new Uint8Array(16) })),
    access: { allowList: [], blockList: [] },
  });
  return routes;
}

describe('RouteTable where descriptors run short', () => {
  /** Two clients come, and clients have to share from the descriptor `maxDescriptor` on. */
  const acceptTwo = (options: {
    readonly maxDescriptor: number;
    readonly expected?: number;
    readonly fill?: (counts: ClientCounts) => void;
  }) => {
    const clients = [CLIENT, CLIENT + 1];
    const returned: number[] = [];
    const closed: number[] = [];
    const counts = createClientCounts(0);
    options.fill?.(counts);
    const routes = openRoutes({
      ...{ clients, counts, maxDescriptor: options.maxDescriptor },
      expected: new Int32Array([options.expected ?? 0]),
      onReturned: ({ client }) => void returned.push(client),
      onRouteClosed: (route) => void closed.push(route),
    });
    routes.accept(0);
    return { returned, closed, left: clients };
  };
  const GIVEN_BACK = { returned: [CLIENT], closed: [0], left: [CLIENT + 1] };

  test('gives the client back and closes the route, since others would wait with a descriptor each', () => {
    expect(acceptTwo({ maxDescriptor: CLIENT + 1 })).toEqual(GIVEN_BACK);
  });

  test('lets clients in below the bound', () => {
    expect(acceptTwo({ maxDescriptor: 1_024 })).toEqual({ returned: [], closed: [], left: [] });
  });

  test('counts the descriptors that clients who wait in the main thread were promised', () => {
    expect(acceptTwo({ maxDescriptor: 768, expected: 768 - CLIENT - 1 })).toEqual(GIVEN_BACK);
  });

  test('counts what clients of other services need, whatever numbers the kernel gives', () => {
    const fill = (counts: ClientCounts) => {
      noteOwn(counts, 30);
      for (let hash = 0; hash < 368; hash++) countIn(counts, { service: 1, hash, cost: 2 });
    };
    expect(acceptTwo({ maxDescriptor: 768, fill })).toEqual(GIVEN_BACK);
  });
});

describe('RouteTable whose upstream says nothing', () => {
  let clock: FakeClock;
  let routes: RouteTable;
  /** Clients that were given back. */
  let returned: number[];

  beforeEach(() => {
    clock = new FakeClock();
    returned = [];
    const onReturned = ({ client }: { readonly client: number }) => void returned.push(client);
    routes = openRoutes({ clients: [CLIENT], clock, onReturned });
    routes.accept(0);
  });

  test.each([
    ['forth', HOUR_MS],
    ['back', -HOUR_MS],
  ])('gives a client back after its time, when the clock is set %s meanwhile', async (_way, jumpMs) => {
    clock.jump(jumpMs);
    expect(routes.timeoutMs()).toBe(LAST_CONNECT_MS);
    await clock.advance(LAST_CONNECT_MS - 1);
    routes.endTurn();
    expect([routes.timeoutMs(), returned]).toEqual([1, []]);
    await clock.advance(1);
    routes.endTurn();
    expect([routes.timeoutMs(), returned]).toEqual([undefined, [CLIENT]]);
  });
});

describe('RouteTable whose clients may not wait for long', () => {
  test.each([
    { what: 'its only upstream soon', upstreams: 1, budgetMs: 1_999 },
    { what: 'the upstreams that are left', upstreams: 2, budgetMs: 250 },
  ])('passes over $what, and says how long the client has waited', async ({ upstreams, budgetMs }) => {
    const clock = new FakeClock();
    const returned: object[] = [];
    const tried: number[] = [];
    const pairs = { add: (slot: number) => void tried.push(slot), remove() {}, close() {} };
    const routes = openRoutes({
      ...{ clients: [CLIENT], clock, upstreams, budgetMs, pairs: pairs as unknown as PairTable },
      onReturned: (client) => void returned.push(client),
    });
    routes.accept(0);
    await clock.advance(250);
    routes.endTurn();
    expect(returned).toEqual([{ route: 0, client: CLIENT, waitedMs: 250 }]);
    expect(tried).toHaveLength(1);
  });
});

describe('RouteTable whose route the main thread has closed', () => {
  test('gives a client back who comes before it hears of that, and counts it until the main thread has it', () => {
    const shared = createSharedState();
    const returned: number[] = [];
    const clients: number[] = [];
    const routes = openRoutes({ clients, shared, onReturned: ({ client }) => void returned.push(client) });
    Atomics.store(shared.routeOpen, 0, 0);
    clients.push(CLIENT);
    routes.accept(0);
    expect([returned, Atomics.load(shared.routeUse, 0)]).toEqual([[CLIENT], 1]);
  });
});

describe('RouteTable whose route is closed', () => {
  test('gives back the clients that are not connected yet, since another workload may answer there by now', () => {
    const returned: number[] = [];
    const removed: number[] = [];
    const slots: number[] = [];
    const pairs = { add: (slot: number) => slots.push(slot), remove: (slot: number) => removed.push(slot) };
    const routes = openRoutes({
      ...{ clients: [CLIENT, CLIENT + 1], pairs: pairs as unknown as PairTable },
      onReturned: ({ client }) => void returned.push(client),
    });
    routes.accept(0);
    const [connected = -1, connecting = -1] = slots;
    routes.connected(connected);
    routes.close(0);
    expect([removed, returned, routes.timeoutMs()]).toEqual([[connecting], [CLIENT + 1], undefined]);
  });

  test.each([
    ['at once', 0],
    ['a second time', -EISCONN],
  ])(
    'keeps a client whose upstream has answered, though the loop did not hear of it: told %s',
    (_when, status) => {
      const returned: number[] = [];
      let calls = 0;
      const connect = () => (calls++ === 0 ? -EINPROGRESS : status);
      const libc = {
        accept: () => clients.shift() ?? -EAGAIN,
        tcpSocket: () => UPSTREAM,
        tuneTcp: () => 0,
        connect,
      };
      const clients = [CLIENT];
      const routes = openRoutes({ clients, libc, onReturned: ({ client }) => void returned.push(client) });
      routes.accept(0);
      routes.close(0);
      expect(returned).toEqual([]);
    },
  );
});

describe('RouteTable whose connections end', () => {
  test('gives nobody a place in the turn in which its owner has left it', () => {
    const clients: number[] = [];
    const slots: number[] = [];
    const pairs = { add: (slot: number) => void slots.push(slot), remove() {}, close() {} };
    const routes = openRoutes({ clients, pairs: pairs as unknown as PairTable });
    const accept = () => {
      clients.push(CLIENT);
      routes.accept(0);
      return slots.at(-1) ?? -1;
    };
    const first = accept();
    expect(routes.ended(first)).toBe(true);
    // Events of the connection that was there before may still come in this turn.
    expect(accept()).not.toBe(first);
    routes.endTurn();
    expect(accept()).toBe(first);
  });
});
