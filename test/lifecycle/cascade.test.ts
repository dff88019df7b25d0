import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Observation } from '../../src/model/running/observation.ts';
import { MISSING, PAUSED, RUNNING, STOPPED, STOPPING, UNKNOWN } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import type { TestServer } from '../support/sockets.ts';
import { aBareService, Bench } from './bench.ts';

const WAKE_MS = 200;
const SLEEP_MS = 100;
const IDLE_MS = 120_000;

describe('Cascade', () => {
  let bench: Bench;
  let server: TestServer;
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
    bench.backend.automate({ clock: bench.clock, wakeMs: WAKE_MS, sleepMs: SLEEP_MS });
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  /** Puts services into the table, as the apply stage does; every workload is in the same state at first. */
  const add = (wanted: Record<string, readonly string[]>, observation: Observation = STOPPED) => {
    for (const [name, dependants] of Object.entries(wanted)) {
      const service = aBareService({ name, dependants, listeners: [], idleTimeoutMs: IDLE_MS });
      bench.add(service, observation);
    }
    bench.lifecycle.linkServices();
  };
  const use = async (name: string) => {
    const client = bench.client(name, server.port);
    await bench.until(() => client.outcome !== 'waiting');
    expect(client.outcome).toBe('served');
    return client.served;
  };
  const state = (name: string) => bench.controller(name).state.kind;
  const tell = (name: string, observation: Observation) => bench.backend.tell(`docker/${name}`, observation);
  const calls = (kind: 'wake' | 'sleep') => bench.backend.log.filter((line) => line.startsWith(kind)).sort();

  test('tells whom a dependant is woken with that nothing was known of before', async () => {
    add({ hub: ['one'] });
    await use('hub');
    bench.backend.tell('docker/one', STOPPED);
    await bench.until(() => bench.lines.some((line) => line.startsWith('one is waking')));
    expect(bench.lines).toContain('one is waking: with hub');
  });

  test('wakes the dependants of a hub that wakes, at once and all together', async () => {
    add({ hub: ['one', 'two'], one: [], two: [] });
    bench.client('hub', server.port);
    await settle();
    expect(calls('wake')).toEqual(['wake docker/hub', 'wake docker/one', 'wake docker/two']);
    await bench.until(() => state('hub') === 'ready' && state('one') === 'ready' && state('two') === 'ready');
    expect(bench.backend.count('wake')).toBe(3);
  });

  test('starts nothing that only has the name of a dependant while services change their containers', async () => {
    const on = (name: string, container: string, dependants: readonly string[] = []) =>
      aBareService({ name, workload: { kind: 'docker', container }, dependants, listeners: [] });
    const [hub, sub] = [on('hub', 'one', ['sub']), on('sub', 'two')];
    bench.add(hub, RUNNING);
    bench.add(sub, RUNNING);
    bench.lifecycle.linkServices();
    await use('hub');
    tell('sub', STOPPED);
    // What the engine knows by now is looked at when the services change places.
    bench.backend.watched.delete('docker/one');
    tell('one', STOPPING);
    bench.reload(() => {
      bench.lifecycle.update(on('hub', 'two', ['sub']), hub);
      bench.lifecycle.update(on('sub', 'one'), sub);
    });
    await settle();
    expect(bench.backend.log.filter((line) => line.endsWith('docker/sub'))).toEqual([]);
  });

  test('wakes what depends on a dependant, too', async () => {
    add({ hub: ['one'], one: ['two'], two: [] });
    bench.client('hub', server.port);
    await settle();
    expect(calls('wake')).toEqual(['wake docker/hub', 'wake docker/one', 'wake docker/two']);
  });

  test('wakes nothing for a paused hub that is being stopped', async () => {
    add({ hub: ['one'] }, PAUSED);
    add({ one: [] });
    bench.controller('hub').sleep({ kind: 'hand', words: 'by hand' });
    await bench.until(() => state('hub') === 'stopped');
    expect(bench.backend.log).toEqual(['sleep docker/hub']);
  });

  test('keeps dependants awake while their hub runs', async () => {
    add({ hub: ['one'], one: [] });
    await use('hub');
    await bench.clock.advance(10 * IDLE_MS);
    expect(state('one')).toBe('ready');
    expect(calls('sleep')).toEqual([]);
  });

  test('puts dependants to sleep at once when their hub has stopped', async () => {
    add({ hub: ['one', 'two'], one: [], two: [] });
    const { release } = await use('hub');
    release();
    await bench.clock.advance(IDLE_MS);
    expect(calls('sleep')).toEqual(['sleep docker/hub']);
    expect(state('one')).toBe('ready');
    await bench.clock.advance(SLEEP_MS);
    expect(calls('sleep')).toEqual(['sleep docker/hub', 'sleep docker/one', 'sleep docker/two']);
  });

  test('keeps a dependant awake that a client uses, for its own idle timeout', async () => {
    add({ hub: ['one'], one: [] });
    const { release } = await use('hub');
    const direct = await use('one');
    release();
    await bench.clock.advance(IDLE_MS + SLEEP_MS);
    expect(state('hub')).toBe('stopped');
    expect(state('one')).toBe('ready');
    direct.release();
    await bench.clock.advance(IDLE_MS - 1);
    expect(calls('sleep')).toEqual(['sleep docker/hub']);
    await bench.clock.advance(1);
    expect(calls('sleep')).toEqual(['sleep docker/hub', 'sleep docker/one']);
  });

  test('keeps a dependant of two hubs awake until both have stopped', async () => {
    add({ a: ['shared'], b: ['shared'], shared: [] });
    const [first, second] = [await use('a'), await use('b')];
    expect(bench.controller('shared').leases).toBe(2);
    first.release();
    await bench.clock.advance(IDLE_MS + SLEEP_MS);
    expect(state('a')).toBe('stopped');
    expect(state('shared')).toBe('ready');
    second.release();
    await bench.clock.advance(IDLE_MS + SLEEP_MS);
    expect(calls('sleep')).toEqual(['sleep docker/a', 'sleep docker/b', 'sleep docker/shared']);
    expect(calls('wake')).toHaveLength(3);
  });

  test('follows a hub that somebody else starts and stops', async () => {
    add({ hub: ['one'], one: [] });
    tell('hub', RUNNING);
    await bench.until(() => state('one') === 'ready');
    tell('hub', STOPPED);
    await bench.clock.advance(0);
    expect(bench.backend.log).toEqual(['wake docker/one', 'sleep docker/one']);
  });

  test('wakes the dependants of a hub that runs when the proxy starts', async () => {
    bench.backend.tell('docker/one', STOPPED);
    const [hub, one] = [aBareService({ name: 'hub', dependants: ['one'] }), aBareService({ name: 'one' })];
    bench.add(hub, RUNNING);
    bench.lifecycle.add(one);
    expect(bench.backend.calls).toEqual([]);
    bench.lifecycle.linkServices();
    expect(bench.backend.log).toEqual(['wake docker/one']);
  });

  test('puts a dependant to sleep that is still waking when its hub has stopped', async () => {
    add({ hub: ['one'], one: [] });
    tell('hub', RUNNING);
    await bench.clock.advance(WAKE_MS / 2);
    tell('hub', STOPPED);
    expect(calls('sleep')).toEqual([]);
    await bench.clock.advance(WAKE_MS);
    expect(calls('sleep')).toEqual(['sleep docker/one']);
  });

  test('keeps a dependant whose hub starts again before it has stopped', async () => {
    add({ hub: ['one'], one: [] });
    const { release } = await use('hub');
    release();
    await bench.clock.advance(IDLE_MS);
    expect(state('hub')).toBe('stopping');
    const client = bench.client('hub', server.port);
    await bench.until(() => client.outcome === 'served');
    expect(calls('sleep')).toEqual(['sleep docker/hub']);
    expect(state('one')).toBe('ready');
  });

  test('wakes a dependant again that stops by itself only when a client comes', async () => {
    add({ hub: ['one'], one: [] });
    await use('hub');
    tell('one', STOPPED);
    await bench.clock.advance(IDLE_MS);
    expect(calls('wake')).toHaveLength(2);
    await use('one');
    expect(calls('wake')).toHaveLength(3);
  });

  test('goes on trying with backoff to wake a dependant until it was awake once', async () => {
    bench.backend.automate({ clock: bench.clock, wakeMs: 1e9, sleepMs: SLEEP_MS });
    add({ hub: ['one'], one: [] });
    tell('hub', RUNNING);
    const delays: number[] = [];
    for (let round = 1; round <= 3; round++) {
      bench.backend.last.fail('no memory', STOPPED);
      await settle();
      const beganMs = bench.clock.monotonicMs();
      await bench.until(() => bench.backend.count('wake') > round, 100);
      delays.push(Math.round((bench.clock.monotonicMs() - beganMs) / 1_000));
    }
    expect(delays).toEqual([1, 2, 4]);
    bench.backend.last.succeed(RUNNING);
    await settle();
    expect(state('one')).toBe('ready');
    tell('one', STOPPED);
    await bench.clock.advance(100_000);
    expect(bench.backend.count('wake')).toBe(4);
  });

  test('gives a start that fails no more tries when the hub has stopped', async () => {
    bench.backend.automate({ clock: bench.clock, wakeMs: 1e9, sleepMs: SLEEP_MS });
    add({ hub: ['one'], one: [] });
    tell('hub', RUNNING);
    bench.backend.last.fail('no memory', STOPPED);
    await settle();
    tell('hub', STOPPED);
    await bench.clock.advance(100_000);
    expect(bench.backend.log).toEqual(['wake docker/one']);
    expect(state('one')).toBe('stopped');
  });

  test('wakes a dependant that is missing as soon as it appears', async () => {
    add({ hub: ['one'], one: [] });
    tell('one', MISSING);
    await use('hub');
    expect(calls('wake')).toEqual(['wake docker/hub']);
    tell('one', STOPPED);
    await bench.until(() => state('one') === 'ready');
  });

  describe('with a dependant that ran before its hub', () => {
    const asLabels = (...dependants: readonly string[]) => ({ dependants, dependantsBy: 'labels' }) as const;
    const idle = async (name: string) => {
      const { release } = await use(name);
      release();
      await bench.clock.advance(IDLE_MS / 2);
    };

    test('leaves it to its own idle timeout where the proxy has woken the hub', async () => {
      add({ hub: ['one', 'two'], one: [], two: [] });
      bench.edit('hub', { idleTimeoutMs: 0 });
      tell('one', RUNNING);
      await idle('hub');
      expect(calls('sleep')).toEqual(['sleep docker/hub', 'sleep docker/two']);
      await bench.clock.advance(IDLE_MS);
      expect(calls('sleep')).toEqual(['sleep docker/hub', 'sleep docker/one', 'sleep docker/two']);
    });

    test('leaves what no service has as it was, for ever', async () => {
      add({ hub: ['stray'] });
      bench.edit('hub', { idleTimeoutMs: 0 });
      tell('stray', RUNNING);
      await idle('hub');
      await bench.clock.advance(10 * IDLE_MS);
      expect(calls('sleep')).toEqual(['sleep docker/hub']);
    });

    test('stops with its hub what was just stopping when the hub was woken', async () => {
      add({ hub: ['one'], one: [] });
      bench.edit('hub', { idleTimeoutMs: 0 });
      tell('one', STOPPING);
      const { release } = await use('hub');
      tell('one', STOPPED);
      await bench.until(() => state('one') === 'ready');
      release();
      await bench.clock.advance(IDLE_MS / 2);
      expect(calls('sleep')).toEqual(['sleep docker/hub', 'sleep docker/one']);
    });

    test('stops it with its hubs where one of them ran as long as the proxy knows', async () => {
      add({ first: ['one'], second: ['one'], one: [] }, UNKNOWN);
      bench.edit('one', { idleTimeoutMs: 10 * IDLE_MS });
      tell('first', RUNNING);
      tell('second', STOPPED);
      const { release } = await use('second');
      tell('one', RUNNING);
      release();
      await bench.clock.advance(IDLE_MS + SLEEP_MS);
      tell('first', STOPPED);
      await bench.clock.advance(SLEEP_MS);
      expect(state('one')).toBe('stopped');
    });

    test('stops it again with its hub once a hub has woken it', async () => {
      add({ hub: ['one'], one: [] });
      bench.edit('hub', { idleTimeoutMs: 0 });
      tell('one', RUNNING);
      await idle('hub');
      tell('one', STOPPED);
      await idle('hub');
      expect(calls('sleep')).toEqual(['sleep docker/hub', 'sleep docker/hub', 'sleep docker/one']);
    });

    test('leaves what a client has woken meanwhile to its own idle timeout', async () => {
      add({ hub: ['one'], one: [] });
      bench.edit('hub', { idleTimeoutMs: 0 });
      await idle('hub');
      expect(calls('sleep')).toEqual(['sleep docker/hub', 'sleep docker/one']);
      const direct = await use('one');
      direct.release();
      await idle('hub');
      expect(calls('sleep')).toEqual(['sleep docker/hub', 'sleep docker/hub', 'sleep docker/one']);
    });

    test('does not trust a hub by label that somebody else has started', async () => {
      add({ hub: [], one: [], two: [] });
      bench.edit('hub', asLabels('one', 'two'));
      bench.edit('one', { isOfFile: false });
      bench.edit('two', { isOfFile: false });
      tell('one', RUNNING);
      tell('hub', RUNNING);
      await bench.until(() => state('two') === 'ready');
      tell('hub', STOPPED);
      await bench.clock.advance(SLEEP_MS);
      expect(calls('sleep')).toEqual(['sleep docker/two']);
    });

    test('leaves a service of the file that a hub by label has woken to its own idle timeout', async () => {
      add({ hub: [], one: [] });
      bench.edit('hub', { ...asLabels('one'), idleTimeoutMs: 0 });
      await idle('hub');
      expect(calls('sleep')).toEqual(['sleep docker/hub']);
      expect(state('one')).toBe('ready');
      await bench.clock.advance(IDLE_MS);
      expect(calls('sleep')).toEqual(['sleep docker/hub', 'sleep docker/one']);
    });
  });

  describe('when the table changes', () => {
    test('wakes a dependant that a running hub is given', async () => {
      add({ hub: [], one: [] });
      await use('hub');
      bench.edit('hub', { dependants: ['one'] });
      await bench.until(() => state('one') === 'ready');
    });

    test('leaves a dependant that is taken off the list to its own idle timer', async () => {
      add({ hub: ['one', 'two'], one: [], two: [] });
      await use('hub');
      await bench.until(() => state('one') === 'ready' && state('two') === 'ready');
      bench.edit('hub', { dependants: ['two'] });
      await bench.clock.advance(IDLE_MS - 1);
      expect(calls('sleep')).toEqual([]);
      await bench.clock.advance(1);
      expect(calls('sleep')).toEqual(['sleep docker/one']);
    });

    test('leaves dependants awake when their hub is removed', async () => {
      add({ hub: ['one'], one: [] });
      const { release } = await use('hub');
      release();
      await bench.until(() => state('one') === 'ready');
      bench.remove('hub');
      await bench.clock.advance(IDLE_MS - 1_000);
      expect(bench.controller('one').leases).toBe(0);
      expect(calls('sleep')).toEqual([]);
      await bench.clock.advance(1_000);
      expect(calls('sleep')).toEqual(['sleep docker/one']);
    });

    test('keeps the lease when a hub is edited in some other way', async () => {
      add({ hub: ['one'], one: [] });
      await use('hub');
      await bench.until(() => state('one') === 'ready');
      bench.edit('hub', { idleTimeoutMs: 1_000 });
      expect(bench.controller('one').leases).toBe(1);
      expect(calls('wake')).toHaveLength(2);
    });

    test('holds the workload that a dependant has gone over to', async () => {
      add({ hub: ['one'], one: [] });
      await use('hub');
      bench.backend.tell('docker/other', STOPPED);
      bench.edit('one', { workload: { kind: 'docker', container: 'other' } });
      await bench.until(() => state('one') === 'ready');
      expect(calls('wake')).toContain('wake docker/other');
    });
  });

  describe('with a container that no service has', () => {
    test('starts and stops it with its hub, and never for being idle', async () => {
      tell('bare', STOPPED);
      add({ hub: ['bare'] });
      const { release } = await use('hub');
      await bench.clock.advance(10 * IDLE_MS);
      expect(calls('wake')).toEqual(['wake docker/bare', 'wake docker/hub']);
      release();
      await bench.clock.advance(IDLE_MS + SLEEP_MS);
      expect(calls('sleep')).toEqual(['sleep docker/bare', 'sleep docker/hub']);
    });

    test('leaves it alone when somebody else has started it and the hub does not run', async () => {
      tell('bare', STOPPED);
      add({ hub: ['bare'] });
      const { release } = await use('hub');
      release();
      await bench.clock.advance(IDLE_MS + 2 * SLEEP_MS);
      tell('bare', RUNNING);
      await bench.clock.advance(10 * IDLE_MS);
      expect(calls('sleep')).toEqual(['sleep docker/bare', 'sleep docker/hub']);
    });

    test('lets go of it when no hub names it any more', async () => {
      tell('bare', STOPPED);
      add({ hub: ['bare'] });
      await use('hub');
      expect(bench.backend.watched).toContain('docker/bare');
      bench.edit('hub', { dependants: [] });
      expect(bench.backend.watched).not.toContain('docker/bare');
      await bench.clock.advance(10 * IDLE_MS);
      expect(calls('sleep')).toEqual([]);
    });

    test('goes on with it when a service takes it over, and when that service goes', async () => {
      tell('bare', STOPPED);
      add({ hub: ['bare'] });
      await use('hub');
      await bench.clock.advance(WAKE_MS);
      add({ bare: [] }, RUNNING);
      expect(bench.controller('bare').leases).toBe(1);
      bench.remove('bare');
      expect(bench.backend.watched).toContain('docker/bare');
      await bench.clock.advance(10 * IDLE_MS);
      expect(calls('wake')).toEqual(['wake docker/bare', 'wake docker/hub']);
      expect(calls('sleep')).toEqual([]);
    });

    test('lets go of it when a service of that name has another workload', async () => {
      tell('bare', STOPPED);
      add({ hub: ['bare'] });
      await use('hub');
      bench.backend.tell('docker/other', STOPPED);
      bench.lifecycle.add(aBareService({ name: 'bare', workload: { kind: 'docker', container: 'other' } }));
      bench.lifecycle.linkServices();
      expect(bench.backend.watched).not.toContain('docker/bare');
      await bench.until(() => state('bare') === 'ready');
    });
  });

  test('lets a workload idle that is hub and dependant of itself through two services', async () => {
    const workload = { kind: 'docker', container: 'hub' } as const;
    bench.add(aBareService({ name: 'hub', dependants: ['alias'], idleTimeoutMs: IDLE_MS }), STOPPED);
    bench.add(aBareService({ name: 'alias', workload, idleTimeoutMs: IDLE_MS }), STOPPED);
    bench.lifecycle.linkServices();
    const { release } = await use('hub');
    release();
    await bench.clock.advance(IDLE_MS);
    expect(calls('sleep')).toEqual(['sleep docker/hub']);
  });
});
