/**
 * What an open dashboard costs the proxy, `npm run bench:dashboard`: how much more private memory the program has than another one that
 * does the same and is not looked at, than it had before somebody opened the page in Chromium: at most while it is open, and some time after
 * it was closed. Each has 100 services, of which one is used each second. Fails where that is more than 15 MiB while it is open, or where more
 * than 6 MiB are left, for the code of the API that stays.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureInstalled, ROOT } from '../../scripts/ensure-installed.mjs';
import { runCommand } from '../../scripts/run-command.mjs';
import { findFreePorts } from './bed/ports.mjs';
import { readMemory } from './soak/process-state.mjs';

const SERVICES = 100;
/** Those of them that are used, one each second. */
const USED = 5;
const OPEN_SECONDS = 90;
/** Node collects the garbage of what has ended after some seconds. */
const REST_SECONDS = 60;
const MAX_OPEN_MIB = 15;
const MAX_LEFT_MIB = 6;

const SERVER = `require('node:http').createServer((q, r) => r.end('hi')).listen(+process.argv[1], '127.0.0.1')`;

await ensureInstalled();
await runCommand(process.execPath, ['scripts/build.mjs'], { cwd: ROOT, quiet: true });
const { chromium } = await import('playwright-core');
const folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-dashboard-'));
try {
  const { open, after } = await measure();
  const show = (mib) => `${mib < 0 ? '' : '+'}${mib.toFixed(1)} MiB`;
  console.log(`while it is open, at most: ${show(open)} (allowed: ${MAX_OPEN_MIB})`);
  console.log(`${REST_SECONDS} s after it was closed: ${show(after)} (allowed: ${MAX_LEFT_MIB})`);
  if (open > MAX_OPEN_MIB || after > MAX_LEFT_MIB) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure() {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const pair = [];
  try {
    for (const name of ['seen', 'unseen']) pair.push(await startProxy(name));
    const [seen, unseen] = pair;
    await use(pair, REST_SECONDS);
    // Two programs that do the same have not quite the same garbage.
    const before = readMemory(seen.pid) - readMemory(unseen.pid);
    const more = () => readMemory(seen.pid) - readMemory(unseen.pid) - before;
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${seen.statusPort}/`);
    await page.locator('.link.live').waitFor();
    const open = await use(pair, OPEN_SECONDS, more);
    await page.close();
    await use(pair, REST_SECONDS);
    return { open, after: more() };
  } finally {
    await browser.close();
    for (const { stop } of pair) await stop();
  }
}

async function startProxy(name) {
  const [statusPort, ...ports] = await findFreePorts(1 + 2 * SERVICES);
  const services = Array.from({ length: SERVICES }, (_, index) => [
    `s${index}`,
    {
      command: [process.execPath, '-e', SERVER, `${ports[2 * index + 1]}`],
      ports: [`127.0.0.1:${ports[2 * index]}:${ports[2 * index + 1]}`],
      idle_timeout: '3s',
    },
  ]);
  const config = {
    ...{ status: { listen: `127.0.0.1:${statusPort}` }, docker: { labels: false } },
    services: Object.fromEntries(services),
  };
  const file = path.join(folder, `${name}.yaml`);
  await writeFile(file, JSON.stringify(config));
  const program = [path.join(ROOT, 'dist/main.js'), 'run', '--config', file];
  const proxy = spawn(process.execPath, program, { stdio: 'ignore' });
  while (!(await answers(statusPort, 'ready'))) await sleep(100);
  const stop = async () => {
    const ended = once(proxy, 'exit');
    for (let count = 0; count < 2; count++) proxy.kill('SIGTERM');
    await ended;
  };
  return { pid: proxy.pid, statusPort, ports, stop };
}

/** Uses a service of each proxy every second. @returns the most that `read` has told. */
async function use(proxies, seconds, read = () => 0) {
  let most = Number.NEGATIVE_INFINITY;
  for (let second = 0; second < seconds; second++) {
    const used = proxies.map(({ ports }) => answers(ports[2 * (second % USED)]));
    await Promise.all([sleep(1_000), ...used]);
    most = Math.max(most, read());
  }
  return most;
}

async function answers(port, page = '') {
  return await fetch(`http://127.0.0.1:${port}/${page}`, { headers: { connection: 'close' } }).then(
    async (response) => {
      await response.text();
      return response.ok;
    },
    () => false,
  );
}
