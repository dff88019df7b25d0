/** An engine, or what stands before it, that does what it is asked for and doesn't say so. */
import { expect, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { engineHost } from './support/engine-address.ts';
import { get } from './support/http.ts';
import { expectPastEvents } from './support/past-events.ts';
import { type SwallowingSocket, startSwallowingSocket } from './support/swallowing-socket.ts';
import { openTestBed, type ServiceFields } from './support/test-bed.ts';

/** A container of its own behind a proxy whose engine answers through `socket`. */
async function serveThrough(socket: SwallowingSocket, fields: ServiceFields = {}) {
  const bed = await openTestBed();
  bed.atEnd(() => socket.close());
  const port = await freePort();
  const name = bed.scope.name('app');
  const container = await bed.scope.createContainer({ name, cmd: httpdCommand() });
  const proxy = await bed.startProxy({
    services: { app: { container: name, ports: [`${port}:80`], idle_timeout: '10m', ...fields } },
    env: { DOCKER_HOST: socket.host },
  });
  return { ...bed, port, container, proxy };
}

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
  const { port, container } = await serveThrough(socket);
  expect((await get(port)).body).toBe('hello');
  socket.freezeEvents();
  await container.stop();
  expect((await get(port)).body).toBe('hello');
});

test('a client is served after the event stream was cut in the middle of the first line that told of a stop', async () => {
  const socket = await startSwallowingSocket(undefined);
  const { port, container, proxy } = await serveThrough(socket);
  expect((await get(port)).body).toBe('hello');
  const cut = socket.cutNextEvent();
  await container.stop();
  await cut;
  expect(await proxy.waitForLog('stopped')).toMatchObject({
    msg: expect.stringContaining('somebody else stopped'),
  });
  expect((await get(port)).body).toBe('hello');
  expect(proxy.logs().filter(({ event }) => event === 'engine-lost').length).toBeLessThanOrEqual(1);
});

test('the next client is served after a time in which the engine took everything and answered nothing', async () => {
  const socket = await startSwallowingSocket(undefined);
  const { port, container, proxy } = await serveThrough(socket, { start_timeout: '5s' });
  expect((await get(port)).body).toBe('hello');
  await container.stop();
  await proxy.waitForLog('stopped');
  socket.setSilent(true);
  await expect(get(port)).rejects.toThrow();
  expect((await proxy.waitForLog('wake-failed')).msg).toContain('not ready within 5000 ms');
  socket.setSilent(false);
  // What it asked meanwhile is never answered.
  expect((await get(port)).body).toBe('hello');
});

test('what has happened is told when it is asked for', async () => {
  await expectPastEvents(await openTestBed(), engineHost());
});
