/** Starts are bounded over all workloads: the others wait their turn. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CronWindows } from '../../../src/apply/cron-windows.ts';
import type { Service } from '../../../src/model/service.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { PAUSED, RUNNING, STOPPED, UNKNOWN } from '../../support/fake-backend.ts';
import { settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import type { TestServer } from '../../support/sockets.ts';
import { aBareService, Bench } from '../bench.ts';

describe('starts of many workloads', () => {
  let bench: Bench;
  let server: TestServer;
  beforeEach(async () => {
    bench = new Bench({ maxStarting: 2 });
    server = await bench.sockets.listen();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const add = (name: string, overrides: Partial<Service> = {}, observation = STOPPED) =>
    bench.add(
      aBareService({ name, workload: { kind: 'docker', container: name }, ...overrides }),
      observation,
    );
  const addAll = (names: string) => {
    for (const name of names) add(name);
  };
  const client = (name: string) => bench.client(name, server.port);
  /** Ends the oldest start under way that is a start of this workload. */
  const end = async (name: string, how: 'succeed' | 'fail') => {
    const call = bench.backend.calls.findLast(({ key }) => key === `docker/${name}`);
    if (how === 'succeed') call?.succeed(RUNNING);
    else call?.fail('no', STOPPED);
    await settle();
  };

  test('go on so many at once, first come, first served', async () => {
    addAll('abcde');
    const clients = [...'abcde'].map(client);
    await settle();
    expect(bench.backend.log).toEqual(['wake docker/a', 'wake docker/b']);
    await end('b', 'succeed');
    await bench.until(() => clients[1]?.outcome === 'served');
    await settle();
    expect(bench.backend.log.slice(2)).toEqual(['wake docker/c']);
    await end('a', 'fail');
    expect(bench.backend.log.slice(3)).toEqual(['wake docker/d']);
    expect(bench.controller('e').state.kind).toBe('stopped');
    expect(clients[4]?.outcome).toBe('waiting');
  });

  test('count what is unpaused', async () => {
    for (const name of 'abc') add(name, {}, PAUSED);
    for (const name of 'abc') client(name);
    await settle();
    expect(bench.backend.log).toEqual(['wake docker/a', 'wake docker/b']);
    expect(bench.controller('c').state.kind).toBe('paused');
  });

  test('wait their turn where the workload is found paused only then', async () => {
    addAll('ab');
    add('c', {}, UNKNOWN);
    for (const name of 'abc') client(name);
    await settle();
    bench.backend.tell('docker/c', PAUSED);
    await settle();
    expect(bench.controller('c').state.kind).toBe('paused');
    await end('a', 'fail');
    expect(bench.backend.log.slice(2)).toEqual(['wake docker/c']);
  });

  test('let nobody pass those who wait when a place is free again', async () => {
    addAll('abcd');
    for (const name of 'abc') client(name);
    await settle();
    bench.lifecycle.setMaxStarting(3);
    bench.controller('d').hold('cron_start', { keeper: { kind: 'schedule' } });
    await settle();
    expect(bench.backend.log.slice(2)).toEqual(['wake docker/c']);
  });

  test('lose no place to a client that leaves at the moment of its turn', async () => {
    addAll('abcd');
    client('a');
    client('b');
    const gone = client('c');
    client('d');
    await settle();
    gone.leave();
    bench.lifecycle.setMaxStarting(3);
    await settle();
    expect(bench.backend.log.slice(2)).toEqual(['wake docker/d']);
  });

  test('are not begun for a client that has left before its turn', async () => {
    addAll('abcde');
    client('a');
    client('b');
    const gone = client('c');
    const stays = client('d');
    const comesBack = client('e');
    await settle();
    gone.leave();
    await settle();
    client('c');
    await end('a', 'fail');
    await end('b', 'fail');
    expect(bench.backend.log.slice(2)).toEqual(['wake docker/d', 'wake docker/e']);
    stays.leave();
    comesBack.leave();
  });

  test('are begun for none of those who have all left', async () => {
    addAll('abcdefgh');
    const clients = [...'abcdefgh'].map(client);
    await settle();
    for (const { leave } of clients) leave();
    await settle();
    await end('a', 'succeed');
    await end('b', 'fail');
    await bench.clock.advance(60_000);
    expect(bench.backend.count('wake')).toBe(2);
  });

  test('keep clients inside their own budget, and say what they wait for', async () => {
    for (const name of 'ab') add(name, { startTimeoutMs: 60_000 });
    addAll('c');
    for (const name of 'ab') bench.controller(name).hold('cron_start', { keeper: { kind: 'schedule' } });
    const waits = client('c');
    await bench.clock.advance(29_000);
    const why = 'it waits for its turn: 2 of 2 starts are under way (max_starting)';
    expect(bench.controller('c').obstacles.between({ protocol: 'tcp', port: server.port })).toBe(why);
    expect(waits.outcome).toBe('waiting');
    await bench.clock.advance(1_000);
    await expect(waits.served).rejects.toMatchObject({
      code: 'timeout',
      message: `not ready within 30000 ms: ${why}`,
    });
    expect(bench.controller('c').account.wakes.last).toMatchObject({
      cause: 'for 10.0.0.5:4242',
      result: 'failed',
      reason: `not ready within 30000 ms: ${why}`,
    });
    expect(bench.failedWakes).toEqual([`c: not ready within 30000 ms: ${why}`]);
    expect(bench.lines).toContain(
      'c waits for its turn to start: 2 of 2 starts are under way (max_starting)',
    );
  });

  test('have their whole start_timeout from their turn on', async () => {
    addAll('ab');
    add('c', { startTimeoutMs: 40_000 });
    for (const name of 'ab') bench.controller(name).hold('cron_start', { keeper: { kind: 'schedule' } });
    const port = await freePort();
    const waits = bench.client('c', port);
    await bench.clock.advance(25_000);
    await end('a', 'succeed');
    await settle();
    expect(bench.controller('c').state).toEqual({ kind: 'starting', phase: 'waking' });
    await end('c', 'succeed');
    await bench.clock.advance(15_000);
    // The client's own time is over; the start's is not.
    expect(waits.outcome).toBe('timeout');
    expect(bench.controller('c').state.kind).not.toBe('failed');
  });

  test('tell a client what of its time went on the wait, and keep that in the record', async () => {
    addAll('ab');
    add('c', { startTimeoutMs: 3_000 });
    for (const name of 'ab') bench.controller(name).hold('cron_start', { keeper: { kind: 'schedule' } });
    const askedAtMs = bench.clock.nowMs();
    const waits = client('c');
    await bench.clock.advance(2_900);
    await end('a', 'succeed');
    await bench.clock.advance(100);
    await expect(waits.served).rejects.toMatchObject({
      message:
        'not ready within 3000 ms, of which it waited 2900 ms for its turn (max_starting is 2): the engine has not started it yet',
    });
    await end('c', 'succeed');
    await bench.until(() => bench.controller('c').account.wakes.last !== undefined);
    expect(bench.controller('c').account.wakes.last).toMatchObject({
      atMs: askedAtMs,
      result: 'ready',
      phases: { queue: 2_900, engine: 100 },
    });
    expect(bench.lines).toContainEqual(
      expect.stringMatching(/^c is awake after 30\d\d ms \(queue 2900 ms, engine 100 ms/),
    );
  });

  test('leave a datagram port that nobody has proved unproven, until the time of the start is over', async () => {
    addAll('ab');
    const listeners = [{ protocol: 'udp', address: '', port: 9_401, targetPort: 54 }] as const;
    add('u', { startTimeoutMs: 3_000, listeners });
    for (const name of 'ab') bench.controller(name).hold('cron_start', { keeper: { kind: 'schedule' } });
    const gone = new AbortController();
    const lease = bench.lifecycle.takeFlowLease('u', { port: 54, client: '10.0.0.5:1', sleepIfSilent: true });
    const refused = lease.open({
      readiness: 'reply',
      prove: () => Promise.reject(new Error('port 54 refuses datagrams')),
      follow: () => Promise.reject(new Error('not proven')),
      signal: gone.signal,
    });
    let isRefused = false;
    refused.catch(() => {
      isRefused = true;
      lease.release(0);
    });
    await bench.clock.advance(700);
    await end('a', 'succeed');
    await end('u', 'succeed');
    await bench.until(() => isRefused, 10);
    const why = 'port 54 refuses datagrams';
    await expect(refused).rejects.toMatchObject({ message: expect.stringContaining(why) });
    expect(bench.controller('u').state).toEqual({ kind: 'starting', phase: 'gate' });
    await bench.until(() => bench.controller('u').state.kind !== 'starting', 10);
    expect(bench.controller('u').account.wakes.last).toMatchObject({
      result: 'failed',
      reason: `not ready within 3000 ms: ${why}`,
    });
    await settle();
    expect(bench.backend.log.at(-1)).toBe('sleep docker/u');
    expect(bench.lines.filter((line) => line.startsWith('u is awake'))).toEqual([]);
  });

  test('are told of in the log with the name of each that waits', async () => {
    addAll('abcdefg');
    for (const name of 'ab') bench.controller(name).hold('cron_start', { keeper: { kind: 'schedule' } });
    for (const name of 'cdef') client(name);
    await bench.clock.advance(1_000);
    client('g');
    await bench.clock.advance(1_000);
    const load = '2 of 2 starts are under way (max_starting)';
    expect(bench.lines.filter((line) => line.includes('to start'))).toEqual([
      `c waits for its turn to start: ${load}`,
      `d, e, f wait for their turns to start: ${load}`,
      `g waits for its turn to start: ${load}`,
    ]);
  });

  test('follow the limit when it changes', async () => {
    addAll('abcdef');
    for (const name of 'abcdef') client(name);
    await settle();
    bench.lifecycle.setMaxStarting(4);
    await settle();
    expect(bench.backend.count('wake')).toBe(4);
    bench.lifecycle.setMaxStarting(1);
    for (const name of 'abc') await end(name, 'fail');
    expect(bench.backend.count('wake')).toBe(4);
    await end('d', 'fail');
    expect(bench.backend.log.slice(4)).toEqual(['wake docker/e']);
  });

  test('give their place back when the service is removed', async () => {
    addAll('abc');
    client('a');
    client('b');
    client('c');
    await settle();
    bench.lifecycle.remove(aBareService({ name: 'a' }));
    await settle();
    expect(bench.backend.log.slice(2)).toEqual(['wake docker/c']);
  });

  test('forget who waits for a service that is removed', async () => {
    addAll('abcd');
    for (const name of 'abcd') client(name);
    await settle();
    bench.lifecycle.remove(aBareService({ name: 'c' }));
    await end('a', 'fail');
    expect(bench.backend.log.slice(2)).toEqual(['wake docker/d']);
  });

  test('neither wait nor count where somebody else makes them', async () => {
    addAll('abcd');
    bench.backend.tell('docker/a', { ...RUNNING, health: 'starting' });
    bench.backend.tell('docker/b', { ...RUNNING, health: 'starting' });
    client('c');
    client('d');
    await settle();
    expect(bench.backend.log).toEqual(['wake docker/c', 'wake docker/d']);
  });

  test('serve who waits when somebody else starts the workload', async () => {
    addAll('abcd');
    for (const name of 'ab') client(name);
    const waits = client('c');
    client('d');
    await settle();
    bench.backend.tell('docker/c', RUNNING);
    await bench.until(() => waits.outcome === 'served');
    await end('a', 'fail');
    expect(bench.backend.log.slice(2)).toEqual(['wake docker/d']);
  });

  test('let the dependants of a hub start with it, which may need them', async () => {
    add('hub', { dependants: ['x', 'y', 'z'] });
    addAll('xyzab');
    bench.lifecycle.linkServices();
    client('a');
    client('hub');
    client('b');
    await settle();
    expect(bench.backend.log).toEqual([
      'wake docker/a',
      'wake docker/hub',
      'wake docker/x',
      'wake docker/y',
      'wake docker/z',
    ]);
    for (const name of ['x', 'y', 'z']) await end(name, 'succeed');
    expect(bench.backend.count('wake')).toBe(5);
    await end('hub', 'succeed');
    expect(bench.backend.log.slice(5)).toEqual(['wake docker/b']);
  });

  test('of schedules wait their turn, also where nothing holds the service afterwards', async () => {
    addAll('ab');
    for (const name of 'cde') add(name, { cronStart: '30 8 * * *' });
    const windows = new CronWindows({ lifecycle: bench.lifecycle, logger: silentLogger });
    client('a');
    client('b');
    await settle();
    for (const name of 'cde') windows.fire(name, 'start');
    await settle();
    expect(bench.backend.count('wake')).toBe(2);
    windows.fire('d', 'stop');
    await end('a', 'fail');
    await end('b', 'fail');
    expect(bench.backend.log.slice(2)).toEqual(['wake docker/c', 'wake docker/e']);
  });

  test('begin no more once the proxy ends', async () => {
    addAll('abc');
    const clients = [...'abc'].map(client);
    await settle();
    bench.lifecycle.drain();
    await settle();
    expect(clients[2]?.outcome).toBe('removed');
    await end('a', 'fail');
    expect(bench.backend.count('wake')).toBe(2);
  });

  test('try again after a failure when it is their turn', async () => {
    addAll('abc');
    const first = client('c');
    await settle();
    await end('c', 'fail');
    await expect(first.served).rejects.toMatchObject({ code: 'failed' });
    client('a');
    client('b');
    const again = client('c');
    await bench.clock.advance(5_000);
    expect(bench.backend.count('wake')).toBe(3);
    await end('a', 'fail');
    expect(bench.backend.log.slice(3)).toEqual(['wake docker/c']);
    await end('c', 'succeed');
    await bench.until(() => again.outcome === 'served');
  });
});
