/**
 * The questions that people open the page with. Each answer is read as a person reads it, by role and text, from the page of a
 * program that runs.
 */
import { connect } from 'node:net';
import { once } from 'node:events';
import type { Page } from 'playwright-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPage, startDashboard } from './dashboard-page.ts';
import { aBrokenServer, aServer, get, twoPorts } from './services.ts';

const TOKEN = 'correct-horse-battery';

/** `web` answers after a second, `other` at once, and `paper` not at all. */
async function start({ idle = '60s', status = `token: ${TOKEN}, show_output: true` } = {}) {
  const [web, other, paper] = [await twoPorts(), await twoPorts(), await twoPorts()];
  const services = `  web: { ${aServer(web, 1_000)}, idle_timeout: ${idle} }
  other: { ${aServer(other)} }
  paper: { ${aBrokenServer(paper)} }
`;
  const dashboard = await startDashboard(services, { status });
  return { ...dashboard, services, ports: { web: web[0], other: other[0], paper: paper[0] } };
}

const summary = (page: Page) => page.getByRole('region', { name: 'Summary' });
const row = (page: Page, name: string) =>
  page.getByRole('listitem').filter({ has: page.getByRole('link', { name, exact: true }) });
const rowText = (page: Page, name: string) => () => row(page, name).innerText();

async function openDetails(page: Page, name: string) {
  await page.getByRole('link', { name, exact: true }).click();
  const details = page.getByRole('complementary', { name });
  await details.getByRole('heading', { name: 'Ports' }).waitFor();
  return details;
}

async function stayConnected(port: number): Promise<number> {
  const client = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void client.destroy());
  await once(client, 'connect');
  return client.localPort ?? 0;
}

