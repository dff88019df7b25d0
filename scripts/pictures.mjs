/**
 * `npm run pictures`: takes the pictures of the dashboard that the documentation shows, light and dark, of the quickstart while some of
 * its services are used. It needs Chromium as /usr/bin/chromium, and the quickstart's ports.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { runBuild } from './build.mjs';
import { ROOT } from './ensure-installed.mjs';

const FOLDER = path.join(ROOT, 'docs/pictures');
const URL = 'http://localhost:9001/';
const SIZE = { width: 1280, height: 760 };

await runBuild();
await mkdir(FOLDER, { recursive: true });
const config = 'examples/quickstart/lazy-proxy.yaml';
const proxy = spawn(process.execPath, ['dist/main.js', 'run', '--config', config], {
  cwd: ROOT,
  stdio: 'ignore',
});
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu'],
});
try {
  while (!(await answers(`${URL}ready`))) await sleep(100);
  await answers('http://127.0.0.1:9000');
  await answers('http://127.0.0.1:9003');
  const client = connect(9000, '127.0.0.1');
  await once(client, 'connect');
  for (const colorScheme of ['light', 'dark']) {
    const page = await browser.newPage({ colorScheme, viewport: SIZE });
    await page.goto(`${URL}#/service/broken`);
    await page.locator('.detail .out').first().waitFor();
    await page.locator('.link.live').waitFor();
    await page.screenshot({ path: path.join(FOLDER, `dashboard-${colorScheme}.png`) });
    await page.close();
  }
  client.destroy();
} finally {
  await browser.close();
  proxy.kill('SIGTERM');
  await once(proxy, 'exit');
}

async function answers(url) {
  return await fetch(url, { headers: { connection: 'close' } }).then(
    ({ ok }) => ok,
    () => false,
  );
}
