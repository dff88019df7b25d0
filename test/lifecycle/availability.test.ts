import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Observation } from '../../src/model/running/observation.ts';
import { aListener } from '../support/builders.ts';
import { MISSING, PAUSED, RUNNING, STARTING, STOPPED, STOPPING, UNKNOWN } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import type { TestServer } from '../support/sockets.ts';
import { aBareService, Bench, type Client } from './bench.ts';

const KEY = 'docker/db';
const STRANDED: Observation = { ...RUNNING, state: 'stranded', detail: 'its network is gone' };
const HELD = { isSleeper: true, heldElsewhere: new Set<string>() };

describe('availability', () => {
  let bench: Bench;
  let server: TestServer;
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });

  const manual = (overrides: Parameters<typeof aBareService>[0] = {}) =>
    aBareService({ availability: 'manual', idleTimeoutMs: 1_000, ...overrides });
  const update = (from: ReturnType<typeof manual>, to: ReturnType<typeof manual>) =>
    bench.lifecycle.update(to, from);
  const automate = () => bench.backend.automate({ clock: bench.clock, wakeMs: 200, sleepMs: 300 });
  const come = async (): Promise<Client> => {
    const client = bench.client('db', server.port);
    await settle();
    return client;
  };
  const reasonOf = async ({ served }: Client) => served.then(String, (error: Error) => error.message);

  describe.each(['manual', 'schedule'] as const)('%s', (availability) => {
    const service = manual({ availability });

    test.each([
      ['asleep', STOPPED],
      ['paused', PAUSED],
      ['being stopped', STOPPING],
    ])('refuses a client at once while the workload is %s, and wakes nothing', async (what, observation) => {
      bench.add(service, observation);
      const { lastActiveMs } = bench.controller('db');
      await bench.clock.advance(5_000);
      const client = await come();
      expect(client.outcome).toBe('asleep');
      expect(await reasonOf(client)).toContain(
        `it is ${what}, and clients don't wake it (availability: ${availability})`,
      );
      const port = { port: 53, client: 'c', sleepIfSilent: true };
      expect(() => bench.lifecycle.takeFlowLease('db', port)).toThrow(`it is ${what}`);
      expect(bench.lifecycle.refusalOf('db', { mayWake: true })?.code).toBe('asleep');
      expect(bench.controller('db').lastActiveMs).toBe(lastActiveMs);
      await bench.clock.advance(100_000);
      expect(bench.backend.calls).toEqual([]);
    });

    test('serves clients of a workload that somebody else has started, and never stops it', async () => {
      bench.add(service, STOPPED);
      bench.backend.tell(KEY, RUNNING);
      const client = bench.client('db', server.port);
      await bench.until(() => client.outcome === 'served');
      (await client.served).release();
      await bench.clock.advance(1_000_000);
      expect(bench.lifecycle.refusalOf('db', { mayWake: true })).toBeUndefined();
      expect(bench.backend.calls).toEqual([]);
    });

    test('lets the client wait for the start of somebody else', async () => {
      bench.add(service, STARTING);
      const client = await come();
      expect(client.outcome).toBe('waiting');
      bench.backend.tell(KEY, RUNNING);
      await bench.until(() => client.outcome === 'served');
      expect(bench.backend.calls).toEqual([]);
    });

    test.each([
      ['is not known yet', UNKNOWN],
      ['does not exist', MISSING],
    ])(
      'lets a client wait while the workload %s, and refuses it when that sleeps',
      async (_, observation) => {
        bench.add(service, observation);
        const client = await come();
        expect(client.outcome).toBe('waiting');
        bench.backend.tell(KEY, STOPPED);
        await settle();
        expect(client.outcome).toBe('asleep');
        expect(bench.backend.calls).toEqual([]);
      },
    );

    test('refuses who waits at the gate when somebody else stops the workload', async () => {
      const nobody = await bench.sockets.listen();
      await nobody.close();
      bench.add(service, RUNNING);
      const client = bench.client('db', nobody.port);
      await bench.clock.advance(100);
      expect(client.outcome).toBe('waiting');
      bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
      await settle();
      expect(client.outcome).toBe('asleep');
      await bench.clock.advance(60_000);
      expect(bench.backend.calls).toEqual([]);
    });

    test('says anew why it is refused when the workload rests in another way', async () => {
      bench.add(service, STOPPED);
      expect(await reasonOf(await come())).toContain('it is asleep');
      bench.backend.tell(KEY, PAUSED);
      expect(await reasonOf(await come())).toContain('it is paused');
    });

    test('refuses a client at once when somebody else has stopped what was woken by hand', async () => {
      automate();
      const controller = bench.add(service, STOPPED);
      controller
        .hold('by hand', { keeper: { kind: 'hand', untilMs: bench.clock.nowMs() + 60_000 } })
        .release();
      await bench.until(() => controller.state.kind === 'ready');
      bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
      expect((await come()).outcome).toBe('asleep');
    });

    test('says that the start of somebody else has failed', async () => {
      bench.add(service, STARTING);
      bench.backend.tell(KEY, { ...STOPPED, detail: 'exit code 3' });
      const client = await come();
      expect(await reasonOf(client)).toMatch(
        /^its last start failed: .*exit code 3, and clients don't wake it/,
      );
      await bench.clock.advance(60_000);
      expect(bench.backend.calls).toEqual([]);
    });

    test('neither stops nor starts for a client what nothing reaches until it was stopped', async () => {
      bench.add(service, STRANDED);
      const client = await come();
      expect(client.outcome).toBe('asleep');
      expect(await reasonOf(client)).toMatch(
        /^nothing reaches it until it was stopped and started: its network/,
      );
      await bench.clock.advance(1_000_000);
      expect(bench.backend.calls).toEqual([]);
    });

    test('is woken by its hub, and then serves who waits', async () => {
      automate();
      bench.add(service, STOPPED);
      bench.add(aBareService({ name: 'hub', dependants: ['db'] }), STOPPED);
      bench.lifecycle.linkServices();
      const hubClient = bench.client('hub', server.port);
      await bench.backend.called(2);
      const client = await come();
      expect(client.outcome).toBe('waiting');
      await bench.until(() => client.outcome === 'served' && hubClient.outcome === 'served');
      expect(bench.backend.log.toSorted()).toEqual(['wake docker/db', 'wake docker/hub']);
    });

    test('leaves alone what its own flow has found silent', async () => {
      bench.add(service, RUNNING);
      bench.controller('db').sleepIfUnused({ kind: 'silence', words: 'no answer to the first datagram' });
      await bench.clock.advance(100_000);
      expect(bench.backend.calls).toEqual([]);
    });
  });

  test('goes down with its hub unless it is manual', async () => {
    for (const availability of ['schedule', 'manual'] as const) {
      const other = new Bench();
      other.backend.automate({ clock: other.clock, wakeMs: 200, sleepMs: 300 });
      other.add(manual({ availability }), STOPPED);
      other.add(aBareService({ name: 'hub', dependants: ['db'] }), STOPPED);
      other.lifecycle.linkServices();
      other.controller('hub').demand('for a test');
      await other.until(() => other.controller('db').state.kind === 'ready');
      other.controller('hub').sleep({ kind: 'hand', words: 'for a test' });
      await other.clock.advance(10_000);
      const stops = other.backend.log.filter((call) => call === 'sleep docker/db').length;
      expect(stops).toBe(availability === 'manual' ? 0 : 1);
      expect(await other.close()).toBe(0);
    }
  });

  test('lets somebody start and stop by hand what is manual', async () => {
    automate();
    bench.add(manual(), STOPPED);
    bench.controller('db').demand('for a test', { by: 'hand' });
    await bench.until(() => bench.controller('db').state.kind === 'ready');
    bench.controller('db').sleep({ kind: 'hand', words: 'for a test' });
    await bench.until(() => bench.controller('db').state.kind === 'stopped');
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
  });

  test('has what its schedule starts stopped and started where nothing reaches it', async () => {
    automate();
    bench.add(manual({ availability: 'schedule' }), STRANDED);
    bench.controller('db').hold('cron_start', { keeper: { kind: 'schedule' } });
    await bench.until(() => bench.controller('db').state.kind === 'ready');
    expect(bench.backend.log).toEqual(['sleep docker/db', 'wake docker/db']);
  });

  test('never has a manual one stopped where nothing reaches it, not even for its hub', async () => {
    bench.add(manual(), STRANDED);
    bench
      .controller('db')
      .hold('with hub', { keeper: { kind: 'hub', hub: 'hub' } })
      .release();
    await bench.clock.advance(100_000);
    expect(bench.backend.calls).toEqual([]);
  });

  test('does nothing for the schedule of a manual one', async () => {
    bench.add(manual(), STOPPED);
    bench
      .controller('db')
      .hold('cron_start', { keeper: { kind: 'schedule' } })
      .release();
    bench.backend.tell(KEY, RUNNING);
    bench.controller('db').sleep({ kind: 'schedule', words: 'cron_stop' });
    await bench.clock.advance(100_000);
    expect(bench.backend.calls).toEqual([]);
  });

  test('sends nobody on the way that leads past the lifecycle when a manual one sleeps', async () => {
    bench.add(manual({ listeners: [aListener({ targetPort: server.port })] }), RUNNING);
    const client = bench.client('db', server.port);
    await bench.until(() => client.outcome === 'served');
    const closed: string[] = [];
    const user = {
      lastUsedMs: 0,
      listUses: () => [],
      tryClose: () => false,
      close: () => void closed.push('closed'),
    };
    expect(bench.lifecycle.openWarmPath('db', { port: server.port, user })).toBeDefined();
    bench.backend.tell(KEY, STOPPED);
    expect(closed).toEqual(['closed']);
    expect(bench.lifecycle.openWarmPath('db', { port: server.port, user })).toBeUndefined();
    expect((await come()).outcome).toBe('asleep');
  });

  describe('a reload', () => {
    const onDemand = manual({ availability: 'on_demand' });

    test('that makes it manual refuses who waits for a stop to end, and starts nothing', async () => {
      bench.add(onDemand, STOPPING);
      const client = await come();
      expect(client.outcome).toBe('waiting');
      update(onDemand, manual());
      await settle();
      expect(client.outcome).toBe('asleep');
      bench.backend.tell(KEY, STOPPED);
      await bench.clock.advance(60_000);
      expect(bench.backend.calls).toEqual([]);
    });

    test('that makes it manual lets a start under way go on for those who wait', async () => {
      automate();
      bench.add(onDemand, STOPPED);
      const client = await come();
      update(onDemand, manual());
      await bench.until(() => client.outcome === 'served');
      (await client.served).release();
      await bench.clock.advance(100_000);
      expect(bench.backend.log).toEqual(['wake docker/db']);
    });

    test('that makes it manual refuses who waits in a backoff, and for a turn', async () => {
      const narrow = new Bench({ maxStarting: 1 });
      narrow.add(aBareService({ name: 'other' }), STOPPED);
      narrow.add(onDemand, STOPPED);
      const first = narrow.client('other', server.port);
      await narrow.backend.called(1);
      const second = narrow.client('db', server.port);
      await settle();
      expect(second.outcome).toBe('waiting');
      narrow.lifecycle.update(manual(), onDemand);
      await settle();
      expect([first.outcome, second.outcome]).toEqual(['waiting', 'asleep']);
      narrow.backend.last.fail('no');
      await narrow.clock.advance(100_000);
      expect(narrow.backend.log).not.toContain('wake docker/db');
      expect(await narrow.close()).toBe(0);
    });

    test('that makes it manual stops the idle timer, and one back gives it the whole idle timeout', async () => {
      bench.add(onDemand, RUNNING);
      await bench.clock.advance(900);
      update(onDemand, manual());
      await bench.clock.advance(100_000);
      expect(bench.backend.calls).toEqual([]);
      update(manual(), onDemand);
      await bench.clock.advance(999);
      expect(bench.backend.calls).toEqual([]);
      await bench.clock.advance(1);
      expect(bench.backend.log).toEqual(['sleep docker/db']);
      bench.backend.last.succeed(STOPPED);
    });

    test('that makes it manual takes back a wish to sleep when its start has ended', async () => {
      bench.add(onDemand, STOPPED);
      bench
        .controller('db')
        .hold('cron_start', { keeper: { kind: 'schedule' } })
        .release();
      bench.controller('db').sleep({ kind: 'schedule', words: 'cron_stop' });
      update(onDemand, manual());
      bench.backend.last.succeed(RUNNING);
      await bench.clock.advance(100_000);
      expect(bench.backend.log).toEqual(['wake docker/db']);
    });

    test('that lets clients wake it does so for the next one', async () => {
      automate();
      bench.add(manual(), STOPPED);
      expect((await come()).outcome).toBe('asleep');
      update(manual(), onDemand);
      const client = await come();
      await bench.until(() => client.outcome === 'served');
    });
  });

  test('counts a shared workload as unused by a client that was refused', async () => {
    const shared = new Bench({ shares: true });
    shared.add(manual(), STOPPED);
    shared.lifecycle.share('docker', HELD);
    const client = shared.client('db', server.port);
    await settle();
    expect(client.outcome).toBe('asleep');
    expect(shared.backend.uses).toEqual([]);
    expect(await shared.close()).toBe(0);
  });
});
