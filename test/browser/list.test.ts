/** The list of services: filtered, sorted, in groups; and what of that, and of the token, a tab keeps. */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { openPage, startDashboard, stateOf } from './dashboard-page.ts';
import { aBrokenServer, aServer, get, twoPorts } from './services.ts';

const TOKEN = 'correct-horse-battery';
const PROJECTS: Readonly<Record<string, string>> = { photos: 'media', films: 'media', books: 'office' };

/** What stands there from top to bottom: headings of groups, and names. */
const listed = async (page: Page) =>
  (await page.locator('.group h2, .group .open').allInnerTexts()).map((text) => text.trim());

async function openList() {
  const ports = await twoPorts();
  const names = ['films', 'photos', 'books', 'db'];
  const services = await Promise.all(
    names.map(async (name) => {
      const what =
        name === 'films'
          ? aServer(ports)
          : name === 'db'
            ? aBrokenServer(await twoPorts())
            : aServer(await twoPorts());
      return `  ${name}: { ${what}, idle_timeout: 1h }\n`;
    }),
  );
  const { url } = await startDashboard(services.join(''), { status: `token: ${TOKEN}` });
  const page = await openPage(url);
  // Only an engine knows projects.
  await page.route('**/api/services?**', async (asked) => {
    const told = (await (await asked.fetch()).json()) as readonly { readonly name: string }[];
    return asked.fulfill({ json: told.map((one) => ({ project: PROJECTS[one.name], ...one })) });
  });
  onTestFinished(() => page.unrouteAll({ behavior: 'ignoreErrors' }));
  await page.reload();
  await expect.poll(() => listed(page)).toEqual(['books', 'db', 'films', 'photos']);
  return { page, url, ports };
}

test('the list is filtered by what is typed, and by a figure on top', async () => {
  const { page, ports } = await openList();
  const field = page.getByRole('searchbox', { name: 'Filter services' });
  for (const [typed, left] of [
    ['photo', ['photos']],
    ['media', ['films', 'photos']],
    [String(ports[0]), ['films']],
    ['nothing has this', []],
  ] as const) {
    await field.fill(typed);
    await expect.poll(() => listed(page)).toEqual(left);
  }
  await page.getByText('0 of 4 services').waitFor();
  await field.fill('');
  await get(ports[0]);
  await expect.poll(() => stateOf(page, 'films').innerText()).toBe('awake');
  await page.getByRole('button', { name: /awake/ }).first().click();
  await expect.poll(() => listed(page)).toEqual(['films']);
  await page.getByRole('button', { name: 'show all states' }).click();
  await expect.poll(async () => (await listed(page)).length).toBe(4);
});

test('the list is sorted and put into groups, and a tab keeps that', async () => {
  const { page, ports } = await openList();
  await get(ports[0]);
  // What is awake comes first, until it is sorted otherwise.
  await expect.poll(() => listed(page)).toEqual(['films', 'books', 'db', 'photos']);
  await page.getByLabel('Sort by').selectOption('Name');
  await expect.poll(() => listed(page)).toEqual(['books', 'db', 'films', 'photos']);
  await page.getByRole('button', { name: 'Group by project' }).click();
  const grouped = ['media 2', 'films', 'photos', 'office 1', 'books', 'Without a project 1', 'db'];
  await expect.poll(() => listed(page)).toEqual(grouped);
  await page.reload();
  await expect.poll(() => listed(page)).toEqual(grouped);
});

test('a tab keeps the token to itself, and no longer than it is open', async () => {
  const { page, url } = await openList();
  await page.getByRole('button', { name: 'Hold photos', exact: true }).click();
  await page.getByRole('button', { name: '1 hour', exact: true }).click();
  await page.getByLabel('Token', { exact: true }).fill(TOKEN);
  await page.getByRole('button', { name: 'Go on' }).click();
  await expect.poll(() => stateOf(page, 'photos').innerText()).toBe('awake');
  const kept = 'JSON.stringify([document.cookie, { ...localStorage }, location.href])';
  expect(await page.evaluate<string>(kept)).not.toContain(TOKEN);
  const other = await page.context().newPage();
  await other.goto(url);
  await other.getByRole('button', { name: 'Release photos', exact: true }).click();
  await expect.poll(() => other.getByRole('dialog').innerText()).toContain('The proxy asks for its token');
});
