import { connect } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { openPage, rowOf, startDashboard, stateOf } from './dashboard-page.ts';
import { aServer, get, twoPorts } from './services.ts';

const TOKEN = 'correct-horse-battery';

async function openWithService(status: string, options: { readonly idle?: string } = {}) {
  const ports = await twoPorts();
  const idle = options.idle ?? '60s';
  const { url } = await startDashboard(`  web: { ${aServer(ports)}, idle_timeout: ${idle} }\n`, { status });
  const page = await openPage(url);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');
  const press = (name: string) => page.getByRole('button', { name, exact: true }).first().click();
  const giveToken = async (token: string) => {
    await page.getByLabel('Token', { exact: true }).fill(token);
    await page.getByRole('button', { name: 'Go on' }).click();
  };
  return { page, press, giveToken, ports };
}

test('the buttons ask for the token once, refuse a wrong one, and wake and put to sleep', async () => {
  const { page, press, giveToken } = await openWithService(`token: ${TOKEN}`);
  await press('Wake web');
  const dialog = page.getByRole('dialog');
  await expect.poll(() => dialog.innerText()).toContain('The proxy asks for its token');
  await giveToken('wrong');
  await expect.poll(() => dialog.getByRole('alert').innerText()).toBe('this is not the token');
  expect(await stateOf(page, 'web').innerText()).toBe('asleep');
  await giveToken(TOKEN);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('awake');
  expect(await dialog.count()).toBe(0);
  expect(await rowOf(page, 'web').innerText()).toMatch(/woken \d\d:\d\d by hand, from 127\.0\.0\.1/);
  await page.reload();
  await press('Sleep web');
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');
  expect(await page.getByRole('dialog').count()).toBe(0);
});

test('where there is no token the page has no buttons, and says what to set', async () => {
  const { page } = await openWithService('');
  await expect
    .poll(() => page.locator('main').innerText())
    .toContain('nothing can be woken or held here: set status.token');
  expect(await page.getByRole('button', { name: /^(Wake|Hold) web$/ }).count()).toBe(0);
});

test('a service is held for as long as is said, and released', async () => {
  const { page, press, giveToken } = await openWithService(`token: ${TOKEN}`);
  await press('Hold web');
  await press('2 hours');
  await giveToken(TOKEN);
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('awake');
  await expect
    .poll(() => rowOf(page, 'web').innerText())
    .toMatch(/held by hand until (\w+ )?\d\d:\d\d.*\d\d:\d\d\s+its hold ends/s);
  await press('Release web');
  await expect.poll(() => rowOf(page, 'web').innerText()).toMatch(/0:\d\d\s+until it sleeps/);
});

test('clients are cut only by who says so', async () => {
  const { page, press, giveToken, ports } = await openWithService(`token: ${TOKEN}`);
  await get(ports[0]);
  const client = connect(ports[0], '127.0.0.1');
  onTestFinished(() => void client.destroy());
  await once(client, 'connect');
  await expect.poll(() => rowOf(page, 'web').innerText()).toContain('1 connection from 127.0.0.1');
  client.on('error', () => {}).resume();
  const closed = new Promise((resolve) => client.once('close', resolve));
  await press('Sleep web');
  await giveToken(TOKEN);
  const dialog = page.getByRole('dialog');
  await expect.poll(() => dialog.innerText()).toContain('1 client uses it. They lose their connections.');
  expect(await dialog.innerText()).not.toContain('force=');
  expect(client.destroyed).toBe(false);
  await press('Cut its clients');
  await closed;
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');
});

test('a proxy that protects reading shows nothing before it has the token', async () => {
  const { url } = await startDashboard(`  web: { ${aServer(await twoPorts())} }\n`, {
    status: `token: ${TOKEN}, protect: true`,
  });
  const page = await openPage(url);
  const dialog = page.getByRole('dialog');
  await expect.poll(() => dialog.innerText()).toContain('Reading needs it.');
  expect(await page.locator('.service').count()).toBe(0);
  expect(await page.locator('.link').innerText()).toBe('asks for the token');
  expect(await page.locator('main').innerText()).not.toContain('heard');
  await page.keyboard.press('Escape');
  await expect.poll(() => dialog.count()).toBe(0);
  await page.getByRole('button', { name: 'Give it' }).click();
  await expect.poll(() => dialog.count()).toBe(1);
  await page.getByLabel('Token', { exact: true }).fill(TOKEN);
  await page.keyboard.press('Enter');
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');
  expect(await dialog.count()).toBe(0);
  await page.getByRole('button', { name: 'Forget the token' }).click();
  await expect.poll(() => dialog.count()).toBe(1);
});
