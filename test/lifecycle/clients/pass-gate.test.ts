import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aService } from '../../support/builders.ts';
import {
  MISSING,
  PAUSED,
  RUNNING,
  STARTING,
  STOPPED,
  STOPPING,
  UNKNOWN,
} from '../../support/fake-backend.ts';
import { withDeafPort } from '../../support/deaf-port.ts';
import { settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import type { TestServer } from '../../support/sockets.ts';
import { Bench } from '../bench.ts';

const KEY = 'docker/db';

describe('connectUpstream', () => {
  let bench: Bench;
  let server: TestServer;
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const automate = (wakeMs = 200, sleepMs = 300) =>
    bench.backend.automate({ clock: bench.clock, wakeMs, sleepMs });
  const client = (port = server.port) => bench.client('db', port);
  const leases = () => bench.controller('db').leases;

  test('wakes a stopped workload once for 50 clients and serves them all', async () => {
    automate();
    bench.add(aService(), STOPPED);
    const clients = Array.from({ length: 50 }, () => client());
    await bench.until(() => clients.every(({ outcome }) => outcome === 'served'));
    expect(bench.backend.log).toEqual(['wake docker/db']);
    expect(leases()).toBe(50);
  });

  test('warns of no listener leak when many clients wait', async () => {
    const warnings: string[] = [];
    const note = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', note);
    bench.add(aService(), RUNNING);
    const port = await freePort();
    const clients = Array.from({ length: 50 }, () => client(port));
    await bench.clock.advance(50);
    for (const waiting of clients) waiting.leave();
    await settle();
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  describe('when the proved port of a ready workload says nothing any more', () => {
    const whenDeaf = (task: (port: number) => Promise<void>) =>
      withDeafPort(bench.sockets, task, async (port) => {
        bench.add(aService({ startTimeoutMs: 30_000 }), RUNNING);
        (await client(port).served).release();
      });

    test('refuses a client as soon as its budget is spent, its first try included', () =>
      whenDeaf(async (port) => {
        const waiting = client(port);
        await bench.clock.advance(29_999);
        expect(waiting.outcome).toBe('waiting');
        await bench.clock.advance(1);
        expect(waiting.outcome).toBe('timeout');
      }));

    test('takes from the budget what the client has waited for a warm path', () =>
      whenDeaf(async (port) => {
        const waiting = bench.client('db', port, { waitedMs: 29_000 });
        await bench.clock.advance(999);
        expect(waiting.outcome).toBe('waiting');
        await bench.clock.advance(1);
        expect(waiting.outcome).toBe('timeout');
      }));
  });

  test('asks the backend nothing when the workload is ready', async () => {
    bench.add(aService(), RUNNING);
    await client().served;
    await client().served;
    expect(bench.backend.calls).toEqual([]);
    expect(bench.backend.looks).toEqual([]);
  });

  test('has a ready workload looked at again, once a second, when its port does not answer', async () => {
    automate();
    bench.add(aService(), RUNNING);
    (await client().served).release();
    await server.close();
    const waiting = client();
    await bench.until(() => bench.backend.looks.length === 1);
    await bench.clock.advance(900);
    expect(bench.backend.looks).toEqual(['docker/db']);
    await bench.until(() => bench.backend.looks.length === 2, 50);
    // What is seen then is that nobody has told that it stopped.
    bench.backend.tell('docker/db', STOPPED);
    expect(bench.backend.log).toEqual(['wake docker/db']);
    waiting.leave();
  });

  test('has a workload that starts looked at by nobody, however often its port refuses', async () => {
    automate();
    bench.add(aService(), STOPPED);
    const waiting = client(await freePort());
    await bench.clock.advance(5_000);
    expect(waiting.outcome).toBe('waiting');
    expect(bench.backend.looks).toEqual([]);
    waiting.leave();
  });

  test.each([
    ['of the policy', { stopTimeoutMs: 3_000 }, {}, 33_000],
    ['of the workload', {}, { ownGraceMs: 60_000 }, 90_000],
    ['by default', {}, {}, 40_000],
  ])(
    'holds a client no longer than grace and budget when a stop does not end, the grace %s',
    async (_, fields, seen, boundMs) => {
      const stopping = { ...STOPPING, ...seen, detail: '1 pod has not ended' };
      bench.add(aService({ startTimeoutMs: 30_000, ...fields }), stopping);
      const waiting = client();
      await bench.clock.advance(boundMs - 1);
      expect(waiting.outcome).toBe('waiting');
      await bench.clock.advance(1);
      expect(waiting.outcome).toBe('timeout');
      await expect(waiting.served).rejects.toThrow('1 pod has not ended');
    },
  );

  test('uses the connection that proves the port', async () => {
    automate();
    bench.add(aService(), STOPPED);
    const waiting = client();
    await bench.until(() => waiting.outcome === 'served');
    await settle();
    expect(server.sockets).toHaveLength(1);
  });

  test('waits until the port answers when the workload runs before it listens', async () => {
    automate();
    const port = await freePort();
    bench.add(aService(), STOPPED);
    const waiting = client(port);
    await bench.clock.advance(5_000);
    expect(waiting.outcome).toBe('waiting');
    expect(bench.controller('db').state).toEqual({ kind: 'starting', phase: 'gate' });
    await bench.sockets.listen(undefined, { port });
    await bench.until(() => waiting.outcome === 'served');
    expect(bench.controller('db').state.kind).toBe('ready');
  });

  test('gives the lease back when the upstream connection is released', async () => {
    bench.add(aService(), RUNNING);
    const { release } = await client().served;
    expect(leases()).toBe(1);
    release();
    release();
    expect(leases()).toBe(0);
  });

  test('gives the lease back when the client leaves while it waits', async () => {
    automate();
    bench.add(aService(), STOPPED);
    const waiting = client();
    expect(leases()).toBe(1);
    waiting.leave();
    await settle();
    expect(waiting.outcome).toBe('left');
    expect(leases()).toBe(0);
  });

  test('goes on for the others when the client that wakes it leaves', async () => {
    automate();
    bench.add(aService(), STOPPED);
    const first = client();
    const second = client();
    first.leave();
    await bench.until(() => second.outcome !== 'waiting');
    expect(second.outcome).toBe('served');
  });

  test('goes on for the others when the client that dials leaves', async () => {
    const port = await freePort();
    bench.add(aService(), RUNNING);
    const first = client(port);
    const second = client(port);
    await bench.clock.advance(10);
    first.leave();
    await bench.sockets.listen(undefined, { port });
    await bench.until(() => second.outcome !== 'waiting');
    expect([first.outcome, second.outcome]).toEqual(['left', 'served']);
  });

  test('wakes nothing for a client that is gone already', async () => {
    bench.add(aService(), STOPPED);
    const signal = AbortSignal.abort();
    const request = { port: server.port, client: '10.0.0.5:4242', signal };
    await expect(bench.lifecycle.connect('db', request)).rejects.toMatchObject({ code: 'left' });
    expect(bench.backend.calls).toEqual([]);
    expect(leases()).toBe(0);
  });

  test('waits for a stop under way and has the workload woken again', async () => {
    automate();
    bench.add(aService({ idleTimeoutMs: 0 }), RUNNING);
    await bench.until(() => bench.backend.count('sleep') === 1);
    const late = client();
    await bench.until(() => late.outcome === 'served');
    expect(bench.backend.log).toEqual(['sleep docker/db', 'wake docker/db']);
  });

  test('waits for a stop that somebody else began, and has the workload woken again', async () => {
    automate();
    bench.add(aService(), STOPPING);
    const waiting = client();
    await bench.clock.advance(5_000);
    expect(bench.backend.calls).toEqual([]);
    bench.backend.tell(KEY, STOPPED);
    await bench.until(() => waiting.outcome === 'served');
  });

  test('does not take the time of a stop from the budget of a start', async () => {
    automate(20_000, 25_000);
    bench.add(aService({ idleTimeoutMs: 0 }), RUNNING);
    await bench.until(() => bench.backend.count('sleep') === 1);
    const late = client();
    await bench.until(() => late.outcome !== 'waiting', 100);
    expect(late.outcome).toBe('served');
  });

  test('serves a client when the stop under way fails', async () => {
    bench.add(aService({ idleTimeoutMs: 0 }), RUNNING);
    await bench.until(() => bench.backend.count('sleep') === 1);
    const late = client();
    bench.backend.last.fail('no', RUNNING);
    await bench.until(() => late.outcome !== 'waiting');
    expect(late.outcome).toBe('served');
  });

  test('refuses at once when the workload dies during the start', async () => {
    bench.add(aService(), STOPPED);
    const waiting = client(await freePort());
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await bench.clock.advance(100);
    bench.backend.tell(KEY, { ...STOPPED, detail: 'exit code 1' });
    await settle();
    expect(waiting.outcome).toBe('failed');
    await expect(waiting.served).rejects.toThrow('exit code 1');
  });

  test('refuses at once when the engine refuses the start', async () => {
    bench.add(aService(), STOPPED);
    const waiting = client();
    await bench.backend.called(1);
    bench.backend.last.fail('no such image');
    await settle();
    await expect(waiting.served).rejects.toMatchObject({ code: 'failed', message: 'no such image' });
  });

  test('goes on waiting when the engine starts a dead workload again by itself', async () => {
    bench.add(aService(), STOPPED);
    const port = await freePort();
    const waiting = client(port);
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await bench.clock.advance(100);
    bench.backend.tell(KEY, STARTING);
    await bench.clock.advance(1_000);
    expect(waiting.outcome).toBe('waiting');
    await bench.sockets.listen(undefined, { port });
    bench.backend.tell(KEY, RUNNING);
    await bench.until(() => waiting.outcome !== 'waiting');
    expect(waiting.outcome).toBe('served');
  });

  test('lets a client that arrives during the backoff wait, and serves it by the next start', async () => {
    bench.add(aService(), STOPPED);
    const first = client();
    await bench.backend.called(1);
    bench.backend.last.fail('no');
    await settle();
    expect(first.outcome).toBe('failed');
    const second = client();
    await bench.clock.advance(999);
    expect(bench.backend.count('wake')).toBe(1);
    await bench.clock.advance(1);
    expect(bench.backend.count('wake')).toBe(2);
    bench.backend.last.succeed(RUNNING);
    await bench.until(() => second.outcome !== 'waiting');
    expect(second.outcome).toBe('served');
  });

  test('refuses a client in its own time when the backoff lasts longer', async () => {
    bench.add(aService({ startTimeoutMs: 500 }), STOPPED);
    client();
    await bench.backend.called(1);
    bench.backend.last.fail('no');
    await settle();
    const second = client();
    await bench.clock.advance(499);
    expect(second.outcome).toBe('waiting');
    await bench.clock.advance(1);
    expect(second.outcome).toBe('timeout');
    expect(leases()).toBe(0);
  });

  test('calls the engine no sooner for a paused workload that could not be unpaused', async () => {
    bench.add(aService(), PAUSED);
    client();
    await bench.backend.called(1);
    bench.backend.last.fail('no');
    await settle();
    const second = client();
    bench.backend.tell(KEY, PAUSED);
    await bench.clock.advance(999);
    expect(bench.backend.count('wake')).toBe(1);
    second.leave();
    await bench.clock.advance(1);
  });

  test('refuses at the deadline when the engine does not come to an end, and gives the call up', async () => {
    bench.add(aService(), STOPPED);
    const waiting = client();
    await bench.clock.advance(29_999);
    expect(waiting.outcome).toBe('waiting');
    await bench.clock.advance(1);
    expect(waiting.outcome).toBe('timeout');
    await bench.backend.called(1);
    expect(bench.backend.last.aborted).toBe(true);
    expect(leases()).toBe(0);
  });

  test('starts afresh for the next client when the deadline has passed', async () => {
    bench.add(aService(), STOPPED);
    client();
    await bench.clock.advance(30_000);
    const next = client();
    await bench.clock.advance(1_000);
    expect(bench.backend.count('wake')).toBe(2);
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await bench.until(() => next.outcome !== 'waiting');
    expect(next.outcome).toBe('served');
  });

  test('refuses when the port does not answer within the deadline', async () => {
    automate();
    bench.add(aService(), STOPPED);
    const waiting = client(await freePort());
    await bench.clock.advance(30_000);
    expect(waiting.outcome).toBe('timeout');
    expect(bench.controller('db').state).toEqual({ kind: 'failed', running: true });
    expect(bench.lines.filter((line) => line.includes('is awake'))).toEqual([]);
  });

  test('does not call a workload awake whose last client has waited in vain', async () => {
    bench.add(aService(), MISSING);
    const waiting = client(await freePort());
    await bench.clock.advance(20_000);
    bench.backend.tell(KEY, RUNNING);
    await bench.clock.advance(10_000);
    expect(waiting.outcome).toBe('timeout');
    expect(bench.controller('db').state).toEqual({ kind: 'failed', running: true });
  });

  test('dials anew for the next client when the port did not answer within the deadline', async () => {
    automate();
    const port = await freePort();
    bench.add(aService(), STOPPED);
    client(port);
    await bench.clock.advance(30_000);
    await bench.sockets.listen(undefined, { port });
    const next = client(port);
    await bench.until(() => next.outcome !== 'waiting');
    expect(next.outcome).toBe('served');
    expect(bench.backend.count('wake')).toBe(1);
  });

  test('serves when the workload began to run although the call of the start did not end in time', async () => {
    bench.add(aService(), STOPPED);
    client();
    await bench.backend.called(1);
    bench.backend.tell(KEY, RUNNING);
    await bench.clock.advance(30_000);
    const next = client();
    await bench.until(() => next.outcome !== 'waiting');
    expect(next.outcome).toBe('served');
    expect(bench.backend.count('wake')).toBe(1);
  });

  test('puts to sleep what runs although its start did not end in time', async () => {
    bench.add(aService({ idleTimeoutMs: 60_000 }), STOPPED);
    client();
    await bench.backend.called(1);
    bench.backend.tell(KEY, RUNNING);
    await bench.clock.advance(90_000);
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
  });

  test('unpauses a paused workload', async () => {
    automate();
    bench.add(aService(), PAUSED);
    const waiting = client();
    await bench.until(() => waiting.outcome === 'served');
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });

  test('unpauses what others have paused in the middle of its start', async () => {
    bench.add(aService(), STOPPED);
    const waiting = client();
    await bench.backend.called(1);
    bench.backend.last.succeed(PAUSED);
    await bench.backend.called(2);
    bench.backend.last.succeed(RUNNING);
    await bench.until(() => waiting.outcome === 'served');
    expect(bench.backend.log).toEqual(['wake docker/db', 'wake docker/db']);
  });

  test('serves as soon as a missing workload appears', async () => {
    automate();
    bench.add(aService(), MISSING);
    const waiting = client();
    await bench.clock.advance(5_000);
    expect(bench.backend.calls).toEqual([]);
    bench.backend.tell(KEY, STOPPED);
    await bench.until(() => waiting.outcome === 'served');
    expect(bench.backend.count('wake')).toBe(1);
  });

  test('refuses when a missing workload does not appear in time', async () => {
    bench.add(aService(), MISSING);
    const waiting = client();
    await bench.clock.advance(30_000);
    expect(waiting.outcome).toBe('timeout');
  });

  test('waits for an engine that can not be reached, and serves when it is back', async () => {
    automate();
    bench.add(aService(), UNKNOWN);
    const waiting = client();
    await bench.clock.advance(20_000);
    expect(waiting.outcome).toBe('waiting');
    bench.backend.tell(KEY, STOPPED);
    await bench.until(() => waiting.outcome === 'served');
  });

  test('refuses in time when the engine stays out of reach', async () => {
    bench.add(aService(), UNKNOWN);
    const waiting = client();
    await bench.clock.advance(30_000);
    expect(waiting.outcome).toBe('timeout');
  });

  test('goes on serving a ready workload while the engine is out of reach', async () => {
    bench.add(aService(), RUNNING);
    bench.backend.tell(KEY, UNKNOWN);
    const waiting = client();
    await bench.until(() => waiting.outcome !== 'waiting');
    expect(waiting.outcome).toBe('served');
    expect(bench.controller('db').state.kind).toBe('ready');
  });

  test('refuses those beyond max_pending, and takes more when somebody has left', async () => {
    bench.add(aService({ maxPending: 2 }), STOPPED);
    const [first, , third] = [client(), client(), client()];
    await settle();
    expect(third?.outcome).toBe('overloaded');
    expect(leases()).toBe(2);
    first?.leave();
    await settle();
    const fourth = client();
    await settle();
    expect(fourth.outcome).toBe('waiting');
  });

  test('does not count clients of a ready workload for max_pending', async () => {
    bench.add(aService({ maxPending: 1 }), RUNNING);
    await client().served;
    const outcomes = await Promise.all([client().served, client().served, client().served]);
    expect(outcomes).toHaveLength(3);
  });

  test('wakes the workload again for the same client when it stops before the dial', async () => {
    automate();
    bench.add(aService(), RUNNING);
    (await client().served).release();
    await server.close();
    const late = client();
    await bench.clock.advance(10);
    bench.backend.tell(KEY, STOPPED);
    await bench.backend.called(1);
    await bench.sockets.listen(undefined, { port: server.port });
    await bench.until(() => late.outcome !== 'waiting');
    expect(late.outcome).toBe('served');
  });

  test('dials the new address when the workload comes back under another one', async () => {
    bench.add(aService(), RUNNING);
    const port = await freePort();
    const waiting = client(port);
    await bench.clock.advance(10);
    await bench.sockets.listen(undefined, { port, host: '127.0.0.2' });
    bench.backend.tell(KEY, { ...RUNNING, hosts: ['127.0.0.2'] });
    const { socket } = await waiting.served;
    expect(socket.remoteAddress).toBe('127.0.0.2');
  });

  test('has nothing proved by the datagrams of a workload that ran before its engine could be asked', async () => {
    bench.add(aService({ listeners: [{ protocol: 'udp', address: '', port: 53, targetPort: 53 }] }), UNKNOWN);
    await settle();
    bench.backend.tell(KEY, RUNNING);
    const lease = bench.lifecycle.takeFlowLease('db', {
      port: 53,
      client: '10.0.0.5:1',
      sleepIfSilent: false,
    });
    const opened = lease.open({
      readiness: 'reply',
      prove: async () => ({ how: 'prove', close() {} }),
      follow: async () => ({ how: 'follow', close() {} }),
      signal: new AbortController().signal,
    });
    expect((await opened).value.how).toBe('follow');
    lease.release(bench.clock.monotonicMs());
  });

  test('keeps nothing of what a flow that has left gets too late', async () => {
    bench.add(aService({ listeners: [{ protocol: 'udp', address: '', port: 53, targetPort: 53 }] }), STOPPED);
    const lease = bench.lifecycle.takeFlowLease('db', {
      port: 53,
      client: '10.0.0.5:1',
      sleepIfSilent: false,
    });
    const gone = new AbortController();
    let isClosed = false;
    let pass = () => {};
    const passed = new Promise<{ close(): void }>((resolve) => {
      pass = () =>
        resolve({
          close() {
            isClosed = true;
          },
        });
    });
    const prove = () => passed;
    const opened = lease.open({ readiness: 'reply', prove, follow: prove, signal: gone.signal });
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await settle();
    gone.abort(new Error('gone'));
    pass();
    await expect(opened).rejects.toMatchObject({ code: 'left' });
    expect(isClosed).toBe(true);
    lease.release(bench.clock.monotonicMs());
  });
});

describe('FlowLease that nothing answers', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const listeners = [{ protocol: 'udp', address: '', port: 53, targetPort: 53 }] as const;
  const SERVICE = aService({ listeners, startTimeoutMs: 3_000 });
  const take = () => bench.lifecycle.takeFlowLease('db', { port: 53, client: 'c', sleepIfSilent: true });
  const fail = (error: Error) => () => Promise.reject(error);
  /** Opens a flow whose every try fails, until its budget is spent, and gives the lease back. */
  const openInVain = async (error: Error) => {
    const lease = take();
    const { signal } = new AbortController();
    const opened = lease.open({ readiness: 'reply', prove: fail(error), follow: fail(error), signal });
    const outcome = opened.then(
      () => 'served',
      (refusal) => refusal.code,
    );
    await settle();
    if (bench.backend.count('wake') > 0) bench.backend.last.succeed(RUNNING);
    await bench.clock.advance(3_000);
    expect(await outcome).toBe('timeout');
    lease.release(bench.clock.monotonicMs());
    await settle();
  };
  const sleeps = () => bench.backend.count('sleep');

  test('has the workload put to sleep', async () => {
    bench.add(SERVICE, STOPPED);
    await openInVain(new Error('silence'));
    expect(sleeps()).toBe(1);
    bench.backend.last.succeed(STOPPED);
  });

  test('leaves it awake where the proxy had no socket to ask by', async () => {
    bench.add(SERVICE, STOPPED);
    await openInVain(Object.assign(new Error('too many open files'), { code: 'EMFILE' }));
    expect(sleeps()).toBe(0);
  });

  test('leaves it awake where its health check has passed', async () => {
    bench.add(SERVICE, STOPPED);
    const lease = take();
    const { signal } = new AbortController();
    const silence = fail(new Error('silence'));
    const opened = lease.open({ readiness: 'reply', prove: silence, follow: silence, signal });
    const refused = expect(opened).rejects.toMatchObject({ code: 'timeout' });
    await settle();
    bench.backend.last.succeed({ ...RUNNING, health: 'healthy' });
    await bench.clock.advance(3_000);
    await refused;
    lease.release(bench.clock.monotonicMs());
    await settle();
    expect(sleeps()).toBe(0);
  });

  test('leaves it awake where it is ready all the same', async () => {
    bench.add(SERVICE, RUNNING);
    await settle();
    expect(bench.controller('db').state.kind).toBe('ready');
    await openInVain(new Error('silence'));
    expect(sleeps()).toBe(0);
  });
});
