import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { openPage, startDashboard, stateOf } from './dashboard-page.ts';
import { aServer, get, twoPorts } from './services.ts';

/** Something between browser and proxy that can be cut off and mended. */
async function startBetween(target: number) {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect(target, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    client.pipe(upstream).pipe(client);
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${port}/`,
    cut,
    mend() {
      isCut = false;
    },
  };
}

test('the dashboard is told of what happens, and asks for little otherwise', async () => {
  const ports = await twoPorts();
  const { url } = await startDashboard(`  web: { ${aServer(ports)}, idle_timeout: 60s }\n`);
  const page = await openPage(url);
  await expect.poll(() => page.locator('.link').innerText()).toBe('live');
  const startMs = performance.now();
  await get(ports[0]);
  await expect.poll(() => stateOf(page, 'web').innerText(), { interval: 20 }).toBe('awake');
  console.log(`from the request to the sight of it: ${Math.round(performance.now() - startMs)} ms`);
});

test('the dashboard asks for what has changed, and not for all each time', async () => {
  const ports = await twoPorts();
  const others = await Promise.all([twoPorts(), twoPorts()]);
  const services = [ports, ...others].map(
    (each, index) => `  s${index}: { ${aServer(each)}, idle_timeout: 1s }\n`,
  );
  const { url } = await startDashboard(services.join(''));
  const page = await openPage(url);
  await expect.poll(() => page.locator('.link').innerText()).toBe('live');
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await get(ports[0]);
  await expect.poll(() => stateOf(page, 's0').innerText()).toBe('awake');
  await expect.poll(() => stateOf(page, 's0').innerText()).toBe('asleep');
  const lists = asked.filter((address) => address.includes('/api/services'));
  expect(lists.length).toBeGreaterThan(0);
  expect(lists.filter((address) => new URL(address).searchParams.getAll('only').join() !== 's0')).toEqual([]);
});

test('the dashboard asks for nothing while nobody looks at it, and for all when somebody does again', async () => {
  const ports = await twoPorts();
  const { url } = await startDashboard(`  web: { ${aServer(ports)}, idle_timeout: 60s }\n`);
  await get(ports[0]);
  const page = await openPage(`${url}dashboard.svg`);
  await page.clock.install();
  await page.goto(url);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('awake');
  await expect.poll(() => page.locator('.link').innerText()).toBe('live');
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  const setHidden = (isHidden: boolean) =>
    page.evaluate(
      `Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${isHidden} }); document.dispatchEvent(new Event('visibilitychange'))`,
    );
  await page.clock.runFor(60_000);
  await expect.poll(() => asked.some((address) => address.includes('memory=true'))).toBe(true);
  await setHidden(true);
  await expect.poll(() => page.locator('.link').innerText()).not.toBe('live');
  asked.length = 0;
  await page.clock.runFor(600_000);
  expect(asked).toEqual([]);
  await setHidden(false);
  await expect.poll(() => asked.some((address) => address.includes('/api/events'))).toBe(true);
  await expect.poll(() => asked.some((address) => address.includes('/api/services'))).toBe(true);
});

test('the dashboard says when it is cut off, and comes back with what it has missed', async () => {
  const ports = await twoPorts();
  const { statusPort } = await startDashboard(`  web: { ${aServer(ports)}, idle_timeout: 60s }\n`);
  const between = await startBetween(statusPort);
  const page = await openPage(between.url);
  await expect.poll(() => page.locator('.link').innerText()).toBe('live');
  between.cut();
  await expect.poll(() => page.locator('.link').innerText()).toMatch(/^cut off since/);
  await get(ports[0]);
  expect(await stateOf(page, 'web').innerText()).toBe('asleep');
  between.mend();
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('awake');
  await expect.poll(() => page.locator('.link').innerText()).toBe('live');
  expect(await page.getByRole('alert').count()).toBe(0);
});

test('the dashboard asks every two seconds where events do not come through', async () => {
  const ports = await twoPorts();
  const { url } = await startDashboard(`  web: { ${aServer(ports)}, idle_timeout: 60s }\n`);
  const page = await openPage(`${url}dashboard.svg`);
  await page.route('**/api/events*', (route) => route.fulfill({ status: 502, body: 'no' }));
  await page.goto(url);
  await expect.poll(() => page.locator('.link').innerText()).toBe('asked every 2 s');
  await get(ports[0]);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('awake');
});
