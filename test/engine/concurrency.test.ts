/** Many clients at once, and clients that come at the worst moment. */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { type AppAnswer, httpdCommand, nodeApp } from './support/apps.ts';
import { startCountingSocket } from './support/counting-socket.ts';
import { get, getJson } from './support/http.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed, type TestBed } from './support/test-bed.ts';

test('50 clients cause one start and are all served when they come at once', async () => {
  const bed = await openTestBed();
  const counting = await startCountingSocket();
  onTestFinished(() => counting.close());
  const port = await freePort();
  const name = bed.scope.name('crowd');
  await bed.scope.createContainer({ name, ...(await nodeApp({ delayMs: 300 })) });
  await bed.startProxy({
    services: { crowd: { container: name, ports: [`${port}:80`] } },
    env: { DOCKER_HOST: counting.host },
  });
  counting.reset();
  const answers = await Promise.all(Array.from({ length: 50 }, () => getJson<AppAnswer>(port)));
  expect(new Set(answers.map(({ startedAt }) => startedAt)).size).toBe(1);
  expect(counting.requests().filter((line) => /^POST .*\/start/.test(line))).toHaveLength(1);
  await bed.events.exactly(name, 'start', 1);
});

test('clients beyond max_pending are closed at once when others wait already', async () => {
  const bed = await openTestBed();
  const port = await freePort();
  const name = bed.scope.name('bounded');
  await bed.scope.createContainer({ name, ...(await nodeApp({ mode: 'echo', delayMs: 1_000 })) });
  const proxy = await bed.startProxy({
    services: { bounded: { container: name, ports: [`${port}:80`], max_pending: 3 } },
  });
  const clients = await Promise.all(Array.from({ length: 8 }, () => connectTcp(port)));
  onTestFinished(() => clients.forEach((client) => void client.destroy()));
  let closed = 0;
  for (const client of clients) void client.closed.then(() => closed++);
  const fates = clients.map(async (client) => {
    await client.send('ping');
    return Promise.race([client.readAtLeast(4).then(String), client.closed.then(() => 'closed')]);
  });
  await proxy.waitForLog('awake');
  expect(closed).toBe(5);
  // One line stands for all of them.
  expect(proxy.logs().filter(({ event }) => event === 'unserved')).toHaveLength(1);
  const outcomes = await Promise.all(fates);
  expect(outcomes.filter((outcome) => outcome === 'ping')).toHaveLength(3);
});

const SERVICES = 6;
const ROUNDS = 5;
const GRACE_MS = 2_000;

/** From before the stop's begin to after its end; half of them about the moment of the kill. */
function randomDelayMs(round: number): number {
  return round % 2 === 0 ? randomInt(0, GRACE_MS + 500) : randomInt(GRACE_MS - 150, GRACE_MS + 350);
}

test('a client is served whenever it arrives while the container is being stopped', async () => {
  const bed = await openTestBed();
  const ports = await freePorts(SERVICES);
  const services = ports.map((port, index) => ({ port, name: bed.scope.name(`stubborn-${index}`) }));
  for (const { name } of services) await createStubborn(bed, name);
  const proxy = await bed.startProxy({
    services: Object.fromEntries(
      services.map(({ name, port }) => [
        name,
        { ports: [`${port}:80`], idle_timeout: 0, stop_timeout: `${GRACE_MS / 1_000}s` },
      ]),
    ),
  });
  const rounds = services.map(({ name, port }) => arriveDuringStops(proxy, { name, port }));
  const lost = (await Promise.all(rounds)).flat();
  expect(lost, lost.join('; ')).toEqual([]);
});

test('ten clients of each of three services are all served when there is room for one', async () => {
  const bed = await openTestBed();
  const { events, scope } = bed;
  const ports = await freePorts(3);
  const services = ports.map((port, index) => ({ name: scope.name(`room-${index}`), port }));
  await Promise.all(services.map(({ name }) => scope.createContainer({ name, cmd: httpdCommand() })));
  await bed.startProxy({
    config: JSON.stringify({
      limits: { max_awake: 1 },
      services: Object.fromEntries(services.map(({ name, port }) => [name, { ports: [`${port}:80`] }])),
    }),
  });
  const clients = services.flatMap(({ port }) => Array.from({ length: 10 }, () => get(port)));
  expect((await Promise.all(clients)).map(({ body }) => body)).toEqual(clients.map(() => 'hello'));
  const runs = services.map(({ name }) => ({
    from: events.of(name, 'start').map(({ at }) => at),
    to: events.of(name, 'die').map(({ at }) => at),
  }));
  expect(runs.map(({ from }) => from.length)).toEqual([1, 1, 1]);
  // Each has stopped before the next one starts; the last one runs still.
  const [first, second, third] = runs.toSorted((a, b) => Number(a.from[0]) - Number(b.from[0]));
  expect(first?.to[0]).toBeLessThanOrEqual(Number(second?.from[0]));
  expect(second?.to[0]).toBeLessThanOrEqual(Number(third?.from[0]));
});

test('what containers may take of the memory limits how many are awake, and one without a limit is told', async () => {
  const bed = await openTestBed();
  const { events, scope } = bed;
  const ports = await freePorts(3);
  const names = ['first', 'second', 'any'].map((name) => scope.name(name));
  const [first, second, any] = await Promise.all(
    names.map((name, index) =>
      scope.createContainer({ name, cmd: httpdCommand(), ...(index < 2 && { memoryBytes: 64 * 1024 ** 2 }) }),
    ),
  );
  if (first === undefined || second === undefined || any === undefined) throw new Error('three were made');
  const services = Object.fromEntries(names.map((name, index) => [name, { ports: [`${ports[index]}:80`] }]));
  const proxy = await bed.startProxy({
    config: JSON.stringify({ limits: { memory: '100MiB' }, services }),
  });
  expect((await proxy.waitForLog('unknown-memory')).service).toBe(any.name);
  const ask = async (index: number) => (await get(Number(ports[index]))).body;
  expect([await ask(0), await ask(2), await ask(1)]).toEqual(['hello', 'hello', 'hello']);
  const died = await events.waitFor(first.name, 'die');
  const started = await events.waitFor(second.name, 'start');
  expect(died.at).toBeLessThanOrEqual(started.at);
  expect(await any.state()).toBe('running');
  expect(proxy.logs().filter(({ event }) => event === 'unknown-memory')).toHaveLength(1);
});

/** Each round is served, waits until the stop begins, and comes again at a random moment; returns those not served. */
async function arriveDuringStops(
  proxy: ProxyProcess,
  { name, port }: { readonly name: string; readonly port: number },
): Promise<readonly string[]> {
  const lost: string[] = [];
  let delayMs = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    const from = proxy.logs().length;
    await sleep(delayMs);
    // As long as the proxy itself would wait.
    const outcome = await get(port, { timeoutMs: 30_000 }).then(
      ({ body }) => body,
      (error) => `${error}`,
    );
    if (outcome !== 'hello') lost.push(`${name}, ${delayMs} ms after the stop began: ${outcome}`);
    await proxy.waitForLog((line) => line.event === 'sleep' && line.service === name, {
      from,
      timeoutMs: 30_000,
    });
    delayMs = randomDelayMs(round);
  }
  return lost;
}

/** The first process of a container never sees a signal for which it has no handler: this one lives until the kill. */
async function createStubborn({ scope }: TestBed, name: string): Promise<void> {
  const serve = 'mkdir -p /www; printf hello > /www/index.html; exec httpd -f -p 80 -h /www';
  await scope.createContainer({ name, cmd: ['sh', '-c', serve] });
}
