/** An engine, or what stands before it, that does what it is asked for and doesn't say so. */
import { expect, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { engineHost } from './support/engine-address.ts';
import { get } from './support/http.ts';
import { expectPastEvents } from './support/past-events.ts';
import { startSwallowingSocket } from './support/swallowing-socket.ts';
import { openTestBed } from './support/test-bed.ts';

test.each([
  ['start', /^POST .*\/start/],
  ['stop', /^POST .*\/stop/],
])('a service goes on working when no POST /%s is ever answered', async (_, pattern) => {
  const socket = await startSwallowingSocket(pattern);
  const bed = await openTestBed();
  bed.atEnd(() => socket.close());
  const port = await freePort();
  const name = bed.scope.name('app');
  await bed.scope.createContainer({ name, cmd: httpdCommand() });
  await bed.startProxy({
    services: { app: { container: name, ports: [`${port}:80`], idle_timeout: '1s' } },
    env: { DOCKER_HOST: socket.host },
  });
  for (let round = 1; round <= 2; round++) {
    const answer = await get(port);
    expect(answer.body).toBe('hello');
    await bed.events.waitFor(name, 'die', { nth: round });
  }
  expect(socket.count()).toBeGreaterThan(0);
});

test('a client is served although the event stream has gone silent and the container was stopped meanwhile', async () => {
  const socket = await startSwallowingSocket(undefined);
  const bed = await openTestBed();
  bed.atEnd(() => socket.close());
  const port = await freePort();
  const name = bed.scope.name('app');
  const container = await bed.scope.createContainer({ name, cmd: httpdCommand() });
  await bed.startProxy({
    services: { app: { container: name, ports: [`${port}:80`], idle_timeout: '10m' } },
    env: { DOCKER_HOST: socket.host },
  });
  expect((await get(port)).body).toBe('hello');
  socket.freezeEvents();
  await container.stop();
  expect((await get(port)).body).toBe('hello');
});

test('what has happened is told when it is asked for', async () => {
  await expectPastEvents(await openTestBed(), engineHost());
});
