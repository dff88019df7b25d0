import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WarmPath, WarmUser } from '../../../../src/model/running/warm-path.ts';
import { aListener, aService } from '../../../support/builders.ts';
import { RUNNING, STOPPED } from '../../../support/fake-backend.ts';
import { Bench } from '../../bench.ts';

const IDLE_MS = 60_000;

/** One who lets clients in; `hidden` are those of whom he has not told. */
class FakeUser implements WarmUser {
  hidden = 0;
  closed = 0;
  lastUsedMs = 0;

  listUses() {
    return [];
  }

  tryClose(): boolean {
    if (this.hidden > 0) return false;
    this.closed++;
    return true;
  }

  close(): void {
    this.closed++;
  }
}

describe('WarmPaths', () => {
  let bench: Bench;
  let user: FakeUser;
  let port: number;

  beforeEach(async () => {
    bench = new Bench();
    user = new FakeUser();
    ({ port } = await bench.sockets.listen());
    const service = aService({ listeners: [aListener({ targetPort: port })], idleTimeoutMs: IDLE_MS });
    bench.add(service, RUNNING);
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });

  const prove = async () => {
    const client = bench.client('db', port);
    (await client.served).release();
  };
  const open = (): WarmPath => {
    const path = bench.lifecycle.openWarmPath('db', { port, user });
    if (path === undefined) throw new Error('there is no path');
    return path;
  };

  test('is not there before the port has answered', async () => {
    expect(bench.lifecycle.openWarmPath('db', { port, user })).toBeUndefined();
    await prove();
    expect(open().endpoints).toEqual([{ host: '127.0.0.1', port }]);
  });

  test('begins with the address that answered last, in the next run as well', async () => {
    const hosts = ['127.0.0.9', '127.0.0.1'];
    bench.backend.tell('docker/db', { ...RUNNING, hosts });
    await prove();
    const expected = [
      { host: '127.0.0.1', port },
      { host: '127.0.0.9', port },
    ];
    expect(open().endpoints).toEqual(expected);
    bench.backend.tell('docker/db', STOPPED);
    bench.backend.tell('docker/db', { ...RUNNING, hosts });
    await prove();
    expect(open().endpoints).toEqual(expected);
  });

  test('is closed when another address answers than the one it begins with', async () => {
    bench.backend.tell('docker/db', { ...RUNNING, hosts: ['127.0.0.9', '127.0.0.1'] });
    const nine = await bench.sockets.listen(undefined, { host: '127.0.0.9', port });
    await prove();
    open();
    await nine.close();
    await prove();
    expect(user.closed).toBe(1);
    expect(open().endpoints[0]).toEqual({ host: '127.0.0.1', port });
  });

  test('is no use any more once it is closed and nobody is in', async () => {
    await prove();
    const path = open();
    await bench.clock.advance(IDLE_MS - 1);
    path.close();
    path.used(0);
    await bench.clock.advance(1);
    expect(bench.controller('db').state.kind).not.toBe('ready');
  });

  test('keeps the workload awake while a client is in, and its idle time begins after that', async () => {
    await prove();
    const path = open();
    path.used(1);
    await bench.clock.advance(2 * IDLE_MS);
    expect(bench.controller('db').state.kind).toBe('ready');
    path.used(0);
    await bench.clock.advance(IDLE_MS - 1);
    expect(bench.controller('db').state.kind).toBe('ready');
    await bench.clock.advance(1);
    expect(bench.controller('db').state.kind).not.toBe('ready');
    expect(user.closed).toBeGreaterThan(0);
  });

  test('does not let the workload sleep under a client of whom nobody has told yet', async () => {
    await prove();
    const path = open();
    user.hidden = 1;
    await bench.clock.advance(IDLE_MS);
    expect(bench.controller('db').state.kind).toBe('ready');
    path.used(1);
    user.hidden = 0;
    path.used(0);
    await bench.clock.advance(IDLE_MS);
    expect(bench.controller('db').state.kind).not.toBe('ready');
  });

  test('is closed when the workload is stopped', async () => {
    await prove();
    open();
    bench.controller('db').sleep({ kind: 'schedule', words: 'cron_stop' });
    expect(user.closed).toBe(1);
    expect(bench.lifecycle.openWarmPath('db', { port, user })).toBeUndefined();
  });

  test('tells when the workload was last used', async () => {
    await prove();
    open();
    user.lastUsedMs = bench.clock.nowMs() + 5_000;
    expect(bench.controller('db').lastActiveMs).toBe(user.lastUsedMs);
  });
});

describe('a workload that other proxies use, too', () => {
  test('has no warm path, because each use has to be told', async () => {
    const bench = new Bench({ shares: true });
    const { port } = await bench.sockets.listen();
    bench.add(aService({ listeners: [aListener({ targetPort: port })] }), RUNNING);
    (await bench.client('db', port).served).release();
    expect(bench.lifecycle.openWarmPath('db', { port, user: new FakeUser() })).toBeUndefined();
    await bench.close();
  });
});
