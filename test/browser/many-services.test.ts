import { expect, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { openPage, startDashboard, stateOf } from './dashboard-page.ts';
import { get } from './services.ts';

const COUNT = 500;
/** Of one piece of work, ms: beyond that people notice; a busy machine gets five times as much. */
const MAX_TASK_MS = 500;

test('500 services are drawn a piece at a time, and stay smooth', async () => {
  const [statusPort = 0, ...ports] = await freePorts(2 * COUNT + 1);
  const lines = Array.from({ length: COUNT }, (_, index) => {
    const [listen, target] = [ports[2 * index], ports[2 * index + 1]];
    return `  s${index}: { command: [node, server.mjs, "${target}"], cwd: ., ports: ["127.0.0.1:${listen}:${target}"] }\n`;
  });
  const { url } = await startDashboard(lines.join(''), { statusPort });
  const page = await openPage(`${url}dashboard.svg`);
  await page.addInitScript(`window.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: 'longtask', buffered: true });`);
  await page.goto(url);
  await expect.poll(() => page.locator('.told').first().innerText()).toBe('500 services');
  expect(await page.locator('.service').count()).toBeLessThanOrEqual(120);

  await page.getByRole('searchbox').fill('s49');
  await expect.poll(() => page.locator('.service').count()).toBe(11);
  await page.getByRole('searchbox').fill('');
  await get(ports[2 * 250] ?? 0);
  await expect.poll(() => stateOf(page, 's250').innerText()).toBe('awake');
  // What is awake stands first; among so many ports a stray client of another test may have woken one more.
  const rows = await page.locator('.service').allInnerTexts();
  const index = rows.findIndex((text) => text.startsWith('s250\n'));
  expect(rows[index]).toContain('awake');
  for (const before of rows.slice(0, index)) expect(before).toContain('awake');

  // Whoever goes on reading gets them all.
  for (let reads = 0; reads < 30 && (await page.locator('.more').count()) > 0; reads++)
    await page
      .locator('.more')
      .scrollIntoViewIfNeeded({ timeout: 2_000 })
      .catch(() => {});
  await expect.poll(() => page.locator('.service').count()).toBe(COUNT);
  const longest = await page.evaluate<number>('window.longest');
  console.log(`the longest piece of work in the page with ${COUNT} services: ${Math.round(longest)} ms`);
  expect(longest).toBeLessThan(MAX_TASK_MS);
});
