/** Connections to a service that is awake, and those that are refused: neither may cost anything. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { startCountingSocket } from './support/counting-socket.ts';
import { get } from './support/http.ts';
import type { LogLine } from './support/log-lines.ts';
import { connectTcp } from './support/tcp.ts';
import { getStatus, openTestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

const SERVICE = 'web';

test('100 connections make no engine call when the service is ready', async () => {
  const bed = await openTestBed();
  const counting = await startCountingSocket();
  onTestFinished(() => counting.close());
  const port = await freePort();
  const name = bed.scope.name('web');
  await bed.scope.createContainer({ name, cmd: httpdCommand() });
  await bed.startProxy({
    services: { [SERVICE]: { container: name, ports: [`${port}:80`] } },
    env: { DOCKER_HOST: counting.host },
  });
  await get(port);
  expect(counting.requests().filter((line) => /^POST .*\/start/.test(line))).toHaveLength(1);
  counting.reset();
  for (let batch = 0; batch < 10; batch++) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => get(port)));
    expect(answers.map(({ body }) => body)).toEqual(Array(10).fill('hello'));
  }
  expect(counting.requests()).toEqual([]);
});

/** A client that is refused: its connection ends without a byte. */
async function expectRefused(port: number): Promise<void> {
  const client = await connectTcp(port);
  await client.closed;
  client.destroy();
}

const isRefusal = (line: LogLine) => line.msg.includes('(blocked)');

describe.each([
  ['outside of the allow_list', { allow_list: ['10.255.0.0/16', '::1'] }],
  ['on the block_list', { block_list: ['127.0.0.0/8'] }],
])('a client %s', (_, lists) => {
  test('wakes nothing and leaves no trace but a log line', async () => {
    const bed = await openTestBed();
    const port = await freePort();
    const name = bed.scope.name('web');
    const container = await bed.scope.createContainer({ name, cmd: httpdCommand() });
    const proxy = await bed.startProxy({
      services: { [SERVICE]: { container: name, ports: [`${port}:80`], ...lists } },
    });
    const before = await getStatus(proxy, { service: SERVICE, port });
    // Times in the status are whole seconds.
    await waitUntil(() => Date.now() >= Date.parse(before?.last_active ?? '') + 1_000);
    await expectRefused(port);
    const line = await proxy.waitForLog(isRefusal);
    expect(line).toMatchObject({ level: 'warn', service: SERVICE });
    expect(line.msg).toContain('127.0.0.1');
    expect(await getStatus(proxy, { service: SERVICE, port })).toMatchObject({
      state: 'stopped',
      active_conns: 0,
      last_active: before?.last_active,
    });
    expect(await container.state()).toBe('created');
    expect(proxy.logs().filter(({ event }) => event === 'wake')).toEqual([]);
  });
});

test('refused clients are told in at most one line a second when they come in crowds', async () => {
  const bed = await openTestBed();
  const port = await freePort();
  const name = bed.scope.name('web');
  await bed.scope.createContainer({ name, cmd: httpdCommand() });
  const proxy = await bed.startProxy({
    services: { [SERVICE]: { container: name, ports: [`${port}:80`], block_list: ['127.0.0.1'] } },
  });
  const startMs = performance.now();
  const toldOfOthers = (line: LogLine) => isRefusal(line) && /, and \d+ more before it/.test(line.msg);
  await waitUntil(
    async () => {
      await expectRefused(port);
      return proxy.logs().some(toldOfOthers);
    },
    { everyMs: 2, what: 'a line that tells of those held back' },
  );
  const lines = proxy.logs().filter(isRefusal);
  expect(lines.length).toBeLessThanOrEqual(1 + Math.floor((performance.now() - startMs) / 1_000));
});

test('refused clients do not keep a container awake when it idles', async () => {
  const bed = await openTestBed();
  const port = await freePort();
  const name = bed.scope.name('web');
  const container = await bed.scope.createContainer({ name, cmd: httpdCommand() });
  await bed.startProxy({
    services: {
      [SERVICE]: { container: name, ports: [`${port}:80`], block_list: ['127.0.0.1'], idle_timeout: '2s' },
    },
  });
  await container.start();
  const { at: startedAt } = await bed.events.waitFor(name, 'start');
  while (bed.events.of(name, 'die').length === 0 && Date.now() < startedAt + 5_000) await expectRefused(port);
  const { at: diedAt } = await bed.events.waitFor(name, 'die');
  expect(diedAt - startedAt).toBeLessThan(3_000);
});
