/** What is wrong, and what the page says to do about it. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openPage, rowOf, startDashboard, stateOf } from './dashboard-page.ts';
import { aBrokenServer, aServer, twoPorts } from './services.ts';

async function holdPort(port: number): Promise<void> {
  const holder = createServer().listen(port, '127.0.0.1');
  await once(holder, 'listening');
  onTestFinished(() => void holder.close());
}

test('a port that another program holds is a problem, and its row says that nobody gets there', async () => {
  const ports = await twoPorts();
  await holdPort(ports[0]);
  const { url } = await startDashboard(`  web: { ${aServer(ports)} }\n`);
  const page = await openPage(url);
  await expect
    .poll(() => rowOf(page, 'web').innerText())
    .toContain('no client gets to it: none of its ports is open here');
  expect(await rowOf(page, 'web').innerText()).toContain(`127.0.0.1:${ports[0]} (not open)`);
  await page.getByText('1 problem').click();
  expect(await page.locator('.findings').innerText()).toContain(
    `service web can't listen on 127.0.0.1:${ports[0]}/tcp: another process holds the port; free it, or choose another one`,
  );
});

test('a problem of a label names the container and the label', async () => {
  const { url } = await startDashboard(`  web: { ${aServer(await twoPorts())} }\n`);
  const page = await openPage(url);
  const origin = { kind: 'label', workload: { kind: 'docker', name: 'bad' }, label: 'lazy-proxy.prots' };
  const problem = { code: 'unknown-key', severity: 'warning', message: 'unknown label, ignored', origin };
  await page.route('**/problems', (route) => route.fulfill({ json: [problem] }));
  await page.reload();
  await page.getByText('1 problem').click();
  expect(await page.locator('.findings').innerText()).toBe(
    'container bad, label lazy-proxy.prots: unknown label, ignored',
  );
});

test('an engine that does not answer is told on top, with the reason, once', async () => {
  const { url } = await startDashboard(`  web: { ${aServer(await twoPorts())} }\n`);
  const page = await openPage(url);
  const name = 'the Docker engine';
  const problem = 'connect ENOENT /var/run/docker.sock';
  const origin = { kind: 'engine', name };
  await page.route('**/problems', (route) =>
    route.fulfill({ json: [{ code: 'engine-unreachable', severity: 'error', message: problem, origin }] }),
  );
  await page.route('**/api', async (route) => {
    const about = (await (await route.fetch()).json()) as object;
    return route.fulfill({ json: { ...about, engines: [{ name, answers: false, problem }] } });
  });
  await page.reload();
  await expect
    .poll(() => page.getByRole('alert').allInnerTexts())
    .toEqual([expect.stringContaining(`The Docker engine does not answer. ${problem}.`)]);
  expect(await page.getByRole('alert').innerText()).toContain('What is awake is served on');
  expect(await page.getByText('1 problem').count()).toBe(0);
});

test('a start that failed says what to look at', async () => {
  const ports = await twoPorts();
  const { url } = await startDashboard(`  paper: { ${aBrokenServer(ports)} }\n`);
  await fetch(`http://127.0.0.1:${ports[0]}`).catch(() => {});
  const page = await openPage(url);
  await expect.poll(() => stateOf(page, 'paper').innerText()).toBe('failed');
  await page.getByText('1 problem').click();
  expect(await page.locator('.findings').innerText()).toBe(
    'service paper did not become ready: exit code 3; what it printed says why: the log has it',
  );
});

test.each([1_280, 360])(
  'where a value comes from is seen on a page %i wide, what was set first',
  async (width) => {
    const service = `command: [node, server.mjs, "${'x'.repeat(120)}"], cwd: ., ports: ["127.0.0.1:1:1"]`;
    const { url } = await startDashboard(`  web: { ${service}, idle_timeout: 7m }\n`, {
      settings: `state_dir: "off"`,
    });
    const page = await openPage(`${url}#/service/web`, { viewport: { width, height: 900 } });
    const table = page.getByRole('region', { name: 'Values in force' });
    await table.waitFor();
    const fields = await table.locator('tbody td:first-child').allInnerTexts();
    expect(fields.slice(0, 4)).toEqual(['command', 'cwd', 'ports', 'idle_timeout']);
    expect(await table.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)).toBe(0);
  },
);

test('what runs although its start has failed can be put to sleep, and says when it is stopped', async () => {
  const [listen, target] = await twoPorts();
  const service = `command: [sleep, "600"], ports: ["127.0.0.1:${listen}:${target}"], start_timeout: 1s`;
  const { url } = await startDashboard(`  deaf: { ${service}, idle_timeout: 50s }\n`, {
    status: 'token: abcdefgh',
  });
  await fetch(`http://127.0.0.1:${listen}`).catch(() => {});
  const page = await openPage(url);
  await expect.poll(() => stateOf(page, 'deaf').innerText()).toBe('failed');
  expect(await rowOf(page, 'deaf').innerText()).toMatch(/0:\d\d\s+it runs all the same; until it is stopped/);
  await page.getByRole('button', { name: 'Sleep deaf' }).click();
  await page.getByLabel('Token', { exact: true }).fill('abcdefgh');
  await page.keyboard.press('Enter');
  await expect.poll(() => stateOf(page, 'deaf').innerText()).toBe('asleep');
});
