import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { openPage, startDashboard } from './dashboard-page.ts';

const SCRIPT = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>';
const TURNED = 'abc\u202egnp.exe\u0000';
const LONG = `${'x'.repeat(200)}`;
const AT = '2026-04-01T12:00:00Z';

/** Whatever the proxy passes on of a label or a workload, with the same text everywhere. */
function hostile(text: string) {
  const wake = { at: AT, cause: text, result: 'failed', reason: text, output: [text, text] };
  const phases = { engine_ms: 1, health_ms: 2, port_ms: 3 };
  const lease = { kind: 'hub', since: AT, hub: text };
  return {
    ...{
      name: text,
      kind: 'docker',
      workload: `container ${text}`,
      project: text,
      id: text,
      state: 'stopped',
    },
    ...{ life: 'asleep', since: AT, last_active: AT, failure: text, last_wake: { ...wake, ...phases } },
    why: { leases: 1, connections: 0, flows: 0, waiting: 0, kept_by: ['hub'], oldest: lease },
    listeners: [
      {
        ...{ protocol: 'tcp', address: '', port: 1, target_port: text, condition: 'failed', error: text },
        ...{ connections: 0, blocked: 1, refused: { [text]: 1 } },
      },
    ],
    leases: [lease],
    woken_by: [{ kind: 'schedule', cron: text }],
    certificates: [{ host: text, kind: 'file', path: text, until: AT }],
    ...{
      hubs: [text],
      dependants: [text],
      depends_on: [{ name: text, condition: 'healthy', of: text }],
      wakes: [{ ...wake, ...phases }],
      timeline: [{ at: AT, life: 'failed' }],
    },
    problems: [{ code: 'x', severity: 'error', message: text, text }],
  };
}

async function showing(text: string, width = 1_280): Promise<Page> {
  const { url } = await startDashboard('  web: { command: [node], cwd: . }\n');
  const page = await openPage(`${url}dashboard.svg`, { viewport: { width, height: 900 } });
  const service = hostile(text);
  await page.route('**/api/services*', (route) =>
    route.fulfill({ json: route.request().url().includes('service=') ? service : [service] }),
  );
  await page.route('**/api/config*', (route) =>
    route.fulfill({ json: { settings: {}, services: { [text]: { ports: { value: text, origin: text } } } } }),
  );
  await page.goto(url);
  await page.locator('.open').click();
  await expect.poll(() => page.locator('.detail .wakes').count()).toBe(1);
  return page;
}

test('what looks like HTML is shown as it is written', async () => {
  const page = await showing(SCRIPT);
  expect(await page.locator('.open').innerText()).toBe(SCRIPT);
  expect(await page.locator('.detail h2').innerText()).toBe(SCRIPT);
  expect(await page.locator('#page img, #page script').count()).toBe(0);
  expect(await page.locator('.detail .part', { hasText: 'HTTPS' }).innerText()).toContain(
    `${SCRIPT}, good until 2026-04-01`,
  );
  expect(await page.evaluate('window.hit')).toBeUndefined();
});

test('a name can not turn or hide what stands beside it', async () => {
  const page = await showing(TURNED);
  expect(await page.locator('.open').innerText()).toBe('abc\\u{202e}gnp.exe\\u{0}');
  expect(await page.locator('#page').textContent()).not.toContain('\u202e');
});

test.each([1_280, 360])('a name of 200 characters does not make a page %i wide wider', async (width) => {
  const page = await showing(LONG, width);
  const widest = await page.evaluate<number>('document.documentElement.scrollWidth');
  expect(widest).toBeLessThanOrEqual(width);
});
