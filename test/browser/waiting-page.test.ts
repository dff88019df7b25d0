/** The page that a browser sees while a service wakes, in a real browser. */
import { describe, expect, test } from 'vitest';
import { askingAt } from '../support/api-proxy.ts';
import { openPage, startDashboard } from './dashboard-page.ts';
import { twoPorts } from './services.ts';

const aWebServer = ([listen, target]: readonly [number, number], script: string, more = '') =>
  `  web: {command: [node, ${script}], cwd: ., http_ports: ["127.0.0.1:${listen}:${target}"]${more}}`;

describe('the waiting page', () => {
  test('turns into what was asked for', async () => {
    const ports = await twoPorts();
    await startDashboard(aWebServer(ports, `server.mjs, "${ports[1]}", "3000"`));
    const page = await openPage(`http://127.0.0.1:${ports[0]}/a?b=c`);
    expect(await page.title()).toBe('web is waking up');
    expect(await page.locator('#phase').textContent()).toMatch(/is being started|has started, waiting/);
    expect(await page.locator('#again').isVisible()).toBe(false);
    await expect.poll(() => page.locator('body').textContent()).toBe('hi');
    expect(page.url()).toBe(`http://127.0.0.1:${ports[0]}/a?b=c`);
  });

  test('does so without JavaScript, too', async () => {
    const ports = await twoPorts();
    await startDashboard(aWebServer(ports, `server.mjs, "${ports[1]}", "2500"`));
    const page = await openPage(`http://127.0.0.1:${ports[0]}/a`, { javaScriptEnabled: false });
    expect(await page.locator('h1').textContent()).toBe('web is waking up');
    await page.waitForURL((url) => url.pathname === '/a');
    await expect.poll(() => page.locator('body').textContent()).toBe('hi');
  });

  test('tells of a failed wake, does not try again by itself, and has a button for that', async () => {
    const ports = await twoPorts();
    const { program } = await startDashboard(aWebServer(ports, 'broken.mjs', ', start_timeout: 3s'));
    const page = await openPage(`http://127.0.0.1:${ports[0]}/`);
    await expect.poll(() => page.locator('h1').textContent()).toBe('web did not wake up');
    expect(await page.locator('#reason').textContent()).toContain('exit code 3');
    expect(await page.locator('body').textContent()).not.toContain('OperationalError');
    const wakes = () => program.linesWith('web is waking').length;
    const before = wakes();
    await page.locator('#again').click();
    await expect.poll(wakes).toBeGreaterThan(before);
  });

  test.each(['light', 'dark'] as const)('is readable where the colours are %s', async (colorScheme) => {
    const ports = await twoPorts();
    await startDashboard(aWebServer(ports, `server.mjs, "${ports[1]}", "3000"`));
    const page = await openPage(`http://127.0.0.1:${ports[0]}/`, { colorScheme });
    const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    const [red = 0] = /\d+/.exec(String(background))?.map(Number) ?? [];
    expect(red > 128).toBe(colorScheme === 'light');
  });

  test('turns into a service behind a front door, runs nothing of a hostile address, and asks no other host', async () => {
    const [door, target] = await twoPorts();
    await startDashboard(
      `  wiki: {command: [node, server.mjs, "${target}", "3000"], cwd: ., hosts: [wiki.localhost], http_port: ${target}}`,
      { settings: `http: { listen: "127.0.0.1:${door}" }` },
    );
    const path = '/a?b=%22%3E%3Cscript%3Ealert(3)%3C/script%3E';
    const headers = { host: `wiki.localhost:${door}`, accept: 'text/html', 'sec-fetch-mode': 'navigate' };
    const first = askingAt(door)(path, { headers });
    // It fails the test if the page asks another host.
    const page = await openPage(`http://wiki.localhost:${door}${path}`);
    expect(await page.title()).toBe('wiki is waking up');
    expect(await page.locator('h1').textContent()).toBe('wiki is waking up');
    expect(await page.locator('img, svg').count()).toBe(0);
    const { status, body } = await first;
    expect([status, body.length < 10 * 1_024]).toEqual([503, true]);
    await expect.poll(() => page.locator('body').textContent()).toBe('hi');
    expect(page.url()).toBe(`http://wiki.localhost:${door}${path}`);
  });
});