describe('the dashboard answers', () => {
  test('what is awake now', async () => {
    const { url, ports } = await start();
    await get(ports.other);
    const page = await openPage(url);
    const awake = summary(page).getByRole('button', { name: '1 awake' });
    await awake.waitFor();
    await summary(page).getByRole('button', { name: '2 asleep' }).waitFor();
    expect(await page.title()).toBe('1 awake · lazy-proxy');
    await awake.click();
    await expect
      .poll(() => page.getByRole('status').allInnerTexts())
      .toContainEqual(expect.stringMatching(/^1 of 3 services/));
    expect(await row(page, 'other').getByText('awake', { exact: true }).count()).toBe(1);
    expect(await row(page, 'web').count()).toBe(0);
  });

  test('who keeps it awake', async () => {
    const { url, ports } = await start();
    await get(ports.web);
    const port = await stayConnected(ports.web);
    const page = await openPage(url);
    await expect.poll(rowText(page, 'web')).toMatch(/1 connection from 127\.0\.0\.1 for \d+ s/);
    const details = await openDetails(page, 'web');
    const table = details.getByRole('region', { name: 'Who keeps it awake' });
    expect(await table.getByRole('row').nth(1).innerText()).toMatch(
      new RegExp(`^127\\.0\\.0\\.1:${port}\\s+\\d+ s\\s+127\\.0\\.0\\.1:${ports.web}/tcp`),
    );
  });

  test('when it will sleep', async () => {
    const { url, ports } = await start({ idle: '5s' });
    await get(ports.web);
    const page = await openPage(url);
    await expect.poll(rowText(page, 'web')).toMatch(/0:0[1-5]\s+until it sleeps, \d\d:\d\d/);
    const countdown = () =>
      row(page, 'web')
        .getByText(/^0:0\d$/)
        .innerText();
    const before = await countdown();
    await expect.poll(countdown).not.toBe(before);
    await expect.poll(rowText(page, 'web')).toMatch(/asleep since \d\d:\d\d: idle for 5 s/);
  });

  test('why it did not wake, and what it said', async () => {
    const { url, ports } = await start();
    await get(ports.paper).catch(() => {});
    const page = await openPage(url);
    await expect
      .poll(rowText(page, 'paper'))
      .toMatch(/failed exit code 3\s+wake tried \d\d:\d\d by 127\.0\.0\.1/);
    const details = await openDetails(page, 'paper');
    await details.getByRole('heading', { name: 'What it printed last' }).waitFor();
    const output = details.getByRole('region', { name: 'Output' }).first();
    expect(await output.innerText()).toContain('OperationalError: no such host "db"');
    expect(await details.getByRole('listitem').allInnerTexts()).toContainEqual(
      expect.stringMatching(/by 127\.0\.0\.1: failed after \d.*\s+exit code 3/s),
    );
  });

  test('how long clients wait', async () => {
    const { url, ports } = await start();
    const page = await openPage(url);
    await row(page, 'web').waitFor();
    const waiting = get(ports.web);
    await expect.poll(rowText(page, 'web'), { interval: 20 }).toMatch(/1 client waits/);
    await waiting;
    await expect.poll(rowText(page, 'web')).toMatch(/woken \d\d:\d\d by 127\.0\.0\.1 in [1-9](\.\d)? s/);
    await expect.poll(() => summary(page).innerText()).toMatch(/[1-9](\.\d)? s\s+a client waits for a wake/);
    const details = await openDetails(page, 'web');
    await details.getByRole('img', { name: /^How long the last wake took: [1-9](\.\d)? s$/ }).waitFor();
  });

  test('what was saved', async () => {
    const { url, ports } = await start({ idle: '3s' });
    await get(ports.other);
    await get(ports.web);
    const page = await openPage(url);
    await expect.poll(() => summary(page).innerText()).toMatch(/\d\d %\s+of the time asleep: .* in all/);
    await expect.poll(() => summary(page).innerText()).toMatch(/\d+(\.\d)? MiB\s+of memory in use/);
    // Another page than the one that has seen it awake.
    await expect.poll(rowText(page, 'web')).toContain('asleep');
    const later = await openPage(url);
    await expect
      .poll(() => summary(later).innerText())
      .toMatch(/about \d+(\.\d)? MiB\s+of memory given back by 1 of 2, where known/);
  });

  test('whether the last edit is in force, and if not, which line', async () => {
    const { url, configure, services } = await start();
    const page = await openPage(url);
    await row(page, 'web').waitFor();
    await configure(`${services}  db: { container: db, ports: ["80:http"] }\n`);
    const alert = page.getByRole('alert');
    await expect.poll(() => alert.allInnerTexts()).toHaveLength(1);
    expect(await alert.innerText()).toMatch(
      /The last edit is not in force\. lazy-proxy\.yaml was refused at \d\d:\d\d; the version of \d\d:\d\d goes on\./,
    );
    expect(await alert.innerText()).toMatch(/lazy-proxy\.yaml:8:\d+ error ports\[0\]: "80:http" is not/);
    expect(await alert.getByRole('region', { name: 'The line of the file' }).innerText()).toMatch(
      /db: \{ container: db, ports: \["80:http"\] \}\n.*\^/,
    );
    // What the banner tells is not told again among the problems.
    expect(await page.locator('.banner').count()).toBe(1);
    // A line with a mistyped key may hold a secret.
    await configure(`${services}  db: { container: db, idle_timout: 45m }\n`);
    await expect.poll(() => alert.allInnerTexts()).toEqual([expect.stringContaining('did you mean')]);
    expect(await alert.innerText()).toContain('Lines that may hold a secret are shown with the token.');
    await configure(services);
    await expect.poll(() => alert.count()).toBe(0);
  });

  test('where a value comes from', async () => {
    const { url } = await start();
    const page = await openPage(url);
    const details = await openDetails(page, 'web');
    const table = details.getByRole('region', { name: 'Values in force' });
    const lineOf = (field: string) => table.getByRole('row', { name: new RegExp(`^${field} `) }).innerText();
    await table.getByRole('row', { name: /^idle_timeout / }).waitFor();
    expect(await lineOf('idle_timeout')).toMatch(/(1m|60s)\s+lazy-proxy\.yaml:5:\d+$/);
    expect(await lineOf('start_timeout')).toMatch(/30s\s+default$/);
  });

  test('what happened last night', async () => {
    const { url, ports } = await start({ idle: '2s' });
    await get(ports.web);
    await get(ports.paper).catch(() => {});
    const page = await openPage(url);
    await expect.poll(rowText(page, 'web')).toContain('asleep');
    const day = row(page, 'web').getByRole('img', {
      name: /^Last 24 hours: awake \d(\.\d)? s and asleep \d/,
    });
    await day.waitFor();
    await row(page, 'paper')
      .getByRole('img', { name: /failed 1 time$/ })
      .waitFor();
    const details = await openDetails(page, 'web');
    const spells = await details
      .getByRole('img', { name: /^Last 24 hours/ })
      .locator('title')
      .allTextContents();
    expect(spells.map((spell) => spell.replace(/,.*/, '')).slice(-3)).toEqual(['waking', 'awake', 'asleep']);
    expect(spells.at(-1)).toContain(': nobody used it');
    expect(await details.getByRole('listitem').allInnerTexts()).toContainEqual(
      expect.stringMatching(/\d\d:\d\d:\d\d by 127\.0\.0\.1: ready in \d/),
    );
  });

  test('whether it can be woken, held and put to sleep here', async () => {
    const { url } = await start();
    const page = await openPage(url);
    const press = (name: string) => page.getByRole('button', { name, exact: true }).click();
    await press('Wake other');
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Token', { exact: true }).fill(TOKEN);
    await dialog.getByRole('button', { name: 'Go on' }).click();
    await expect.poll(rowText(page, 'other')).toMatch(/awake .*woken \d\d:\d\d by hand, from 127\.0\.0\.1/s);
    await press('Hold other');
    await dialog.getByRole('button', { name: '2 hours' }).click();
    await expect.poll(rowText(page, 'other')).toMatch(/awake held by hand until (\w+ )?\d\d:\d\d/);
    await press('Sleep other');
    await expect.poll(rowText(page, 'other')).toMatch(/asleep since \d\d:\d\d: by hand/);
  });
});
