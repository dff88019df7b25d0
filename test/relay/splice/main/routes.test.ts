import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { descriptorOf } from '../../../../src/relay/native/descriptor-of.ts';
import { createLibc, type Libc } from '../../../../src/relay/native/libc.ts';
import { loadKoffi } from '../../../../src/relay/native/load-koffi.ts';
import { Routes, type RouteThread } from '../../../../src/relay/splice/main/routes.ts';
import { createSharedState, type ThreadReport } from '../../../../src/relay/splice/thread-protocol.ts';
import type { RouteOptions, TcpRoute } from '../../../../src/relay/tcp/tcp-relay.ts';

const NOTHING: ThreadReport = {
  ended: [],
  finished: [],
  returned: [],
  barred: [],
  used: [],
  closed: [],
  unwatched: [],
  short: [],
};

describe.runIf(process.platform === 'linux')('Routes', () => {
  const shared = createSharedState();
  let libc: Libc;
  let server: Server;
  let routes: Routes;
  let route: TcpRoute;
  /** What the owner was told: of the number of connections, and that the route is lost. */
  let told: (number | 'lost')[];
  let listeners: number[];
  /** Under which name the thread is to report the end of each connection. */
  let reportedAs: (string | undefined)[];
  /** Clients that were given back. */
  let given: number;

  beforeEach(async () => {
    const load = await loadKoffi();
    if (load.kind === 'unavailable') throw new Error(load.reason);
    libc = createLibc(load.koffi);
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    told = [];
    listeners = [];
    reportedAs = [];
    const thread: RouteThread = {
      shared,
      post: (command) => {
        if (command.kind !== 'open-route') return;
        listeners.push(command.listener);
        reportedAs.push(command.reportedAs);
      },
    };
    routes = new Routes(thread, { libc, reportsEnds: false });
    given = 0;
    const opened = routes.open(server, options());
    if (opened === undefined) throw new Error('there is no route');
    route = opened;
  });
  const options = (): RouteOptions => ({
    upstreams: [{ host: '127.0.0.1', port: 1 }],
    keepAliveMs: 0,
    budgetMs: 30_000,
    service: 0,
    name: 'db',
    access: { allowList: [], blockList: [] },
    onUse: (count) => void told.push(count),
    onReturned: (client) => {
      given++;
      client.destroy();
    },
    onLost: () => void told.push('lost'),
  });
  afterEach(() => {
    for (const fd of [...listeners, route.takeListener()]) libc.close(fd);
    server.close();
  });

  test('tells first that it is lost and then that its connections are over, when the thread dies: its owner may forget it then', () => {
    Atomics.store(shared.routeUse, 0, 2);
    routes.died();
    expect(told).toEqual(['lost', 0]);
  });

  test('tells of the last end even where the thread has closed the route before its word of it comes', () => {
    Atomics.store(shared.routeUse, 0, 1);
    routes.take({ ...NOTHING, used: [0] });
    route.close();
    Atomics.store(shared.routeUse, 0, 0);
    routes.take({ ...NOTHING, closed: [0] });
    expect(told).toEqual([1, 0]);
    routes.take({ ...NOTHING, used: [0] });
    expect([told, routes.count]).toEqual([[1, 0], 0]);
  });

  test('has the thread report no end of a connection where the log does not show it', () => {
    expect(reportedAs).toEqual([undefined]);
  });

  test('keeps a closed route until its last connection has ended', () => {
    Atomics.store(shared.routeUse, 0, 1);
    route.close();
    routes.take({ ...NOTHING, used: [0], closed: [0] });
    expect(routes.count).toBe(1);
    Atomics.store(shared.routeUse, 0, 0);
    routes.take({ ...NOTHING, used: [0] });
    expect([told.at(-1), routes.count]).toEqual([0, 0]);
  });

  test('stays open for clients where it could not be closed because of one', () => {
    Atomics.store(shared.routeUse, 0, 1);
    expect(route.tryClose()).toBe(false);
    expect(Atomics.load(shared.routeOpen, 0)).toBe(1);
    Atomics.store(shared.routeUse, 0, 0);
    expect(route.tryClose()).toBe(true);
    expect(Atomics.load(shared.routeOpen, 0)).toBe(0);
  });

  test('tells of the end of its use when the thread gives the last client back', async () => {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(client, 'connect');
    Atomics.store(shared.routeUse, 0, 1);
    routes.take({
      ...NOTHING,
      returned: [{ route: 0, client: libc.dup(descriptorOf(client) ?? -1), waitedMs: 0 }],
    });
    client.destroy();
    expect([told, given]).toEqual([[0], 1]);
  });

  test('keeps no descriptor where there is only one for it', () => {
    const closed: number[] = [];
    const made = [50, -1];
    const scarce = {
      readTcpInfo: () => -1,
      dup: () => made.shift() ?? -1,
      close(fd: number) {
        closed.push(fd);
        return 0;
      },
    };
    const poor = new Routes({ shared, post() {} }, { libc: scarce, reportsEnds: false });
    expect([poor.open(server, options()), closed]).toEqual([undefined, [50]]);
  });
});
