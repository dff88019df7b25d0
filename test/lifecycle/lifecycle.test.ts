import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Observation } from '../../src/model/running/observation.ts';
import { aListener } from '../support/builders.ts';
import { MISSING, RUNNING, STOPPED, STOPPING } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import type { TestServer } from '../support/sockets.ts';
import { aBareService, Bench } from './bench.ts';

const onContainer = (name: string, container: string) =>
  aBareService({ name, workload: { kind: 'docker', container } });

describe('Lifecycle', () => {
  let bench: Bench;
  let server: TestServer;
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const automate = () => bench.backend.automate({ clock: bench.clock, wakeMs: 200, sleepMs: 300 });

  test('refuses a client of a service that is not there', async () => {
    await expect(bench.client('nobody', 80).served).rejects.toMatchObject({ code: 'removed' });
  });

  test('throws when there is no backend for the kind of a workload', () => {
    const command = { kind: 'process', name: 'x', command: ['x'], cwd: undefined, env: {} } as const;
    expect(() => bench.lifecycle.add(aBareService({ workload: command }))).toThrow('process');
  });

  test('has no timer for services that sleep or are in use, and one for each that is awake and unused', async () => {
    automate();
    const names = Array.from({ length: 20 }, (_, index) => `s${index}`);
    for (const name of names) bench.add(onContainer(name, name), STOPPED);
    bench.add(aBareService({ name: 'up', idleTimeoutMs: 3_600_000 }), RUNNING);
    bench.lifecycle.linkServices();
    await settle();
    expect(bench.clock.delaysMs).toEqual([3_600_000]);
    const clients = ['s1', 's2'].map((name) => bench.client(name, server.port));
    await bench.until(() => clients.every(({ outcome }) => outcome === 'served'));
    expect(bench.clock.pending).toBe(1);
    // Many clients of one that is ready cost no timer either.
    const more = Array.from({ length: 5 }, () => bench.client('s1', server.port));
    for (const { served } of more) (await served).release();
    expect(bench.clock.pending).toBe(1);
    const { calls } = bench.backend;
    const count = calls.length;
    (await clients[0]?.served)?.release();
    expect(bench.clock.pending).toBe(2);
    (await clients[1]?.served)?.release();
    expect(bench.clock.pending).toBe(3);
    await bench.until(() => bench.clock.pending === 1, 1_000);
    expect(calls.slice(count).map(({ kind }) => kind)).toEqual(['sleep', 'sleep']);
    expect(names.map((name) => bench.controller(name).state.kind)).toEqual(names.map(() => 'stopped'));
  });

  test('tells nothing in the name of a service of the workload that it had before', async () => {
    automate();
    bench.add(onContainer('a', 'one'), RUNNING);
    bench.backend.tell('docker/two', STOPPED);
    await bench.until(() => bench.controller('a').state.kind === 'ready');
    const { release } = await bench.client('a', server.port).served;
    bench.edit('a', { workload: { kind: 'docker', container: 'two' } });
    const told: unknown[] = [];
    bench.happenings.listen((happening) => told.push(happening));
    bench.backend.tell('docker/one', { ...STOPPED, stoppedBy: 'others' });
    release();
    expect(told).toEqual([]);
    expect(bench.controller('a').state.kind).toBe('stopped');
  });

  test('keeps the run, its leases and its clients when a service is renamed', async () => {
    automate();
    const old = onContainer('old', 'db');
    bench.add(old, STOPPED);
    const controller = bench.controller('old');
    const waiting = bench.client('old', server.port);
    await bench.backend.called(1);
    bench.lifecycle.add(onContainer('new', 'db'));
    bench.lifecycle.remove(old);
    expect(bench.controller('new')).toBe(controller);
    expect(bench.lifecycle.find('old')).toBeUndefined();
    await bench.until(() => waiting.outcome !== 'waiting');
    expect(waiting.outcome).toBe('served');
    expect(controller.retired).toBe(false);
    expect(bench.backend.count('wake')).toBe(1);
  });

  describe('when a workload gets another name', () => {
    const a = onContainer('a', 'a');
    const b = onContainer('b', 'b');
    const rename = () => {
      bench.backend.tell('docker/b', RUNNING);
      bench.lifecycle.renamed('docker/a', 'docker/b');
      bench.backend.tell('docker/a', MISSING);
    };
    const labelsFollow = () => {
      bench.lifecycle.add(b);
      bench.lifecycle.remove(a);
      bench.lifecycle.linkServices();
    };

    test('goes on with its leases under the new name', async () => {
      automate();
      bench.add(a, RUNNING);
      const connection = await bench.client('a', server.port).served;
      const controller = bench.controller('a');
      rename();
      expect(controller.state.kind).toBe('ready');
      labelsFollow();
      expect(bench.controller('b')).toBe(controller);
      expect([...bench.backend.watched]).toEqual(['docker/b']);
      await bench.clock.advance(500_000);
      expect(bench.backend.calls).toEqual([]);
      connection.release();
      await bench.clock.advance(120_000);
      expect(bench.backend.log).toEqual(['sleep docker/b']);
    });

    test('serves those who wait for it under the new name', async () => {
      bench.add(a, STOPPED);
      const waiting = bench.client('a', server.port);
      await bench.backend.called(1);
      bench.lifecycle.renamed('docker/a', 'docker/b');
      bench.backend.tell('docker/a', MISSING);
      labelsFollow();
      bench.backend.last.succeed(RUNNING);
      bench.backend.tell('docker/b', RUNNING);
      await bench.until(() => waiting.outcome !== 'waiting');
      expect(waiting.outcome).toBe('served');
    });

    test('is missing after a moment when nobody has the new name', async () => {
      bench.add(a, RUNNING);
      rename();
      await bench.clock.advance(999);
      expect(bench.controller('a').state.kind).toBe('ready');
      await bench.clock.advance(1);
      expect(bench.controller('a').state.kind).toBe('missing');
    });

    test('waits with the client who comes the moment after, until it has its name back', async () => {
      bench.add(a, STOPPED);
      bench.lifecycle.renamed('docker/a', 'docker/b');
      bench.backend.tell('docker/a', MISSING);
      const waiting = bench.client('a', server.port);
      await bench.backend.called(1);
      bench.backend.last.fail('it does not exist', MISSING);
      await settle();
      expect(waiting.outcome).toBe('waiting');
      bench.lifecycle.renamed('docker/b', 'docker/a');
      bench.backend.tell('docker/a', STOPPED);
      await bench.backend.called(2);
      bench.backend.last.succeed(RUNNING);
      await bench.until(() => waiting.outcome !== 'waiting');
      expect(waiting.outcome).toBe('served');
    });

    test('goes on as before when it gets its old name back', async () => {
      bench.add(a, RUNNING);
      rename();
      bench.lifecycle.renamed('docker/b', 'docker/a');
      bench.backend.tell('docker/a', RUNNING);
      await bench.clock.advance(5_000);
      expect(bench.controller('a').state.kind).toBe('ready');
    });

    test('follows a service of the file that takes the new name later', async () => {
      bench.add(a, RUNNING);
      await bench.client('a', server.port).served;
      const controller = bench.controller('a');
      rename();
      await bench.clock.advance(60_000);
      bench.lifecycle.update(onContainer('a', 'b'), a);
      expect(bench.controller('a')).toBe(controller);
      expect(controller.leases).toBe(1);
      expect(controller.state.kind).not.toBe('missing');
    });

    test('is what the other service of the file has now when that names it', async () => {
      bench.backend.tell('docker/b', MISSING);
      bench.add(b, MISSING);
      bench.add(a, RUNNING);
      await bench.client('a', server.port).served;
      const controller = bench.controller('a');
      rename();
      expect(bench.controller('b')).toBe(controller);
      expect(bench.controller('a')).not.toBe(controller);
      expect(bench.controller('a').state.kind).toBe('missing');
    });

    test('is kept awake for its users when the other service of the file has users, too', async () => {
      automate();
      bench.add(b, MISSING);
      bench.add(a, RUNNING);
      const connection = await bench.client('a', server.port).served;
      const other = bench.client('b', server.port);
      await settle();
      rename();
      await bench.until(() => other.outcome === 'served');
      (await other.served).release();
      await bench.clock.advance(500_000);
      expect(bench.backend.calls).toEqual([]);
      connection.release();
      await bench.clock.advance(120_000);
      expect(bench.backend.log).toEqual(['sleep docker/b']);
    });

    test('keeps its users from another workload that gets the old name', async () => {
      bench.add(a, RUNNING);
      rename();
      bench.backend.tell('docker/a', { ...STOPPED, id: 'b2' });
      bench.lifecycle.add(b);
      expect(bench.controller('b')).not.toBe(bench.controller('a'));
    });

    test('keeps its users from a service that takes the new name when another workload has the old one', async () => {
      bench.add(a, RUNNING);
      const controller = bench.controller('a');
      rename();
      bench.backend.tell('docker/a', { ...STOPPED, id: 'b2' });
      bench.lifecycle.update(onContainer('a', 'b'), a);
      expect(bench.controller('a')).not.toBe(controller);
    });
  });

  describe('with listeners that are not bound', () => {
    const idle = () => bench.clock.advance(500_000);
    const serve = (isServed: boolean) => bench.lifecycle.setServed('db', { isServed });

    test('puts nothing to sleep that somebody else may serve', async () => {
      bench.add(aBareService({ listeners: [aListener({ protocol: 'udp' })] }), RUNNING);
      serve(false);
      bench.controller('db').sleepIfUnused({ kind: 'schedule', words: 'its hub has stopped' });
      await idle();
      expect(bench.backend.calls).toEqual([]);
    });

    test('gives the whole idle timeout from when one is bound', async () => {
      automate();
      bench.add(aBareService(), RUNNING);
      serve(false);
      await idle();
      serve(true);
      await bench.clock.advance(119_999);
      expect(bench.backend.calls).toEqual([]);
      await bench.clock.advance(1);
      expect(bench.backend.log).toEqual(['sleep docker/db']);
    });

    test('puts to sleep what another service of the same workload serves', async () => {
      automate();
      const other = onContainer('other', 'db');
      bench.add(onContainer('db', 'db'), RUNNING);
      bench.lifecycle.add(other);
      serve(false);
      await bench.clock.advance(120_000);
      expect(bench.backend.log).toEqual(['sleep docker/db']);
    });

    test.each([
      ['leaves alone', {}, []],
      ['puts to sleep what has dependants and', { dependants: ['x'] }, ['sleep docker/db']],
    ])('%s has no listener at all', async (_, fields, calls) => {
      automate();
      bench.add(aBareService(fields), RUNNING);
      serve(false);
      await bench.clock.advance(120_000);
      expect(bench.backend.log).toEqual(calls);
    });
  });

  describe('when services share a workload', () => {
    const tls = { ...onContainer('db', 'db'), idleTimeoutMs: 5_000, startTimeoutMs: 10_000 };
    const plain = {
      ...onContainer('db-plain', 'db'),
      ...{ idleTimeoutMs: 60_000, startTimeoutMs: 1_000, maxPending: 1 },
    };
    const addBoth = () => {
      bench.add(plain, STOPPED);
      bench.lifecycle.add(tls);
    };

    test('wakes it once for clients of both, and puts it to sleep after the longest idle timeout', async () => {
      automate();
      addBoth();
      const clients = [bench.client('db', server.port), bench.client('db-plain', server.port)];
      await bench.until(() => clients.every(({ outcome }) => outcome === 'served'));
      expect(bench.controller('db')).toBe(bench.controller('db-plain'));
      for (const { served } of clients) (await served).release();
      await bench.clock.advance(59_999);
      expect(bench.backend.log).toEqual(['wake docker/db']);
      await bench.clock.advance(1);
      expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
      expect(bench.lines.filter((line) => line.startsWith('db is awake'))).toHaveLength(1);
    });

    test.each([
      ['the main one', tls, plain, 60_000],
      ['the other one', plain, tls, 5_000],
    ])(
      'goes on with what the one that is left asks for, when %s is removed',
      async (_, gone, left, idleMs) => {
        automate();
        addBoth();
        const client = bench.client(gone.name, server.port);
        await bench.backend.called(1);
        bench.lifecycle.remove(gone);
        await bench.until(() => client.outcome === 'served');
        expect(bench.controller(left.name).policy).toMatchObject({ name: left.name, services: [left] });
        await expect(bench.client(gone.name, server.port).served).rejects.toMatchObject({ code: 'removed' });
        (await client.served).release();
        await bench.clock.advance(idleMs);
        expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
      },
    );

    test('is left for another workload by one of them alone', async () => {
      addBoth();
      const moved = onContainer('db-plain', 'two');
      bench.backend.tell('docker/two', RUNNING);
      bench.lifecycle.update(moved, plain);
      await settle();
      expect(bench.controller('db-plain').state.kind).toBe('ready');
      expect(bench.controller('db').state.kind).toBe('stopped');
      expect(bench.controller('db').policy.services).toEqual([tls]);
      bench.lifecycle.update(plain, moved);
      expect(bench.controller('db-plain')).toBe(bench.controller('db'));
      expect([...bench.backend.watched]).toEqual(['docker/db']);
    });

    test('is awaited by each client for as long as its own service says', async () => {
      addBoth();
      const clients = [bench.client('db', server.port), bench.client('db-plain', server.port)];
      const outcomes = () => clients.map(({ outcome }) => outcome);
      await expect(bench.client('db-plain', server.port).served).rejects.toMatchObject({
        code: 'overloaded',
      });
      await bench.backend.called(1);
      await bench.clock.advance(1_000);
      expect(outcomes()).toEqual(['waiting', 'timeout']);
      expect(bench.controller('db').state.kind).toBe('starting');
      await bench.clock.advance(9_000);
      expect(outcomes()).toEqual(['timeout', 'timeout']);
      expect(bench.controller('db').state.kind).toBe('failed');
      bench.backend.last.fail('no', STOPPED);
    });

    test('goes on starting when a client of the less patient one has waited in vain at its port', async () => {
      automate();
      addBoth();
      const port = await freePort();
      const client = bench.client('db-plain', port);
      await bench.until(() => client.outcome === 'timeout', 100);
      expect(bench.controller('db').state.kind).not.toBe('failed');
      bench.controller('db').sleep({ kind: 'hand', words: 'by hand' });
      await bench.until(() => bench.controller('db').state.kind === 'stopped', 100);
    });

    test('has the dependants of both', async () => {
      automate();
      for (const name of ['one', 'two']) bench.add(onContainer(name, name), STOPPED);
      addBoth();
      bench.lifecycle.update({ ...tls, dependants: ['one'] }, tls);
      bench.lifecycle.update({ ...plain, dependants: ['two'] }, plain);
      bench.lifecycle.linkServices();
      bench.client('db', server.port);
      await bench.backend.called(3);
      expect(bench.backend.log.toSorted()).toEqual(['wake docker/db', 'wake docker/one', 'wake docker/two']);
    });
  });

  test('follows the other workload when a service changes over to it', async () => {
    const before = onContainer('db', 'one');
    const after = onContainer('db', 'two');
    bench.add(before, RUNNING);
    bench.backend.tell('docker/two', STOPPED);
    bench.lifecycle.update(after, before);
    expect(bench.controller('db').state.kind).toBe('stopped');
    expect([...bench.backend.watched]).toEqual(['docker/two']);
  });

  test('gives each service the other workload when two are swapped', async () => {
    automate();
    const [a1, b2] = [onContainer('a', 'one'), onContainer('b', 'two')];
    const [a2, b1] = [onContainer('a', 'two'), onContainer('b', 'one')];
    bench.add(a1, RUNNING);
    bench.add(b2, STOPPED);
    bench.lifecycle.update(a2, a1);
    bench.lifecycle.update(b1, b2);
    expect(bench.controller('a').state.kind).toBe('stopped');
    expect(bench.controller('a').policy.name).toBe('a');
    await settle();
    expect(bench.controller('b').state.kind).toBe('ready');
    expect(bench.controller('b').policy.name).toBe('b');
    expect([...bench.backend.watched].sort()).toEqual(['docker/one', 'docker/two']);
    const client = bench.client('a', server.port);
    await bench.until(() => client.outcome === 'served');
    expect(bench.backend.log).toEqual(['wake docker/two']);
  });

  test('keeps the leases of both when two swapped workloads are in use', async () => {
    const [a1, b2] = [onContainer('a', 'one'), onContainer('b', 'two')];
    const [a2, b1] = [onContainer('a', 'two'), onContainer('b', 'one')];
    bench.add(a1, RUNNING);
    bench.add(b2, RUNNING);
    const { release } = await bench.client('a', server.port).served;
    bench.lifecycle.update(a2, a1);
    bench.lifecycle.update(b1, b2);
    expect(bench.controller('b').leases).toBe(1);
    expect(bench.controller('a').leases).toBe(0);
    release();
    expect(bench.controller('b').leases).toBe(0);
    expect(bench.controller('b').retired).toBe(false);
  });

  test('refuses those who wait when the service is removed', async () => {
    const service = aBareService();
    bench.add(service, STOPPED);
    const waiting = bench.client('db', server.port);
    await bench.backend.called(1);
    bench.lifecycle.remove(service);
    await settle();
    expect(waiting.outcome).toBe('removed');
    expect(bench.backend.watched.size).toBe(0);
  });

  test('leaves alone what it does not own when the service is removed', async () => {
    const service = aBareService();
    bench.add(service, RUNNING);
    bench.lifecycle.remove(service);
    await bench.clock.advance(1_000_000);
    expect(bench.backend.calls).toEqual([]);
    expect(bench.backend.watched.size).toBe(0);
  });

  test('follows a removed workload until its last lease has ended', async () => {
    const service = aBareService();
    bench.add(service, RUNNING);
    const { release } = await bench.client('db', server.port).served;
    bench.lifecycle.remove(service);
    expect(bench.backend.watched.size).toBe(1);
    release();
    expect(bench.backend.watched.size).toBe(0);
  });

  test('wakes nothing for a client whose dial fails after the service was removed', async () => {
    const service = aBareService();
    bench.add(service, RUNNING);
    const first = await bench.client('db', server.port).served;
    await server.close();
    const late = bench.client('db', server.port);
    bench.lifecycle.remove(service);
    bench.backend.tell('docker/db', STOPPED);
    await bench.until(() => late.outcome !== 'waiting');
    first.release();
    await settle();
    expect(late.outcome).toBe('removed');
    expect(bench.backend.calls).toEqual([]);
    expect(bench.backend.watched.size).toBe(0);
  });

  test('goes on as before when a removed service comes back while it drains', async () => {
    const service = aBareService();
    bench.add(service, RUNNING);
    const controller = bench.controller('db');
    const { release } = await bench.client('db', server.port).served;
    bench.lifecycle.remove(service);
    bench.lifecycle.add(service);
    expect(bench.controller('db')).toBe(controller);
    release();
    await bench.clock.advance(119_999);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
  });

  test.each<[string, Observation, (bench: Bench) => void]>([
    ['its idle timeout passes', RUNNING, () => {}],
    [
      'a schedule stops it',
      RUNNING,
      ({ lifecycle }) => lifecycle.find('db')?.sleep({ kind: 'schedule', words: 'cron_stop' }),
    ],
    [
      'a schedule starts it',
      STOPPED,
      ({ lifecycle }) => void lifecycle.find('db')?.hold('cron_start', { keeper: { kind: 'schedule' } }),
    ],
    ['a client comes', STOPPED, (bench) => void bench.client('db', 80).served.catch(() => {})],
    [
      'a client comes while it stops',
      STOPPING,
      (bench) => void bench.client('db', 80).served.catch(() => {}),
    ],
  ])('neither starts nor stops a workload once it drains when %s', async (_, observation, happen) => {
    bench.add(aBareService({ idleTimeoutMs: 1_000 }), observation);
    bench.lifecycle.drain();
    happen(bench);
    await bench.clock.advance(500);
    bench.backend.tell('docker/db', observation === STOPPING ? STOPPED : observation);
    await bench.clock.advance(100_000);
    expect(bench.backend.calls).toEqual([]);
    expect(bench.controller('db').waitingRoom.size).toBe(0);
  });

  test('does not try a failed start again once it drains', async () => {
    bench.add(aBareService(), STOPPED);
    const client = bench.client('db', server.port);
    await bench.backend.called(1);
    bench.backend.last.fail('no such image', STOPPED);
    await settle();
    const next = bench.client('db', server.port);
    await settle();
    bench.lifecycle.drain();
    await bench.clock.advance(60_000);
    expect([client.outcome, next.outcome]).toEqual(['failed', 'removed']);
    expect(bench.backend.count('wake')).toBe(1);
  });

  test('serves who waits for a start that was under way when it began to drain', async () => {
    automate();
    bench.add(aBareService({ idleTimeoutMs: 0 }), STOPPED);
    const client = bench.client('db', server.port);
    await bench.backend.called(1);
    bench.lifecycle.drain();
    await bench.until(() => client.outcome !== 'waiting');
    expect(client.outcome).toBe('served');
    (await client.served).release();
    await bench.clock.advance(60_000);
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });

  test('does nothing more when it is closed', async () => {
    bench.add(aBareService(), RUNNING);
    const { release } = await bench.client('db', server.port).served;
    bench.lifecycle.close();
    release();
    bench.lifecycle.close();
    await bench.clock.advance(1_000_000);
    expect(bench.backend.calls).toEqual([]);
  });
});

