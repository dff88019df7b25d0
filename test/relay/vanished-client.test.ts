import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'vitest';
import type { WarmUser } from '../../src/model/running/warm-path.ts';
import { compileAccessList } from '../../src/relay/access/access-list.ts';
import { TcpListener } from '../../src/relay/tcp/tcp-listener.ts';
import type { RelayKind } from '../../src/relay/tcp/tcp-relay.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { aListener } from '../support/builders.ts';
import { settle } from '../support/fake-clock.ts';
import { FarClient, whyNoFarClient } from '../support/far-client.ts';
import { freePort } from '../support/free-ports.ts';
import { createRelay } from '../support/relays.ts';
import { ending, pattern, Sockets } from '../support/sockets.ts';

/** The kernel keeps the time of these tests, so they wait for real; the least that it counts is a second. */
const KEEP_ALIVE_MS = 1_000;
/** The silence, and six probes a second apart, which is the least. */
const LIMIT_MS = 7_000;
/** What timers and a loaded machine may add. */
const SLACK_MS = 2_500;

const WAYS: readonly { readonly way: string; readonly kind: RelayKind; readonly warm: boolean }[] = [
  { way: 'streams', kind: 'stream', warm: false },
  { way: 'the relay thread, handed over', kind: 'splice', warm: false },
  { way: 'the relay thread, by itself', kind: 'splice', warm: true },
];

const reason = whyNoFarClient();
if (reason !== undefined) {
  if (process.env['CI'] === 'true') throw new Error(`the tests with a cut cable can't run: ${reason}`);
  process.stderr.write(`\nLEFT OUT: the tests with a cut cable: ${reason}\n\n`);
}

let nextIndex = 0;

/** A far client that is connected through the proxy to `far`. */
async function openStage(
  { kind, warm }: { readonly kind: RelayKind; readonly warm: boolean },
  { onTestFinished }: TestContext,
) {
  const client = new FarClient(nextIndex++);
  onTestFinished(() => client.close());
  const sockets = new Sockets();
  const relay = await createRelay(kind);
  const upstream = await sockets.listen();
  const port = await freePort();
  let user: WarmUser | undefined;
  const listener = new TcpListener({
    spec: aListener({ port }),
    binding: {
      service: 'db',
      targetPort: 5432,
      keepAliveMs: KEEP_ALIVE_MS,
      access: compileAccessList({ allowList: [], blockList: [] }),
      connect: async () => ({ socket: await sockets.connect(upstream.port), release() {} }),
      openWarmPath(wanted) {
        user = wanted;
        if (!warm) return undefined;
        return {
          endpoints: [{ host: '127.0.0.1', port: upstream.port }],
          budgetMs: 30_000,
          used() {},
          close() {},
        };
      },
    },
    ...{ relay, logger: silentLogger, onRefused() {}, onDrained() {} },
  });
  await listener.open();
  onTestFinished(async () => {
    listener.destroy();
    relay.close();
    await sockets.close();
  });
  if (warm) {
    const first = await sockets.connect(port);
    const served = await upstream.socket(0);
    const ends = [ending(first), ending(served)];
    while (user === undefined) await settle();
    for (const socket of [first, served]) socket.end();
    await Promise.all(ends);
    while (listener.activeConnections > 0) await settle();
  }
  const index = upstream.sockets.length;
  await client.connect(port);
  const far = await upstream.socket(index);
  await once(far, 'data');
  return { client, far };
}

/** How long it takes until the upstream's side of a connection is ended, and how; up to a bound. */
async function timeEnd(far: Socket) {
  const startMs = systemClock.monotonicMs();
  const tooLong = systemClock.sleep(LIMIT_MS + SLACK_MS + 500).then(() => 'still there');
  const how = await Promise.race([ending(far), tooLong]);
  return { how, tookMs: systemClock.monotonicMs() - startMs };
}

describe.runIf(reason === undefined).concurrent('a client whose network is gone', { timeout: 40_000 }, () => {
  test.for(WAYS)(
    'is let go after the time of keepalive where nothing is sent: $way',
    async (way, context) => {
      const { client, far } = await openStage(way, context);
      client.cutCable();
      const { how, tookMs } = await timeEnd(far);
      context.expect(how).toBe('ECONNRESET');
      context.expect(tookMs).toBeLessThan(LIMIT_MS + SLACK_MS);
    },
  );

  test.for(WAYS)('is let go within the same time with an answer under way: $way', async (way, context) => {
    const { client, far } = await openStage(way, context);
    client.cutCable();
    far.write('an answer that nobody gets');
    const { how, tookMs } = await timeEnd(far);
    context.expect(how).toBe('ECONNRESET');
    context.expect(tookMs).toBeGreaterThan(3_000);
    context.expect(tookMs).toBeLessThan(LIMIT_MS + SLACK_MS);
  });

  test.for(WAYS)(
    'is let go within the same time with more under way than fits: $way',
    async (way, context) => {
      const { client, far } = await openStage(way, context);
      client.read();
      client.cutCable();
      far.write(pattern(20_000_000));
      const { how, tookMs } = await timeEnd(far);
      context.expect(how).toBe('ECONNRESET');
      context.expect(tookMs).toBeLessThan(LIMIT_MS + SLACK_MS);
    },
  );
});

describe.runIf(reason === undefined).concurrent('a client that is there', { timeout: 60_000 }, () => {
  test.for(WAYS)(
    'is kept though it reads nothing for far longer, and gets every byte: $way',
    async (way, context) => {
      const { client, far } = await openStage(way, context);
      const answer = pattern(20_000_000);
      far.end(answer);
      await systemClock.sleep(3 * LIMIT_MS);
      client.read();
      const hash = createHash('sha256').update(answer).digest('hex');
      context.expect(await client.nextLine()).toBe(`end ${answer.length} ${hash}`);
    },
  );

  test.for(WAYS)('is kept though it is silent for far longer: $way', async (way, context) => {
    const { client, far } = await openStage(way, context);
    await systemClock.sleep(2 * LIMIT_MS);
    far.end('late');
    client.read();
    context.expect(await client.nextLine()).toMatch(/^end 4 /);
  });
});
