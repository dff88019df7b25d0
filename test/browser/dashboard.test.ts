import { expect, test } from 'vitest';
import { openPage, rowOf, startDashboard, stateOf } from './dashboard-page.ts';
import { aBrokenServer, aServer, get, twoPorts } from './services.ts';

test('the dashboard says what is awake, asleep and why', async () => {
  const ports = await twoPorts();
  const { url } = await startDashboard(
    `  web: { ${aServer(ports)}, idle_timeout: 60s }\n  other: { ${aServer(await twoPorts())} }\n`,
  );
  await get(ports[0]);
  const page = await openPage(url);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('awake');
  expect(await stateOf(page, 'other').innerText()).toBe('asleep');
  const row = () => rowOf(page, 'web').innerText();
  expect(await row()).toMatch(/woken \d\d:\d\d by 127\.0\.0\.1 in \d/);
  // That the client has left is told by no event.
  await expect.poll(row).toMatch(/0:\d\d\s+until it sleeps/);
  expect(await page.locator('.tile.awake').innerText()).toMatch(/^1\s+awake$/);
  expect(await page.title()).toBe('1 awake · lazy-proxy');
  expect(await rowOf(page, 'web').locator('a.port').getAttribute('href')).toBe(
    `http://127.0.0.1:${ports[0]}/`,
  );
});

test('the dashboard shows a wake and a sleep while they happen', async () => {
  const ports = await twoPorts();
  const { url } = await startDashboard(`  web: { ${aServer(ports, 1_500)}, idle_timeout: 2s }\n`);
  const page = await openPage(url);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');
  const answered = get(ports[0]);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('waking');
  expect(await rowOf(page, 'web').innerText()).toMatch(/1 client waits · woken by 127\.0\.0\.1/);
  await answered;
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('awake');
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');
  expect(await rowOf(page, 'web').innerText()).toContain('idle for 2 s');
});

test('the dashboard says why a wake failed, and who woke it', async () => {
  const ports = await twoPorts();
  const { url } = await startDashboard(`  paper: { ${aBrokenServer(ports)} }\n`, {
    status: 'show_output: true',
  });
  await fetch(`http://127.0.0.1:${ports[0]}`).catch(() => {});
  const page = await openPage(url);
  await expect.poll(() => stateOf(page, 'paper').innerText()).toBe('failed');
  expect(await rowOf(page, 'paper').innerText()).toMatch(/exit code 3\s+woken \d\d:\d\d by 127\.0\.0\.1/);
  await page.getByRole('link', { name: 'paper' }).click();
  const detail = page.getByRole('complementary', { name: 'paper' });
  await expect.poll(() => detail.locator('.out').first().innerText()).toContain('no such host "db"');
  expect(await detail.locator('.wakes').innerText()).toMatch(/failed after 0\.\d s.*\s+exit code 3/);
  expect(await detail.locator('.day svg').getAttribute('aria-label')).toMatch(
    /^Last 24 hours: .*failed 1 time$/,
  );
});

test('details open by the keyboard, and closing them leads back', async () => {
  const { url } = await startDashboard(`  web: { ${aServer(await twoPorts())} }\n`);
  const page = await openPage(url);
  await page.getByRole('link', { name: 'web' }).focus();
  await page.keyboard.press('Enter');
  const heading = page.getByRole('heading', { name: 'web' });
  await expect.poll(() => heading.evaluate((node) => node === node.ownerDocument.activeElement)).toBe(true);
  expect(new URL(page.url()).hash).toBe('#/service/web');
  await page.keyboard.press('Escape');
  await expect.poll(() => page.locator('.detail').count()).toBe(0);
  const link = page.getByRole('link', { name: 'web' });
  expect(await link.evaluate((node) => node === node.ownerDocument.activeElement)).toBe(true);
});

test('the dashboard shows which line of a refused file is wrong, until it is mended', async () => {
  const ports = await twoPorts();
  const { url, configure } = await startDashboard(`  web: { ${aServer(ports)} }\n`);
  const page = await openPage(url);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');
  expect(await page.locator('.banner').count()).toBe(0);
  await configure('  web: { container: db, ports: ["80:http"] }\n');
  const banner = page.getByRole('alert');
  await expect.poll(() => banner.innerText()).toContain('The last edit is not in force.');
  expect(await banner.innerText()).toMatch(/lazy-proxy\.yaml:4:\d+ .*ports\[0\]: "80:http" is not/s);
  expect(await banner.locator('.caret').innerText()).toMatch(/ports: \["80:http"\].*\n +\^/);
  await configure(`  web: { ${aServer(ports)} }\n`);
  await expect.poll(() => page.locator('.banner').count()).toBe(0);
});

test('the dashboard says that the proxy is gone', async () => {
  const { url, program } = await startDashboard(`  web: { ${aServer(await twoPorts())} }\n`);
  const page = await openPage(url);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');
  program.child.kill('SIGTERM');
  await expect.poll(() => page.locator('.link').innerText()).toMatch(/^cut off since \d\d:\d\d:\d\d$/);
  expect(await page.getByRole('alert').innerText()).toContain('The proxy can’t be heard.');
  expect(await stateOf(page, 'web').innerText()).toBe('asleep');
});
