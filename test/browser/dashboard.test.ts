import { expect, test } from 'vitest';
import { openPage, rowOf, startDashboard, stateOf } from './dashboard-page.ts';
import { aServer, get, twoPorts } from './services.ts';

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

test('a port leads to what answers there', async () => {
  const ports = await twoPorts();
  const { url } = await startDashboard(`  web: { ${aServer(ports)} }\n`);
  const page = await openPage(url);
  const link = rowOf(page, 'web').getByRole('link', { name: `127.0.0.1:${ports[0]}` });
  expect(await link.getAttribute('href')).toBe(`http://127.0.0.1:${ports[0]}/`);
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

test('the dashboard says that the proxy is gone', async () => {
  const { url, program } = await startDashboard(`  web: { ${aServer(await twoPorts())} }\n`);
  const page = await openPage(url);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');
  program.child.kill('SIGTERM');
  await expect.poll(() => page.locator('.link').innerText()).toMatch(/^cut off since \d\d:\d\d:\d\d$/);
  expect(await page.getByRole('alert').innerText()).toContain('The proxy can’t be heard.');
  expect(await stateOf(page, 'web').innerText()).toBe('asleep');
});
