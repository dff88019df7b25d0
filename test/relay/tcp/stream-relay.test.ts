import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { createRelay } from '../../support/relays.ts';
import { Sockets } from '../../support/sockets.ts';

test.runIf(process.platform === 'linux')('a stream relay that is closed leaves no timer behind', async () => {
  const sockets = new Sockets();
  onTestFinished(() => sockets.close());
  const clock = new FakeClock();
  const relay = await createRelay('stream', clock);
  const [left, right] = [await sockets.pair(), await sockets.pair()];
  relay.join({ client: left.far, upstream: right.near, keepAliveMs: 60_000 }, () => {});
  left.near.write('ping');
  await once(right.far, 'data');
  expect(clock.pending).toBe(1);
  relay.close();
  expect(clock.pending).toBe(0);
});
