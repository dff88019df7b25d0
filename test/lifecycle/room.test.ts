import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Observation } from '../../src/model/running/observation.ts';
import type { Service } from '../../src/model/service.ts';
import type { RoomLimits } from '../../src/model/settings.ts';
import { DEFAULT_REST } from '../../src/model/running/sleep.ts';
import { MISSING, PAUSED, RUNNING, STOPPED } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import type { TestServer } from '../support/sockets.ts';
import { aBareService, Bench } from './bench.ts';

const WAKE_MS = 200;
const SLEEP_MS = 100;
const IDLE_MS = 3_600_000;
const GIB = 1024 ** 3;

describe('Room', () => {
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
  const limit = (limits: Partial<RoomLimits>) =>
    bench.lifecycle.room.setLimits({ maxAwake: undefined, memoryBytes: undefined, groups: {}, ...limits });
  const add = (names: readonly string[], fields: Partial<Service> = {}, seen: Observation = STOPPED) => {
    for (const name of names) bench.add(aBareService({ name, idleTimeoutMs: IDLE_MS, ...fields }), seen);
    bench.lifecycle.linkServices();
  };
  const come = (name: string) => bench.client(name, server.port);
  const use = async (name: string) => {
    const client = come(name);
    await bench.until(() => client.outcome !== 'waiting');
    expect(client.outcome).toBe('served');
    return client.served;
  };
  const useAndLeave = async (name: string) => (await use(name)).release();
  const state = (name: string) => bench.controller(name).state.kind;
  const log = () => bench.backend.log.map((line) => line.replace('docker/', ''));

  test('puts to sleep what has been unused for the longest time, and wakes the next one then', async () => {
    limit({ maxAwake: 2 });
    add(['a', 'b', 'c']);
    await useAndLeave('a');
    await bench.clock.advance(1_000);
    await useAndLeave('b');
    await bench.clock.advance(1_000);
    await use('c');
    expect(log()).toEqual(['wake a', 'wake b', 'sleep a', 'wake c']);
    expect(bench.lines).toContain('a is going to sleep: room for c');
    expect(bench.controller('a').account.report.sleeps).toEqual({ room: 1 });
  });

  test('lets a client wait where all are in use, and tells it why everywhere', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b'], { startTimeoutMs: 10_000 });
    const inUse = await use('a');
    const client = come('b');
    await settle();
    expect(client.outcome).toBe('waiting');
    expect(bench.controller('b').account.report).toMatchObject({
      life: 'asleep',
      waitsFor: 'it waits for room: 1 of 1 awake (limits.max_awake)',
      waitsIn: 'room',
    });
    expect(bench.lines).toContain('b waits for room: 1 of 1 awake (limits.max_awake); taken by a');
    await bench.clock.advance(4_000);
    inUse.release();
    await bench.until(() => client.outcome === 'served');
    expect(log()).toEqual(['wake a', 'sleep a', 'wake b']);
    expect(bench.controller('b').account.wakes.last).toMatchObject({
      result: 'ready',
      phases: { room: 4_100 },
    });
  });

  test('tells how much of it is taken, and who waits, where there are limits', async () => {
    expect(bench.lifecycle.room.figures).toBeUndefined();
    limit({ maxAwake: 3, memoryBytes: 8 * GIB, groups: { gpu: { maxAwake: 1 } } });
    add(['a', 'b'], { group: 'gpu', memoryBytes: 2 * GIB });
    await use('a');
    come('b').served.catch(() => {});
    await settle();
    expect(bench.lifecycle.room.figures).toEqual({
      awake: [
        { group: '', taken: 1, max: 3, services: ['a'] },
        { group: 'gpu', taken: 1, max: 1, services: ['a'] },
      ],
      memory: { taken: 2 * GIB, max: 8 * GIB },
      waiting: 1,
    });
  });

  test('refuses a client whose budget is over, with the reason', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b'], { startTimeoutMs: 10_000 });
    await use('a');
    const client = come('b');
    await bench.clock.advance(10_000);
    await expect(client.served).rejects.toThrow(
      'not ready within 10000 ms: it waits for room: 1 of 1 awake (limits.max_awake)',
    );
    expect(bench.controller('b').account.wakes.last).toMatchObject({
      result: 'failed',
      phases: { room: 10_000 },
    });
    expect(bench.controller('b').account.report.wakeCounts).toEqual({ room: 1 });
    expect(bench.controller('b').account.report.waitsFor).toBeUndefined();
  });

  test('puts nothing to sleep in vain, where another limit lacks what nobody can give', async () => {
    limit({ maxAwake: 2, groups: { gpu: { maxAwake: 1 } } });
    add(['chat', 'images'], { group: 'gpu', startTimeoutMs: 60_000 });
    add(['wiki']);
    const chat = await use('chat');
    await useAndLeave('wiki');
    const client = come('images');
    await bench.clock.advance(1_000);
    expect(client.outcome).toBe('waiting');
    expect(log()).toEqual(['wake chat', 'wake wiki']);
    chat.release();
    await bench.until(() => client.outcome === 'served');
    expect(log()).toEqual(['wake chat', 'wake wiki', 'sleep chat', 'wake images']);
  });

  test('tells who waits that there is room, also where somebody else asks at that moment', async () => {
    limit({ maxAwake: 1 });
    add(['a'], { availability: 'manual' }, RUNNING);
    add(['b', 'c']);
    const client = come('b');
    await settle();
    bench.backend.tell('docker/a', STOPPED);
    const lease = bench.controller('c').hold('by hand', { keeper: { kind: 'hand', untilMs: 0 } });
    await bench.clock.advance(1_000);
    expect(client.outcome).toBe('served');
    expect(log()).toEqual(['wake b']);
    lease.release();
  });

  test('counts nothing that runs on when its service is gone', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b']);
    await useAndLeave('a');
    bench.remove('a');
    await use('b');
    expect(log()).toEqual(['wake a', 'wake b']);
  });

  test('starts no dependant whose hub has stopped before there was room for it', async () => {
    limit({ maxAwake: 2 });
    add(['a']);
    add(['one'], { availability: 'manual' });
    const inUse = await use('a');
    add(['hub'], { dependants: ['one'] }, RUNNING);
    expect(bench.controller('one').account.report.waitsIn).toBe('room');
    bench.backend.tell('docker/hub', STOPPED);
    inUse.release();
    await bench.clock.advance(1_000);
    expect(log()).toEqual(['wake a']);
  });

  /** A schedule has asked for `b`, which waits for room since `a` is in use. */
  const askInVain = async () => {
    add(['a']);
    add(['b'], { availability: 'schedule' });
    await use('a');
    bench
      .controller('b')
      .hold('cron_start', { keeper: { kind: 'schedule' } })
      .release();
    expect(bench.controller('b').account.report.waitsIn).toBe('room');
  };

  test('forgets who has asked for it once it runs, whoever has started it', async () => {
    limit({ maxAwake: 1 });
    await askInVain();
    bench.backend.tell('docker/b', RUNNING);
    bench.backend.tell('docker/b', STOPPED);
    await expect(come('b').served).rejects.toThrow("clients don't wake it (availability: schedule)");
  });

  test('forgets who has asked for it once a reload says that nobody may wake it', async () => {
    limit({ maxAwake: 1 });
    await askInVain();
    bench.edit('b', { availability: 'manual' });
    expect(bench.controller('b').account.report.waitsIn).toBeUndefined();
    bench.edit('b', { availability: 'schedule' });
    await expect(come('b').served).rejects.toThrow("clients don't wake it (availability: schedule)");
  });

  test('serves those that wait in their order', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b', 'c']);
    const inUse = await use('a');
    const second = come('c');
    await settle();
    const third = come('b');
    await settle();
    inUse.release();
    await bench.until(() => second.outcome === 'served');
    expect(third.outcome).toBe('waiting');
    (await second.served).release();
    await bench.until(() => third.outcome === 'served');
    expect(log()).toEqual(['wake a', 'sleep a', 'wake c', 'sleep c', 'wake b']);
  });

  test('gives what a client uses again while it makes room to who has waited for that, and wakes it after', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b']);
    await useAndLeave('a');
    const first = come('b');
    await bench.until(() => state('a') === 'stopping');
    const second = come('a');
    await bench.until(() => first.outcome === 'served');
    expect(second.outcome).toBe('waiting');
    (await first.served).release();
    await bench.until(() => second.outcome === 'served');
    expect(log()).toEqual(['wake a', 'sleep a', 'wake b', 'sleep b', 'wake a']);
  });

  test('gives the turn on where who waits has left', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b', 'c']);
    const inUse = await use('a');
    const second = come('b');
    await settle();
    const third = come('c');
    await settle();
    second.leave();
    inUse.release();
    await bench.until(() => third.outcome === 'served');
    expect(log()).toEqual(['wake a', 'sleep a', 'wake c']);
  });

  test('counts what somebody else has started, and what is paused, which may exceed it', async () => {
    limit({ maxAwake: 2 });
    add(['other'], { availability: 'manual' }, RUNNING);
    add(['frozen'], {}, PAUSED);
    add(['a'], { startTimeoutMs: 5_000 });
    const client = come('a');
    await bench.clock.advance(5_000);
    expect(client.outcome).toBe('timeout');
    // What others have paused they want as it is.
    expect(log()).toEqual([]);
  });

  test.each([
    ['is kept', { availability: 'manual' as const }],
    ['is to stay awake for a while', { rest: { ...DEFAULT_REST, minAwakeMs: 1_000_000 } }],
  ])('puts nothing to sleep that %s', async (_why, fields) => {
    limit({ maxAwake: 1 });
    add(['a'], fields, RUNNING);
    add(['b'], { startTimeoutMs: 5_000 });
    await bench.until(() => state('a') === 'ready');
    const client = come('b');
    await bench.clock.advance(5_000);
    expect(client.outcome).toBe('timeout');
    expect(log()).toEqual([]);
  });

  test('asks for a stop that has failed again only after a while', async () => {
    limit({ maxAwake: 1 });
    add(['a'], { rest: { ...DEFAULT_REST, way: 'pause' } }, PAUSED);
    add(['b']);
    bench.backend.automate({ clock: bench.clock, wakeMs: WAKE_MS, sleepMs: 1e9 });
    const client = come('b');
    await settle();
    bench.backend.last.fail('the engine is away', PAUSED);
    await settle();
    expect(log()).toEqual(['sleep a']);
    await bench.clock.advance(1_000);
    expect(log()).toEqual(['sleep a', 'sleep a']);
    client.leave();
  });

  test('puts to sleep as soon as min_awake is over', async () => {
    limit({ maxAwake: 1 });
    add(['a'], { rest: { ...DEFAULT_REST, minAwakeMs: 5_000 } });
    add(['b']);
    await useAndLeave('a');
    const client = come('b');
    await bench.clock.advance(4_000);
    expect(log()).toEqual(['wake a']);
    await bench.until(() => client.outcome === 'served', 10);
    expect(log()).toEqual(['wake a', 'sleep a', 'wake b']);
  });

  test('stops what would be paused for being idle', async () => {
    limit({ maxAwake: 1 });
    add(['a'], { rest: { ...DEFAULT_REST, way: 'pause' } });
    add(['b']);
    await useAndLeave('a');
    await use('b');
    expect(log()).toEqual(['wake a', 'sleep a', 'wake b']);
  });

  test('binds what a schedule or somebody by hand wakes, too', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b']);
    const inUse = await use('a');
    const lease = bench.controller('b').hold('cron_start', { keeper: { kind: 'schedule' } });
    await bench.clock.advance(60_000);
    expect(log()).toEqual(['wake a']);
    inUse.release();
    await bench.until(() => state('b') === 'ready');
    lease.release();
  });

  test('limits a group alone', async () => {
    limit({ groups: { gpu: { maxAwake: 1 } } });
    add(['a', 'b'], { group: 'gpu', startTimeoutMs: 5_000 });
    add(['c', 'd'], {});
    await use('c');
    await use('d');
    await use('a');
    const client = come('b');
    await bench.clock.advance(5_000);
    await expect(client.served).rejects.toThrow('it waits for room: 1 of 1 awake (groups.gpu.max_awake)');
  });

  test('lets others pass who need nothing of what the first one lacks', async () => {
    limit({ maxAwake: 3, groups: { gpu: { maxAwake: 1 } } });
    add(['a', 'b'], { group: 'gpu' });
    add(['c'], {});
    await use('a');
    const first = come('b');
    await settle();
    await use('c');
    expect(first.outcome).toBe('waiting');
    expect(log()).toEqual(['wake a', 'wake c']);
  });

  test('counts memory by the setting, else by the limit of the container', async () => {
    limit({ memoryBytes: 6 * GIB });
    add(['a'], { memoryBytes: 4 * GIB });
    add(['b'], {}, { ...STOPPED, memoryLimitBytes: 2 * GIB });
    add(['c'], { startTimeoutMs: 5_000 }, { ...STOPPED, memoryLimitBytes: 1 * GIB });
    const inUse = await use('a');
    bench.backend.automate({
      ...{ clock: bench.clock, wakeMs: WAKE_MS, sleepMs: SLEEP_MS },
      running: { ...RUNNING, memoryLimitBytes: 2 * GIB },
    });
    await use('b');
    const client = come('c');
    await settle();
    expect(bench.controller('c').account.report.waitsFor).toBe(
      'it waits for room: 6GiB of 6GiB taken, 1GiB needed (limits.memory)',
    );
    inUse.release();
    await bench.until(() => client.outcome === 'served');
    expect(log()).toEqual(['wake a', 'wake b', 'sleep a', 'wake c']);
  });

  test('says once of what nobody knows the memory', async () => {
    limit({ memoryBytes: 6 * GIB });
    add(['known'], { memoryBytes: GIB });
    add(['limited'], {}, { ...STOPPED, memoryLimitBytes: GIB });
    add(['any'], {}, MISSING);
    const told = () => bench.lines.filter((line) => line.includes('limits.memory'));
    expect(told()).toEqual([]);
    bench.backend.tell('docker/any', STOPPED);
    await useAndLeave('any');
    expect(told()).toEqual([expect.stringMatching(/^any takes nothing of limits.memory, /)]);
  });

  test('refuses at once what can never fit', async () => {
    limit({ memoryBytes: 6 * GIB });
    add(['a'], {}, { ...STOPPED, memoryLimitBytes: 8 * GIB });
    await expect(come('a').served).rejects.toThrow(
      'there is never room for it: it needs 8GiB, and limits.memory is 6GiB',
    );
    expect(log()).toEqual([]);
  });

  describe('for a chain', () => {
    const addChain = (prefix: string, fields: Partial<Service> = {}) => {
      add([`${prefix}-db`], fields);
      add([`${prefix}-web`], { ...fields, dependsOn: [{ name: `${prefix}-db`, condition: 'healthy' }] });
    };

    test('takes all places or none, and two chains do not keep each other waiting', async () => {
      limit({ maxAwake: 3 });
      addChain('a');
      addChain('b');
      const clients = [come('a-web'), come('b-web')];
      await bench.until(() => clients[0]?.outcome === 'served');
      expect(log()).toEqual(['wake a-db', 'wake a-web']);
      expect(bench.controller('b-web').account.report.waitsFor).toBe(
        'it waits for room: 2 of 3 awake, 2 more needed (limits.max_awake)',
      );
      (await clients[0]?.served)?.release();
      await bench.until(() => clients[1]?.outcome === 'served');
      expect(log()).toEqual([
        'wake a-db',
        'wake a-web',
        'sleep a-web',
        'sleep a-db',
        'wake b-db',
        'wake b-web',
      ]);
    });

    test('puts no more to sleep than it needs, since what sleeps takes along what it has woken', async () => {
      limit({ maxAwake: 3 });
      addChain('a');
      add(['c']);
      addChain('b');
      await useAndLeave('a-web');
      await bench.clock.advance(1_000);
      await useAndLeave('c');
      await use('b-web');
      expect(log().filter((line) => line.startsWith('sleep'))).toEqual(['sleep a-web', 'sleep a-db']);
    });

    test('gives its places back where its start has failed', async () => {
      limit({ maxAwake: 2 });
      addChain('a');
      add(['c', 'd']);
      bench.backend.automate({ clock: bench.clock, wakeMs: 1e9, sleepMs: SLEEP_MS });
      const failing = come('a-web');
      await settle();
      const others = [come('c'), come('d')];
      await settle();
      expect(log()).toEqual(['wake a-db']);
      bench.backend.last.fail('no space left', STOPPED);
      await expect(failing.served).rejects.toThrow('no space left');
      await settle();
      expect(log()).toEqual(['wake a-db', 'wake c', 'wake d']);
      for (const { leave } of others) leave();
    });

    test('holds all that runs already for its user before it makes room for what does not', async () => {
      limit({ maxAwake: 2 });
      add(['db', 'cache']);
      const seen = { db: STOPPED, cache: RUNNING };
      for (const [name, observation] of Object.entries(seen))
        bench.backend.tell(`docker/${name}`, observation);
      const dependsOn = [
        { name: 'db', condition: 'started' as const },
        { name: 'cache', condition: 'started' as const },
      ];
      const web = bench.add(aBareService({ name: 'web', dependsOn }), RUNNING);
      web.takeLease();
      bench.lifecycle.linkServices();
      await bench.clock.advance(1_000);
      expect(log()).toEqual([]);
      expect(bench.controller('db').account.report.waitsIn).toBe('room');
    });

    describe('all of which counts as awake, though one is just stopping', () => {
      const order = async (names: readonly string[]) => {
        limit({ maxAwake: 2 });
        add(['db'], {}, RUNNING);
        add(['web'], { dependsOn: [{ name: 'db', condition: 'healthy' }] }, PAUSED);
        add(['other']);
        bench.controller('db').sleep({ kind: 'hand', words: 'by hand' });
        const clients = names.map((name) => come(name));
        await bench.clock.advance(1_000);
        expect(clients.map(({ outcome }) => outcome)).toEqual(['served', 'waiting']);
        (await clients[0]?.served)?.release();
        await bench.clock.advance(1_000);
        expect(clients[1]?.outcome).toBe('served');
      };

      test('keeps its places, though others come before that one has stopped', async () => {
        await order(['web', 'other']);
        expect(log()).toEqual(['sleep db', 'wake db', 'wake web', 'sleep web', 'sleep db', 'wake other']);
      });

      test('leaves the place of that one to who has come before', async () => {
        await order(['other', 'web']);
        expect(log()).toEqual(['sleep db', 'wake other', 'sleep other', 'wake db', 'wake web']);
      });
    });

    test('is refused at once where it can never fit', async () => {
      limit({ maxAwake: 1 });
      addChain('a');
      await expect(come('a-web').served).rejects.toThrow(
        'there is never room for it: it, with what starts with it, needs 2 places, and limits.max_awake is 1 place',
      );
    });

    test('takes nobody’s turn where a reload lets it never fit any more', async () => {
      limit({ maxAwake: 2 });
      addChain('a');
      add(['b', 'c']);
      const inUse = await use('b');
      const tooLarge = come('a-web');
      await settle();
      limit({ maxAwake: 1 });
      const client = come('c');
      await settle();
      inUse.release();
      await bench.until(() => client.outcome !== 'waiting');
      expect(client.outcome).toBe('served');
      expect(log()).toEqual(['wake b', 'sleep b', 'wake c']);
      tooLarge.leave();
    });

    test('follows nothing that only has the name of a dependency while services are replaced', async () => {
      limit({ maxAwake: 2 });
      const db = aBareService({ name: 'db', workload: { kind: 'docker', container: 'postgres' } });
      const web = aBareService({ name: 'web', dependsOn: [{ name: 'db', condition: 'healthy' }] });
      add(['b']);
      for (const service of [db, web]) bench.add(service, STOPPED);
      bench.lifecycle.linkServices();
      await use('b');
      const client = come('web');
      await settle();
      bench.reload(() => {
        bench.lifecycle.remove(db);
        bench.lifecycle.update({ ...web, dependsOn: [] }, web);
        expect([...bench.backend.watched.keys()]).not.toContain('docker/db');
      });
      await bench.until(() => client.outcome !== 'waiting');
      expect(client.outcome).toBe('served');
    });

    test('stops what sleeps with it, too, where that would be paused', async () => {
      limit({ maxAwake: 2 });
      add(['a-db'], { rest: { ...DEFAULT_REST, way: 'pause' } });
      add(['a-web'], { dependsOn: [{ name: 'a-db', condition: 'healthy' }] });
      addChain('b');
      await useAndLeave('a-web');
      await use('b-web');
      expect(log().slice(2)).toEqual(['sleep a-web', 'sleep a-db', 'wake b-db', 'wake b-web']);
    });

    test('counts the dependants of a hub', async () => {
      limit({ maxAwake: 2 });
      add(['one', 'c']);
      add(['hub'], { dependants: ['one'] });
      const inUse = await use('c');
      const client = come('hub');
      await bench.clock.advance(1_000);
      expect(log()).toEqual(['wake c']);
      inUse.release();
      await bench.until(() => client.outcome === 'served');
      expect(log()).toEqual(['wake c', 'sleep c', 'wake hub', 'wake one']);
    });
  });

  test('serves all clients of three services with room for one', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b', 'c']);
    const clients = ['a', 'b', 'c'].flatMap((name) => Array.from({ length: 10 }, () => come(name)));
    for (const { served } of clients) void served.then(({ release }) => release());
    await bench.until(() => clients.every(({ outcome }) => outcome !== 'waiting'));
    expect(clients.map(({ outcome }) => outcome)).toEqual(clients.map(() => 'served'));
    expect(bench.backend.count('wake')).toBe(3);
  });

  test('takes a limit that a reload raises at once, and stops nothing where one lowers it', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b']);
    await use('a');
    const client = come('b');
    await settle();
    limit({ maxAwake: 2 });
    await bench.until(() => client.outcome === 'served');
    limit({ maxAwake: 1 });
    await bench.clock.advance(1_000);
    expect(log()).toEqual(['wake a', 'wake b']);
  });

  test('has one chain wait for its turn to start without losing its room', async () => {
    bench.lifecycle.setMaxStarting(1);
    limit({ maxAwake: 2 });
    add(['a', 'b', 'c']);
    const clients = [come('a'), come('b'), come('c')];
    await settle();
    expect(log()).toEqual(['wake a']);
    await bench.until(() => state('b') === 'ready');
    expect(log()).toEqual(['wake a', 'wake b']);
    expect(bench.controller('c').account.report.waitsIn).toBe('room');
    (await clients[0]?.served)?.release();
    await bench.until(() => clients[2]?.outcome === 'served');
    expect(log()).toEqual(['wake a', 'wake b', 'sleep a', 'wake c']);
  });

  test('wakes nothing and stops nothing for room once the proxy drains', async () => {
    limit({ maxAwake: 1 });
    add(['a', 'b']);
    await useAndLeave('a');
    bench.lifecycle.drain();
    await expect(come('b').served).rejects.toThrow('the proxy is shutting down');
    expect(log()).toEqual(['wake a']);
  });
});
