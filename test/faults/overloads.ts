/** What a flood of one kind does to the others: the same attacks, at full length in `npm run test:faults`, short in `npm test`. */
import { expect, onTestFinished, test } from 'vitest';
import { FloodedProxy } from './flooded-proxy.ts';

/** Below it, a comparison of times says more of the machine than of the proxy. */
const LEAST_P99_MS = 50;
const ROUNDS = 3;
const MAX_LINES = 20;
/** What garbage collection may leave, and what stays allocated for the next flood. */
const MEMORY_LEFT_MIB = 40;

interface Overload {
  readonly what: string;
  readonly flood: (proxy: FloodedProxy) => Promise<void>;
  /** What the log has to say. */
  readonly tells: RegExp;
  /** Default: {@link MEMORY_LEFT_MIB}. */
  readonly memoryLeftMib?: number;
}

const EVENTS_REQUEST = 'GET /api/events HTTP/1.1\r\nhost: x\r\n\r\n';
const HALF_REQUEST = 'GET /status HTTP/1.1\r\nhost: x\r\n';

export const OVERLOADS: readonly Overload[] = [
  {
    what: '1,024 idle connections from one address',
    flood: (proxy) => proxy.hold(proxy.ports.attacked, { count: 1_024 }),
    tells: /file descriptors/,
  },
  {
    what: '10,000 connections from one address',
    flood: (proxy) => proxy.hold(proxy.ports.attacked, { count: 10_000 }),
    tells: /file descriptors/,
    // What it leaves is not more after a second and a third such flood.
    memoryLeftMib: 60,
  },
  {
    what: '1,024 idle connections from 1,024 addresses',
    flood: (proxy) => proxy.hold(proxy.ports.attacked, { count: 1_024, addresses: 1_024 }),
    tells: /file descriptors.* attacked holds more than its share/,
  },
  {
    what: '1,200 empty datagrams from different ports',
    flood: (proxy) => proxy.sendEmpty(proxy.ports.attacked, 1_200),
    tells: /file descriptors/,
  },
  {
    what: '1,000 half requests to the status',
    flood: (proxy) => proxy.hold(proxy.statusPort, { count: 1_000, text: HALF_REQUEST }),
    tells: /status/,
  },
  {
    what: '1,000 clients that listen to events of the status and never read',
    flood: (proxy) => proxy.hold(proxy.statusPort, { count: 1_000, text: EVENTS_REQUEST, isDeaf: true }),
    tells: /status/,
  },
  {
    what: '3,024 connections to a service that does not wake, 2,000 beyond max_pending',
    flood: (proxy) => proxy.hold(proxy.ports.asleep, { count: 3_024, addresses: 256 }),
    tells: /asleep/,
  },
  {
    what: '3,000 idle connections to an awake service and to one that does not wake, from many addresses',
    flood: (proxy) =>
      holdAll(
        proxy,
        [proxy.ports.attacked, proxy.ports.asleep].map((port) => ({ port, count: 1_500 })),
      ),
    tells: /file descriptors.* holds more than its share/,
  },
  {
    what: '2,000 idle connections to a service that does not wake, then as many to an awake one',
    flood: async (proxy) => {
      await proxy.hold(proxy.ports.asleep, { count: 2_000, addresses: 1_024 });
      await proxy.hold(proxy.ports.attacked, { count: 2_000, addresses: 1_024 });
    },
    tells: /file descriptors.* holds more than its share/,
  },
];

/** A flood of several services at once. */
async function holdAll(
  proxy: FloodedProxy,
  floods: readonly { readonly port: number; readonly count: number }[],
): Promise<void> {
  await Promise.all(floods.map(({ port, count }) => proxy.hold(port, { count, addresses: 1_024 })));
}

/** Tests each of `overloads` with so many requests to another service before the flood, and during it. */
export function testOverloads(overloads: readonly Overload[], requests: number): void {
  test.each(overloads)(
    '$what cost another service nothing',
    { timeout: 120_000 },
    async ({ flood, tells, memoryLeftMib = MEMORY_LEFT_MIB }) => {
      const proxy = await FloodedProxy.start();
      onTestFinished(() => proxy.stop());
      // Awake, and with what is made once.
      for (const port of [proxy.ports.attacked, proxy.ports.other])
        expect(await proxy.ask(port)).toBeDefined();
      await proxy.askOther(requests);
      const before = await proxy.askOther(requests);
      await proxy.status();
      const [descriptors, memory] = [await proxy.countDescriptors(), await proxy.readMemoryMib()];
      const lines = proxy.lines.length;

      const mayTakeMs = Math.max(LEAST_P99_MS, 3 * before.p99Ms);
      const [first] = await Promise.all([proxy.askOther(requests), flood(proxy)]);
      const during = [first];
      // Whoever else works on this machine may hold up a round; the flood would hold up all of them.
      for (let round = 0; round < ROUNDS; round++) {
        const last = await proxy.askOther(requests);
        during.push(last);
        if (last.p99Ms <= mayTakeMs) break;
      }
      await proxy.status();
      expect([before, ...during].map(({ lost }) => lost)).toEqual([0, ...during.map(() => 0)]);
      expect(Math.min(...during.map(({ p99Ms }) => p99Ms))).toBeLessThanOrEqual(mayTakeMs);
      // It can still ask an engine, and open its file.
      expect(await proxy.countDescriptors()).toBeLessThan(1_024 - 32);

      await proxy.release();
      // Flows have no end that anybody tells; the next ones take their place.
      const isOver = async () =>
        (await proxy.status()).every(
          ({ protocol, active_conns }) => protocol === 'udp' || active_conns === 0,
        );
      while (!(await isOver()));
      const flows = (await proxy.row('attacked', 'udp')).active_conns;
      await expect
        .poll(() => proxy.countDescriptors(), { timeout: 10_000 })
        .toBeLessThanOrEqual(descriptors + flows + 16);
      // Node collects the rest when it has been quiet for some seconds.
      await expect
        .poll(() => proxy.readMemoryMib(), { timeout: 40_000, interval: 500 })
        .toBeLessThan(memory + memoryLeftMib);
      const told = proxy.lines.slice(lines);
      expect(told.length).toBeLessThanOrEqual(MAX_LINES);
      expect(told.join('\n')).toMatch(tells);
    },
  );
}
