import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseHealthGate, isCheckTooLate } from '../../../src/lifecycle/run/run-follower.ts';
import type { Observation } from '../../../src/model/running/observation.ts';
import type { Service } from '../../../src/model/service.ts';
import { aUrl } from '../../support/builders.ts';
import { RUNNING, STARTING, STOPPED } from '../../support/fake-backend.ts';
import { settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import type { TestServer } from '../../support/sockets.ts';
import { aBareService, Bench } from '../bench.ts';

const KEY = 'docker/db';
const DOUBTFUL: Observation = { ...RUNNING, health: 'starting' };
const HEALTHY: Observation = { ...RUNNING, health: 'healthy' };
const UNHEALTHY: Observation = { ...RUNNING, health: 'unhealthy' };

describe('chooseHealthGate', () => {
  const url = 'http://{{container}}/';
  test.each([
    [undefined, RUNNING, 'none'],
    [undefined, DOUBTFUL, 'engine'],
    [undefined, HEALTHY, 'engine'],
    [url, RUNNING, 'http'],
    [url, DOUBTFUL, 'http'],
  ] as const)('with the URL %s and %o it is %s', (httpHealthcheck, observation, gate) => {
    const check = httpHealthcheck === undefined ? undefined : aUrl(httpHealthcheck);
    expect(chooseHealthGate({ httpHealthcheck: check, observation })).toBe(gate);
  });
});

describe('isCheckTooLate', () => {
  test.each([
    ['that the engine tells nothing of', undefined, 30_000, false],
    ['within the budget', 5_000, 30_000, false],
    ['at the end of the budget', 30_000, 30_000, true],
    ['just before the end, too late to run', 29_600, 30_000, true],
    ['after the budget', 60_000, 30_000, true],
  ])('of a check %s', (_, firstMs, startTimeoutMs, expected) => {
    const observation = { ...DOUBTFUL, ...(firstMs && { checkTimes: { firstMs, lastMs: 1e9 } }) };
    expect(isCheckTooLate({ observation, startTimeoutMs })).toBe(expected);
  });

  test('is false once the check has spoken', () => {
    const observation = { ...UNHEALTHY, checkTimes: { firstMs: 60_000, lastMs: 1e9 } };
    expect(isCheckTooLate({ observation, startTimeoutMs: 30_000 })).toBe(false);
  });
});

describe('RunFollower', () => {
  let bench: Bench;
  let server: TestServer;
  let web: Server;
  let status: number;
  let asked: number;
  let url: string;
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
    status = 503;
    asked = 0;
    web = createServer((_request, response) => {
      asked++;
      response.writeHead(status).end();
    });
    web.listen(0, '127.0.0.1');
    await once(web, 'listening');
    url = `http://{{container}}:${(web.address() as AddressInfo).port}/health`;
  });
  afterEach(async () => {
    const left = await bench.close();
    web.closeAllConnections();
    await new Promise((resolve) => web.close(resolve));
    expect(left).toBe(0);
  });
  const start = async (overrides: Partial<Service>, observation: Observation) => {
    bench.add(aBareService(overrides), STOPPED);
    const client = bench.client('db', server.port);
    await bench.backend.called(1);
    bench.backend.last.succeed(observation);
    await settle();
    return client;
  };
  const state = () => bench.controller('db').state;
  const tell = (observation: Observation) => bench.backend.tell(KEY, observation);
  const untilAsked = async (count: number) => {
    await bench.until(() => asked >= count, 25);
  };

  describe('with a health check over HTTP', () => {
    test.each([
      ['others have stopped it', { ...STOPPED, stoppedBy: 'others' }, 'stopped-by-others'],
      ['others have removed it', { ...STOPPED, state: 'missing' }, 'stopped-by-others'],
      ['it ended by itself', { ...STOPPED, stoppedBy: 'itself' }, undefined],
      ['nobody says why', STOPPED, undefined],
    ] as const)('says of a run that is over where %s', async (_, observation, code) => {
      bench.add(aBareService(), RUNNING);
      const { ended } = bench.controller('db').currentRun ?? {};
      bench.backend.tell(KEY, observation);
      expect([ended?.aborted, ended?.reason.code]).toEqual([true, code]);
    });

    test('connects nobody to a run whose end was told, until it was looked at what runs now', async () => {
      bench.add(aBareService(), RUNNING);
      const first = bench.client('db', server.port);
      await bench.until(() => first.outcome === 'served');
      let closes = 0;
      const user = { lastUsedMs: 0, listUses: () => [], tryClose: () => true, close: () => void closes++ };
      expect(bench.lifecycle.openWarmPath('db', { port: server.port, user })).toBeDefined();
      bench.lifecycle.runEnded(KEY, { byOthers: true });
      expect(closes).toBe(1);
      const second = bench.client('db', server.port);
      await bench.clock.advance(500);
      expect(second.outcome).toBe('waiting');
      bench.backend.tell(KEY, RUNNING);
      await bench.until(() => second.outcome !== 'waiting');
      expect(second.outcome).toBe('served');
      expect(bench.backend.calls).toEqual([]);
    });

    test('says of a run that the proxy ends that this was not somebody else', async () => {
      bench.add(aBareService(), RUNNING);
      await settle();
      const { ended } = bench.controller('db').currentRun ?? {};
      bench.controller('db').sleep({ kind: 'hand', words: 'for a test' });
      bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
      expect([ended?.aborted, ended?.reason.code]).toEqual([true, undefined]);
      bench.backend.last.succeed(STOPPED);
    });

    test('dials nothing before it has passed', async () => {
      const client = await start({ httpHealthcheck: aUrl(url) }, RUNNING);
      await untilAsked(4);
      expect(server.sockets).toEqual([]);
      expect(client.outcome).toBe('waiting');
      expect(bench.controller('db').currentRun).toBeUndefined();
      status = 200;
      await bench.until(() => client.outcome !== 'waiting', 25);
      expect(client.outcome).toBe('served');
      expect(server.sockets).toHaveLength(1);
    });

    test('never asks again when the workload is ready', async () => {
      status = 200;
      const client = await start({ httpHealthcheck: aUrl(url) }, RUNNING);
      await bench.until(() => client.outcome === 'served');
      expect(asked).toBe(1);
      await bench.client('db', server.port).served;
      tell({ ...RUNNING });
      await bench.clock.advance(10_000);
      expect(asked).toBe(1);
    });

    test('takes the answers for ready that its setting names, redirects too', async () => {
      status = 401;
      const httpHealthcheckStatus = [
        { first: 200, last: 399 },
        { first: 401, last: 401 },
      ];
      const client = await start({ httpHealthcheck: aUrl(url), httpHealthcheckStatus }, RUNNING);
      await bench.until(() => client.outcome === 'served');
      expect(asked).toBe(1);
    });

    test('tells the last answer to who has waited in vain', async () => {
      status = 401;
      const client = await start({ httpHealthcheck: aUrl(url), startTimeoutMs: 4_000 }, RUNNING);
      const told = client.served.then(
        () => 'served',
        (error: Error) => error.message,
      );
      await bench.until(() => client.outcome !== 'waiting', 25);
      const shown = url.replace('{{container}}', '127.0.0.1');
      expect(await told).toBe(`not ready within 4000 ms: GET ${shown} answered 401 (ready: 200-299)`);
    });

    test('asks again in the next run', async () => {
      status = 200;
      const client = await start({ httpHealthcheck: aUrl(url) }, RUNNING);
      await bench.until(() => client.outcome === 'served');
      tell(STOPPED);
      tell(RUNNING);
      await bench.until(() => asked === 2);
      await bench.until(() => state().kind === 'ready');
    });

    test('begins a run with the newest addresses, which may have changed while it was asked', async () => {
      const ports = (port: number) => ({ 'tcp/http': [{ host: '127.0.0.1', port }] });
      const client = await (async () => {
        bench.add(aBareService({ httpHealthcheck: aUrl(url) }), STOPPED);
        const waiting = bench.client('db', 'http');
        await bench.backend.called(1);
        bench.backend.last.succeed({ ...RUNNING, ports: ports(await freePort()) });
        await settle();
        return waiting;
      })();
      await untilAsked(2);
      tell({ ...RUNNING, ports: ports(server.port) });
      status = 200;
      await bench.until(() => client.outcome === 'served', 25);
      expect(server.sockets).toHaveLength(1);
    });

    test('counts before what the engine says', async () => {
      const client = await start({ httpHealthcheck: aUrl(url) }, UNHEALTHY);
      await untilAsked(2);
      expect(client.outcome).toBe('waiting');
      tell(HEALTHY);
      await untilAsked(4);
      expect(server.sockets).toEqual([]);
      status = 200;
      await bench.until(() => client.outcome === 'served', 25);
    });

    test('refuses those who wait when it has not passed within the budget', async () => {
      const client = await start({ httpHealthcheck: aUrl(url), startTimeoutMs: 5_000 }, RUNNING);
      await bench.clock.advance(5_000);
      expect(client.outcome).toBe('timeout');
      expect(state()).toEqual({ kind: 'failed', running: true });
      const { length } = bench.clock.delaysMs;
      await settle();
      const before = asked;
      await bench.clock.advance(20_000);
      expect(asked).toBe(before);
      expect(length).toBeLessThanOrEqual(1);
    });

    test('is asked anew for the next client after it has not passed', async () => {
      await start({ httpHealthcheck: aUrl(url), startTimeoutMs: 5_000 }, RUNNING);
      await bench.clock.advance(5_000);
      status = 200;
      const next = bench.client('db', server.port);
      await bench.until(() => next.outcome !== 'waiting', 25);
      expect(next.outcome).toBe('served');
      expect(bench.backend.log).toEqual(['wake docker/db']);
    });

    test('asks at the addresses that the workload has got meanwhile', async () => {
      const client = await start({ httpHealthcheck: aUrl(url) }, { ...RUNNING, hosts: ['127.0.0.2'] });
      status = 200;
      await bench.clock.advance(200);
      expect(client.outcome).toBe('waiting');
      tell(RUNNING);
      await bench.until(() => client.outcome === 'served', 25);
      expect(bench.controller('db').currentRun?.hosts).toEqual(['127.0.0.1']);
    });

    test('waits for an address to ask at', async () => {
      status = 200;
      const client = await start({ httpHealthcheck: aUrl(url) }, { ...RUNNING, hosts: [] });
      await bench.clock.advance(1_000);
      expect(asked).toBe(0);
      tell(RUNNING);
      await bench.until(() => client.outcome === 'served', 25);
    });

    test('lets a workload be ready that nobody waits for, when it has passed', async () => {
      bench.add(aBareService({ httpHealthcheck: aUrl(url) }), RUNNING);
      await untilAsked(2);
      expect(state().kind).toBe('starting');
      status = 200;
      await bench.until(() => state().kind === 'ready', 25);
    });
  });

  describe('with a health check of the engine', () => {
    test('dials nothing before it is healthy, and serves then', async () => {
      const client = await start({}, DOUBTFUL);
      await bench.clock.advance(10_000);
      expect(server.sockets).toEqual([]);
      expect(state()).toEqual({ kind: 'starting', phase: 'gate' });
      tell(HEALTHY);
      await bench.until(() => client.outcome !== 'waiting');
      expect(client.outcome).toBe('served');
      expect(asked).toBe(0);
    });

    test('goes on waiting while it is unhealthy, and says so once', async () => {
      const client = await start({}, DOUBTFUL);
      tell(UNHEALTHY);
      tell({ ...UNHEALTHY });
      await bench.clock.advance(10_000);
      expect(client.outcome).toBe('waiting');
      const line =
        'db: its health check says that it is unhealthy; the proxy waits for it to recover, within start_timeout (30 s)';
      expect(bench.lines.filter((text) => text.includes('unhealthy'))).toEqual([line]);
      tell(HEALTHY);
      await bench.until(() => client.outcome !== 'waiting');
      expect(client.outcome).toBe('served');
    });

    test('refuses those who wait, with the reason, when it is still unhealthy at the end of the budget', async () => {
      const client = await start({}, DOUBTFUL);
      tell(UNHEALTHY);
      await bench.clock.advance(30_000);
      expect(client.outcome).toBe('timeout');
      expect(state()).toEqual({ kind: 'failed', running: true });
      await expect(client.served).rejects.toThrow('unhealthy');
    });

    test('is ready when it becomes healthy after the budget', async () => {
      await start({}, UNHEALTHY);
      await bench.clock.advance(30_000);
      tell(HEALTHY);
      await settle();
      expect(state().kind).toBe('ready');
    });

    describe('that speaks too late for the budget', () => {
      const checkTimes = { firstMs: 30_000, lastMs: 240_000 };

      test('serves a client as soon as the port answers, and says why', async () => {
        const client = await start({}, { ...DOUBTFUL, checkTimes });
        await bench.until(() => client.outcome !== 'waiting');
        expect(client.outcome).toBe('served');
        const line =
          'db: its health check first runs 30 s after a start, too late for start_timeout (30 s): until then the service counts as ready as soon as its port answers';
        expect(bench.lines.filter((text) => text.includes('health check'))).toEqual([line]);
      });

      test('lets nobody to the port once it has said that the workload is unhealthy', async () => {
        bench.add(aBareService(), STOPPED);
        const client = bench.client('db', await freePort());
        await bench.backend.called(1);
        bench.backend.last.succeed({ ...DOUBTFUL, checkTimes });
        await settle();
        expect(bench.controller('db').currentRun).toBeDefined();
        tell({ ...UNHEALTHY, checkTimes });
        expect(bench.controller('db').currentRun).toBeUndefined();
        await bench.clock.advance(5_000);
        expect(client.outcome).toBe('waiting');
        client.leave();
      });
    });

    test('does not mind a ready workload that becomes unhealthy', async () => {
      await start({}, HEALTHY);
      await bench.until(() => state().kind === 'ready');
      tell(UNHEALTHY);
      await bench.client('db', server.port).served;
      expect(state().kind).toBe('ready');
    });
  });

  test('begins a new run when the addresses have changed, and ends the old one', async () => {
    bench.add(aBareService(), RUNNING);
    const before = bench.controller('db').currentRun;
    tell({ ...RUNNING, hosts: ['127.0.0.2', '127.0.0.1'] });
    const after = bench.controller('db').currentRun;
    expect(after).not.toBe(before);
    await expect(before?.connect(80, new AbortController().signal)).rejects.toThrow('stopped');
    expect(after?.hosts).toEqual(['127.0.0.2', '127.0.0.1']);
    tell({ ...RUNNING, hosts: ['127.0.0.2', '127.0.0.1'] });
    expect(bench.controller('db').currentRun).toBe(after);
    tell({ ...RUNNING, hosts: [] });
    expect(bench.controller('db').currentRun).toBe(after);
  });

  test('has no run when the workload restarts', async () => {
    bench.add(aBareService(), RUNNING);
    const before = bench.controller('db').currentRun;
    tell(STARTING);
    expect(bench.controller('db').currentRun).toBeUndefined();
    await expect(before?.connect(80, new AbortController().signal)).rejects.toThrow('stopped');
  });

  test.each([
    ['ran before the proxy', [RUNNING], false],
    ['was started by somebody else', [STOPPED, RUNNING], true],
    ['was restarted after it ran before the proxy', [RUNNING, STOPPED, RUNNING], true],
  ] as const)(
    'asks the datagram ports of a workload for proof as needed: it %s',
    async (_title, all, cold) => {
      const [first, ...rest] = all;
      bench.add(aBareService(), first ?? STOPPED);
      await settle();
      for (const observation of rest) {
        tell(observation);
        await settle();
      }
      const ways: string[] = [];
      const pass = (way: string) => async () => void ways.push(way);
      const passage = { readiness: 'reply', prove: pass('prove'), follow: pass('follow') } as const;
      const { signal } = new AbortController();
      await bench.controller('db').currentRun?.passDatagrams(53, { passage, signal });
      expect(ways).toEqual([cold ? 'prove' : 'follow']);
    },
  );
});
