/** Two proxies that read the same labels on one machine: the second one finds the ports taken. */
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { nodeApp } from './support/apps.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed } from './support/test-bed.ts';

test('a proxy whose ports are taken puts nothing to sleep, until they are its own', async () => {
  const bed = await openTestBed();
  const { scope, events } = bed;
  const port = await freePort();
  const name = scope.name('app');
  const labels = bed.labels({ ports: `${port}:80`, idle_timeout: '1s' });
  await scope.createContainer({ name, labels, ...(await nodeApp({ mode: 'echo' })) });
  const first = await bed.startProxy();
  const client = await connectTcp(port);
  onTestFinished(() => client.destroy());
  await client.send('a');
  await client.readAtLeast(1);
  const second = await bed.startProxy();
  await second.waitForLog('listen-failed');
  // Far longer than its idle timeout, and it has nothing else to wait for.
  await expect(events.waitFor(name, 'kill', { timeoutMs: 4_000 })).rejects.toThrow('did not tell');
  await client.send('b');
  expect(String(await client.readAtLeast(1))).toBe('b');
  const closedAt = Date.now();
  await first.stop('SIGKILL');
  const { at } = await events.waitFor(name, 'kill', { timeoutMs: 15_000 });
  expect(at - closedAt).toBeGreaterThan(1_000);
});
