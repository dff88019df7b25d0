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

test('a connection that is cut just when one side has ended ends, too', async () => {
  const sockets = new Sockets();
  onTestFinished(() => sockets.close());
  const relay = await createRelay('stream');
  onTestFinished(() => relay.close());
  const [{ near: client, far }, { near, far: upstream }] = [await sockets.pair(), await sockets.pair()];
  const ended = new Promise((resolve) => {
    const connection = relay.join({ client: far, upstream: near, keepAliveMs: 0 }, resolve);
    near.once('end', () => connection.destroy());
  });
  client.resume();
  upstream.end('bye');
  expect(await ended).toBe('cut');
});
