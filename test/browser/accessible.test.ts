import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { openPage, startDashboard, stateOf } from './dashboard-page.ts';
import { aBrokenServer, aServer, get, twoPorts } from './services.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe-core finds that is serious, each with the elements. */
async function findFaults(page: Page): Promise<readonly string[]> {
  // By the debugger, which the page's own rules don't bind.
  if (!(await page.evaluate<boolean>(`'axe' in window`))) await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations } = await page.evaluate<AxeResults>('axe.run()');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

test.each([
  ['light', 1_280],
  ['dark', 390],
] as const)(
  'the dashboard has no serious fault for people who can not see or use a mouse, %s',
  async (colorScheme, width) => {
    const [web, paper] = [await twoPorts(), await twoPorts()];
    const services = `  web: { ${aServer(web)}, idle_timeout: 60s }\n  paper: { ${aBrokenServer(paper)} }\n  other: { ${aServer(await twoPorts())} }\n`;
    const { url, configure } = await startDashboard(services, {
      status: 'show_output: true, token: abcdefgh',
    });
    await get(web[0]);
    await get(paper[0]).catch(() => {});
    const page = await openPage(url, { colorScheme, viewport: { width, height: 900 } });
    await expect.poll(() => stateOf(page, 'paper').innerText()).toBe('failed');
    expect(await findFaults(page)).toEqual([]);
    await configure('  web: { container: db, ports: ["80:http"] }\n');
    await expect.poll(() => page.getByRole('alert').count()).toBe(1);
    await page.getByRole('link', { name: 'paper' }).click();
    await expect.poll(() => page.locator('.detail .out').count()).toBeGreaterThan(0);
    expect(await findFaults(page)).toEqual([]);
    await page.locator('.detail').getByRole('button', { name: 'Hold paper' }).click();
    await expect.poll(() => page.getByRole('dialog').count()).toBe(1);
    expect(await findFaults(page)).toEqual([]);
  },
);

test('nothing moves for whoever asked for that', async () => {
  const ports = await twoPorts();
  const { url } = await startDashboard(`  web: { ${aServer(ports, 60_000)}, start_timeout: 5s }\n`);
  const page = await openPage(url, { reducedMotion: 'reduce' });
  const leaving = new AbortController();
  void fetch(`http://127.0.0.1:${ports[0]}`, { signal: leaving.signal }).catch(() => {});
  await expect.poll(() => stateOf(page, 'web').innerText()).toBe('waking');
  const shape = stateOf(page, 'web').locator('.shape');
  const name = () =>
    shape.evaluate((node) => node.ownerDocument.defaultView?.getComputedStyle(node).animationName);
  expect(await name()).toBe('none');
  await page.emulateMedia({ reducedMotion: 'no-preference' });
  await expect.poll(name).toBe('turn');
  leaving.abort();
});