describe('Lifecycle with workloads that the proxy owns', () => {
  let bench: Bench;
  let server: TestServer;
  const service = aBareService();
  beforeEach(async () => {
    bench = new Bench({ owns: true });
    server = await bench.sockets.listen();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });

  test('ends the workload when its service is removed', async () => {
    bench.add(service, RUNNING);
    await settle();
    bench.lifecycle.remove(service);
    await bench.clock.advance(0);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
    await settle();
    expect(bench.backend.watched.size).toBe(0);
  });

  test('ends the workload when its service is removed, whatever its schedule says', async () => {
    const scheduled = aBareService({ cronStart: '0 8 * * *' });
    bench.add(scheduled, RUNNING);
    await settle();
    bench.lifecycle.remove(scheduled);
    await bench.clock.advance(0);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
  });

  test('ends the workload only when the last lease has ended', async () => {
    bench.add(service, RUNNING);
    const { release } = await bench.client('db', server.port).served;
    bench.lifecycle.remove(service);
    await bench.clock.advance(1_000_000);
    expect(bench.backend.calls).toEqual([]);
    release();
    await bench.clock.advance(0);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
    await settle();
    expect(bench.backend.watched.size).toBe(0);
  });

  test('ends the workload when its service is removed while it starts', async () => {
    bench.add(service, STOPPED);
    const waiting = bench.client('db', await freePort());
    await bench.backend.called(1);
    bench.lifecycle.remove(service);
    await settle();
    expect(waiting.outcome).toBe('removed');
    bench.backend.last.succeed(RUNNING);
    await bench.clock.advance(0);
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
    await settle();
    expect(bench.backend.watched.size).toBe(0);
  });

  test('lets go of a workload whose start fails after its service was removed', async () => {
    bench.add(service, STOPPED);
    bench.client('db', server.port);
    await bench.backend.called(1);
    bench.lifecycle.remove(service);
    bench.backend.last.fail('no such file');
    await settle();
    expect(bench.backend.watched.size).toBe(0);
  });

  test('tries again after a backoff when a removed workload can not be ended', async () => {
    bench.add(service, RUNNING);
    await settle();
    bench.lifecycle.remove(service);
    await bench.clock.advance(0);
    bench.backend.last.fail('no');
    await bench.clock.advance(999);
    expect(bench.backend.count('sleep')).toBe(1);
    await bench.clock.advance(1);
    expect(bench.backend.count('sleep')).toBe(2);
    bench.backend.last.succeed(STOPPED);
    await settle();
    expect(bench.backend.watched.size).toBe(0);
  });

  test('serves again when the service comes back while its workload is being ended', async () => {
    bench.add(service, RUNNING);
    await settle();
    bench.lifecycle.remove(service);
    await bench.clock.advance(0);
    bench.lifecycle.add(service);
    const waiting = bench.client('db', server.port);
    bench.backend.last.succeed(STOPPED);
    await bench.backend.called(2);
    bench.backend.last.succeed(RUNNING);
    await bench.until(() => waiting.outcome !== 'waiting');
    expect(waiting.outcome).toBe('served');
    expect(bench.backend.watched.size).toBe(1);
  });

  test('leaves the workload as it is when it is closed', async () => {
    bench.add(service, RUNNING);
    const { release } = await bench.client('db', server.port).served;
    bench.lifecycle.close();
    release();
    await bench.clock.advance(1_000);
    expect(bench.backend.calls).toEqual([]);
  });
});
