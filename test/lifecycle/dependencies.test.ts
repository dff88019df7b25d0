import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Observation } from '../../src/model/running/observation.ts';
import type { Dependency, Service } from '../../src/model/service.ts';
import { FAILED_RUN, MISSING, RUNNING, STOPPED, STOPPING, UNKNOWN } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import type { TestServer } from '../support/sockets.ts';
import { aBareService, Bench } from './bench.ts';

const WAKE_MS = 200;
const SLEEP_MS = 100;
const IDLE_MS = 120_000;
const COMPLETED: Observation = { ...STOPPED, exitCode: 0, stoppedBy: 'itself', detail: 'exit code 0' };
const STARTING: Observation = { ...RUNNING, state: 'starting' };
const WITH_CHECK: Observation = { ...RUNNING, health: 'starting' };

type Needs = Readonly<Record<string, Dependency['condition']>>;

describe('Cascade, of users and what they depend on', () => {
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
  const toDependencies = (needs: Needs) =>
    Object.entries(needs).map(([name, condition]): Dependency => ({ name, condition }));
  /** Puts services into the table, as the apply stage does. */
  const add = (wanted: Record<string, Needs>, fields: Partial<Service> = {}, seen: Observation = STOPPED) => {
    for (const [name, needs] of Object.entries(wanted)) {
      const dependsOn = toDependencies(needs);
      const service = aBareService({ name, dependsOn, idleTimeoutMs: IDLE_MS, ...fields });
      bench.add(service, seen);
    }
    bench.lifecycle.linkServices();
  };
  const come = (name: string) => bench.client(name, server.port);
  const use = async (name: string) => {
    const client = come(name);
    await bench.until(() => client.outcome !== 'waiting');
    expect(client.outcome).toBe('served');
    return client.served;
  };
  const state = (name: string) => bench.controller(name).state.kind;
  const tell = (name: string, observation: Observation) => bench.backend.tell(`docker/${name}`, observation);
  const log = () => bench.backend.log.map((line) => line.replace('docker/', ''));
  /** The next calls are ended by the test. */
  const manual = () => bench.backend.automate({ clock: bench.clock, wakeMs: 1e9, sleepMs: 1e9 });

  test('wakes a chain in order, and puts it to sleep in reverse', async () => {
    add({ web: { app: 'started' }, app: { db: 'healthy' }, db: {} });
    const { release } = await use('web');
    expect(log()).toEqual(['wake db', 'wake app', 'wake web']);
    release();
    await bench.clock.advance(IDLE_MS + SLEEP_MS);
    await bench.until(() => state('db') === 'stopped');
    expect(log().slice(3)).toEqual(['sleep web', 'sleep app', 'sleep db']);
    expect(bench.lines).toContain('app is going to sleep: web has stopped');
  });

  test('wakes what a workload depends on that no service has', async () => {
    add({ web: { db: 'started' } });
    tell('db', STOPPED);
    const { release } = await use('web');
    expect(log()).toEqual(['wake db', 'wake web']);
    release();
    await bench.clock.advance(IDLE_MS + 2 * SLEEP_MS);
    expect(log().slice(2)).toEqual(['sleep web', 'sleep db']);
  });

  test('follows what an unmanaged dependency depends on itself', async () => {
    add({});
    const dependsOn: Dependency[] = [
      { name: 'app', condition: 'started' },
      { name: 'db', condition: 'healthy', of: 'app' },
    ];
    tell('app', STOPPED);
    tell('db', STOPPED);
    bench.add(
      aBareService({ name: 'web', dependsOn, dependsOnBy: 'compose', idleTimeoutMs: IDLE_MS }),
      STOPPED,
    );
    bench.lifecycle.linkServices();
    const { release } = await use('web');
    expect(log()).toEqual(['wake db', 'wake app', 'wake web']);
    release();
    await bench.clock.advance(IDLE_MS + 3 * SLEEP_MS);
    expect(log().slice(3)).toEqual(['sleep web', 'sleep app', 'sleep db']);
  });

  test('orders a chain of which nothing is known yet when the client comes', async () => {
    add({ web: { app: 'started' }, app: { db: 'healthy' }, db: {} }, {}, UNKNOWN);
    const client = come('web');
    await settle();
    for (const name of ['web', 'app', 'db']) tell(name, STOPPED);
    await bench.until(() => client.outcome === 'served');
    (await client.served).release();
    await bench.clock.advance(IDLE_MS + 3 * SLEEP_MS);
    expect(log()).toEqual(['wake db', 'wake app', 'wake web', 'sleep web', 'sleep app', 'sleep db']);
  });

  test('starts a user at once whose dependencies are there already', async () => {
    add({ db: {} }, {}, RUNNING);
    await bench.until(() => state('db') === 'ready');
    add({ web: { db: 'healthy' } });
    come('web');
    await settle();
    expect(log()).toEqual(['wake web']);
    expect(bench.controller('db').account.report.keepers).toMatchObject([{ kind: 'user', user: 'web' }]);
  });

  test('keeps a dependency awake while its user runs, and leaves one that ran before', async () => {
    add({ db: {} }, {}, RUNNING);
    await bench.until(() => state('db') === 'ready');
    add({ web: { db: 'healthy' } });
    const { release } = await use('web');
    await bench.clock.advance(10 * IDLE_MS);
    expect(state('db')).toBe('ready');
    release();
    await bench.clock.advance(IDLE_MS + SLEEP_MS);
    expect(log()).toEqual(['wake web', 'sleep web']);
    // It goes on as its own settings say.
    await bench.clock.advance(IDLE_MS);
    expect(log().at(-1)).toBe('sleep db');
  });

  test('waits until the health check of a dependency has passed where it has to be healthy', async () => {
    add({ web: { db: 'healthy' }, db: {} });
    manual();
    const client = come('web');
    await settle();
    tell('db', WITH_CHECK);
    bench.backend.calls[0]?.succeed(WITH_CHECK);
    await settle();
    expect(log()).toEqual(['wake db']);
    expect(bench.controller('web').account.report).toMatchObject({
      life: 'waking',
      waitsFor: 'db is not healthy yet: its health check has not passed yet',
      wakeUnderWay: { phase: 'dependencies' },
    });
    tell('db', { ...WITH_CHECK, health: 'healthy' });
    await settle();
    expect(log()).toEqual(['wake db', 'wake web']);
    bench.backend.last.succeed(RUNNING);
    await bench.until(() => client.outcome === 'served');
  });

  test('starts a user as soon as a dependency runs that only has to be started', async () => {
    add({ web: { db: 'started' }, db: {} });
    manual();
    come('web');
    await settle();
    bench.backend.last.succeed(WITH_CHECK);
    await settle();
    expect(log()).toEqual(['wake db', 'wake web']);
  });

  test('tells the client and the last wake which dependency has failed, and why', async () => {
    add({ web: { db: 'healthy' }, db: {} });
    manual();
    const client = come('web');
    await settle();
    bench.backend.last.fail('no space left', STOPPED);
    await expect(client.served).rejects.toThrow('db did not become healthy: no space left');
    expect(bench.controller('web').account.wakes.last).toMatchObject({
      result: 'failed',
      reason: 'db did not become healthy: no space left',
    });
    expect(bench.controller('web').account.report.wakeCounts).toEqual({ dependency: 1 });
    expect(bench.controller('db').leases).toBe(0);
  });

  test('gives the whole chain the budget of who wakes it, and tells what it has waited for', async () => {
    add({ db: {} }, { startTimeoutMs: 1_000 });
    add({ web: { db: 'healthy' } }, { startTimeoutMs: 60_000 });
    manual();
    const client = come('web');
    await settle();
    bench.backend.last.succeed(WITH_CHECK);
    await bench.clock.advance(59_999);
    expect(client.outcome).toBe('waiting');
    await bench.clock.advance(1);
    await expect(client.served).rejects.toThrow(
      'not ready within 60000 ms: db is not healthy yet: its health check has not passed yet',
    );
    expect(state('web')).toBe('failed');
    expect(bench.controller('web').account.report.failure).toBe(
      'not ready within 60000 ms: db is not healthy yet: its health check has not passed yet',
    );
  });

  test('shares a dependency between users until the last one has stopped', async () => {
    add({ a: { db: 'started' }, b: { db: 'started' }, db: {} });
    const [first, second] = [await use('a'), await use('b')];
    first.release();
    await bench.clock.advance(IDLE_MS + SLEEP_MS);
    expect(state('a')).toBe('stopped');
    expect(state('db')).toBe('ready');
    second.release();
    await bench.clock.advance(IDLE_MS + 2 * SLEEP_MS);
    expect(log().slice(-2)).toEqual(['sleep b', 'sleep db']);
  });

  test('wakes a dependency again that stops before its user was started', async () => {
    add({ web: { db: 'started', cache: 'started' }, db: {}, cache: {} });
    manual();
    come('web');
    await settle();
    bench.backend.calls[0]?.succeed(RUNNING);
    await bench.until(() => state('db') === 'ready');
    tell('db', { ...STOPPED, stoppedBy: 'others' });
    await settle();
    expect(log()).toEqual(['wake db', 'wake cache', 'wake db']);
  });

  test('wakes a dependency again that others have stopped together with its user, which a client waits for', async () => {
    add({ web: { db: 'healthy' }, db: {} });
    await use('web');
    const downByOthers: Observation = { ...STOPPED, stoppedBy: 'others' };
    // As an engine does that ends and starts anew.
    tell('db', downByOthers);
    manual();
    tell('web', STARTING);
    const client = come('web');
    await settle();
    tell('web', downByOthers);
    bench.backend.automate({ clock: bench.clock, wakeMs: WAKE_MS, sleepMs: SLEEP_MS });
    await bench.until(() => client.outcome !== 'waiting');
    expect(client.outcome).toBe('served');
    expect(log().slice(2)).toEqual(['wake db', 'wake web']);
  });

  test('refuses nobody for the time that a dependency has lost since others have stopped it', async () => {
    add({ web: { app: 'started' }, app: { db: 'started' }, db: {} }, { startTimeoutMs: 2_000 });
    manual();
    const first = come('web');
    await bench.until(() => bench.backend.count('wake') === 1);
    await bench.clock.advance(1_900);
    bench.backend.last.succeed({ ...STOPPED, stoppedBy: 'others' });
    await settle();
    const second = come('web');
    await bench.clock.advance(500);
    expect([first.outcome, second.outcome]).toEqual(['timeout', 'waiting']);
    bench.backend.automate({ clock: bench.clock, wakeMs: WAKE_MS, sleepMs: SLEEP_MS });
    bench.backend.last.succeed(RUNNING);
    await bench.until(() => second.outcome !== 'waiting');
    expect(second.outcome).toBe('served');
  });

  test('leaves a dependency asleep that others stop while its user runs', async () => {
    add({ web: { db: 'started' }, db: {} });
    await use('web');
    tell('db', { ...STOPPED, stoppedBy: 'others' });
    await settle();
    expect(log()).toEqual(['wake db', 'wake web']);
  });

  test('wakes the dependencies of a user that somebody else starts', async () => {
    add({ web: { db: 'started' }, db: {} });
    tell('web', RUNNING);
    await bench.until(() => state('db') === 'ready');
    expect(log()).toEqual(['wake db']);
    tell('web', { ...STOPPED, stoppedBy: 'others' });
    await bench.clock.advance(SLEEP_MS);
    expect(log()).toEqual(['wake db', 'sleep db']);
  });

  test('waits for a dependency that does not exist yet, within the budget', async () => {
    add({ web: { db: 'started' } });
    tell('db', MISSING);
    const client = come('web');
    await bench.clock.advance(5_000);
    expect(client.outcome).toBe('waiting');
    tell('db', STOPPED);
    await bench.until(() => client.outcome === 'served');
    expect(log()).toEqual(['wake db', 'wake web']);
  });

  test('takes no place among the starts while it waits for its dependencies', async () => {
    bench.lifecycle.setMaxStarting(1);
    add({ web: { app: 'started' }, app: { db: 'started' }, db: {} });
    await use('web');
    expect(log()).toEqual(['wake db', 'wake app', 'wake web']);
  });

  test('starts nothing more once the proxy drains, and refuses who waits', async () => {
    add({ web: { db: 'started' }, db: {} });
    manual();
    const client = come('web');
    await settle();
    bench.lifecycle.drain();
    await expect(client.served).rejects.toThrow('the proxy is shutting down');
    bench.backend.last.succeed(RUNNING);
    await settle();
    expect(log()).toEqual(['wake db']);
  });

  test('lets a start go on whose clients have left', async () => {
    add({ web: { db: 'started' }, db: {} });
    come('web').leave();
    const client = come('web');
    await settle();
    client.leave();
    await bench.until(() => state('web') === 'ready');
    expect(log()).toEqual(['wake db', 'wake web']);
  });

  test('calls a start off that waits for its dependencies where it is put to sleep by hand', async () => {
    add({ web: { db: 'started' }, db: {} });
    manual();
    come('web').leave();
    const lease = bench.controller('web').hold('by hand', { keeper: { kind: 'hand', untilMs: 0 } });
    await settle();
    lease.release();
    bench.controller('web').sleep({ kind: 'hand', words: 'by hand' });
    expect(state('web')).toBe('stopped');
    expect(bench.controller('db').leases).toBe(0);
  });

  test.each([
    ['dependant', 'manual'],
    ['dependant', 'on_demand'],
    ['dependency', 'manual'],
    ['dependency', 'on_demand'],
  ] as const)(
    'calls the start of a %s that is %s off when the one that alone needs it stops',
    async (role, availability) => {
      add({ db: {} });
      add({ app: { db: 'started' } }, { availability });
      add(
        { web: role === 'dependency' ? { app: 'started' } : {} },
        { dependants: role === 'dependant' ? ['app'] : [] },
      );
      manual();
      tell('web', RUNNING);
      await settle();
      expect(state('app')).toBe('starting');
      tell('web', { ...STOPPED, stoppedBy: 'others' });
      await settle();
      expect(state('app')).toBe('stopped');
      expect(bench.lines).toContain('app is not started after all: nobody needs it any more');
      expect(bench.controller('db').leases).toBe(0);
      bench.backend.last.succeed(RUNNING);
      await settle();
      expect(log().filter((call) => call.startsWith('wake'))).toEqual(['wake db']);
    },
  );

  test('goes on with a start that waits for its dependencies where somebody else wants it, too', async () => {
    add({ app: { db: 'started' }, db: {} }, { availability: 'manual' });
    add({ web: {} }, { dependants: ['app'] });
    manual();
    bench.controller('app').hold('by hand', { keeper: { kind: 'hand', untilMs: 0 } });
    tell('web', RUNNING);
    await settle();
    tell('web', { ...STOPPED, stoppedBy: 'others' });
    await settle();
    bench.backend.last.succeed(RUNNING);
    await settle();
    expect(log()).toEqual(['wake db', 'wake app']);
  });

  test('gives a dependency back that a reload takes away, and takes one that it adds', async () => {
    add({ web: { db: 'started' }, db: {}, cache: {} });
    await use('web');
    bench.edit('web', { dependsOn: toDependencies({ cache: 'started' }) });
    await bench.until(() => state('cache') === 'ready');
    expect(bench.controller('db').leases).toBe(0);
    // Its user runs: it goes on as its own settings say.
    expect(state('db')).toBe('ready');
  });

  test('keeps what one user needs no longer and another one from now on', async () => {
    add({ web: { db: 'started' }, db: {}, app: {} });
    await use('web');
    const app = aBareService({ name: 'app', idleTimeoutMs: IDLE_MS });
    bench.reload(() => {
      bench.lifecycle.update({ ...app, dependsOn: toDependencies({ db: 'started' }) }, app);
      tell('app', RUNNING);
      tell('web', STOPPED);
    });
    await settle();
    expect(log()).toEqual(['wake db', 'wake web']);
  });

  test('starts nothing in the middle of a reload, before it is known what all of its services depend on', async () => {
    const on = (name: string, container: string, needs: Needs = {}) =>
      aBareService({ name, workload: { kind: 'docker', container }, dependsOn: toDependencies(needs) });
    const [web, site] = [on('web', 'one'), on('site', 'one')];
    bench.add(on('db', 'db'), STOPPED);
    for (const service of [web, site]) bench.add(service, STOPPING);
    bench.lifecycle.linkServices();
    bench.client('site', server.port);
    await settle();
    bench.reload(() => {
      bench.lifecycle.update(on('web', 'two'), web);
      tell('one', STOPPED);
      bench.lifecycle.update(on('site', 'one', { db: 'started' }), site);
    });
    await settle();
    expect(log()).toEqual(['wake db']);
  });

  test('survives a reload that turns the order of two users round while both wait', async () => {
    const on = (name: string, needs: Needs) => aBareService({ name, dependsOn: toDependencies(needs) });
    const [web, app] = [on('web', { app: 'started' }), on('app', { db: 'started' })];
    bench.add(on('db', {}), MISSING);
    for (const service of [web, app]) bench.add(service, STOPPED);
    bench.lifecycle.linkServices();
    const client = bench.client('web', server.port);
    await settle();
    bench.reload(() => {
      bench.lifecycle.update(on('web', { db: 'started' }), web);
      bench.lifecycle.update(on('app', { web: 'started' }), app);
    });
    tell('db', RUNNING);
    await bench.until(() => client.outcome !== 'waiting');
    expect(client.outcome).toBe('served');
  });

  test('starts a user whose last dependency a reload takes away', async () => {
    add({ web: { db: 'started' }, db: {} });
    manual();
    come('web');
    await settle();
    bench.edit('web', { dependsOn: [] });
    await settle();
    expect(log()).toEqual(['wake db', 'wake web']);
  });

  describe('that have to be completed', () => {
    const finish = (observation: Observation) => bench.backend.last.succeed(observation);

    test('runs it before each wake of its user, and starts the user when it has ended well', async () => {
      add({ web: { migrate: 'completed' }, migrate: {} });
      manual();
      for (const wakes of [1, 2]) {
        const client = come('web');
        await settle();
        expect(log().at(-1)).toBe('wake migrate');
        finish(RUNNING);
        await settle();
        tell('migrate', COMPLETED);
        await settle();
        expect(log().at(-1)).toBe('wake web');
        expect(bench.controller('migrate').leases).toBe(0);
        finish(RUNNING);
        await bench.until(() => client.outcome === 'served');
        (await client.served).release();
        await bench.clock.advance(IDLE_MS);
        expect(log().at(-1)).toBe('sleep web');
        finish(STOPPED);
        await settle();
        expect(bench.backend.count('wake')).toBe(2 * wakes);
      }
    });

    test('takes one that ends before it was seen to run for no failure', async () => {
      add({ web: { migrate: 'completed' }, migrate: {} });
      manual();
      come('web');
      await settle();
      finish(COMPLETED);
      await settle();
      expect(log()).toEqual(['wake migrate', 'wake web']);
      expect(bench.controller('migrate').account.report.failure).toBeUndefined();
      expect(state('migrate')).toBe('stopped');
    });

    test.each([
      ['at once', false],
      ['after a while', true],
    ])('fails the wake of its user where it ends with another status %s', async (_when, runs) => {
      add({ web: { migrate: 'completed' }, migrate: {} });
      manual();
      const client = come('web');
      await settle();
      if (runs) {
        finish(RUNNING);
        await settle();
        tell('migrate', FAILED_RUN);
      } else finish(FAILED_RUN);
      await expect(client.served).rejects.toThrow('migrate was not completed: exit code 3');
      expect(log()).toEqual(['wake migrate']);
    });

    test('waits for the end of a run that was not made for its user, and runs it anew', async () => {
      add({ web: { migrate: 'completed' } });
      add({ migrate: {} }, {}, RUNNING);
      manual();
      come('web');
      await settle();
      expect(log()).toEqual([]);
      tell('migrate', COMPLETED);
      await settle();
      expect(log()).toEqual(['wake migrate']);
    });

    test('runs it once more for a user that comes while it runs for another one', async () => {
      add({ a: { migrate: 'completed' }, b: { migrate: 'completed' }, migrate: {} });
      manual();
      come('a');
      await settle();
      finish(RUNNING);
      await settle();
      come('b');
      await settle();
      expect(log()).toEqual(['wake migrate']);
      tell('migrate', COMPLETED);
      await settle();
      expect(log()).toEqual(['wake migrate', 'wake migrate', 'wake a']);
    });

    test('is not stopped where its user gives up, and is not run for a user that others start', async () => {
      add({ web: { migrate: 'completed' }, migrate: {} });
      tell('web', RUNNING);
      await settle();
      expect(log()).toEqual([]);
    });
  });
});
