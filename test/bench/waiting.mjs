/**
 * What a client costs that waits for a service, `npm run bench:waiting`: the program's private memory with 1,000 and with
 * 8,000 clients of a service that never gets ready. The first ones also pay for the room in which V8 makes new objects,
 * once; what each further client costs is the difference. Fails where that is more than 16 KiB.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureInstalled, ROOT } from '../../scripts/ensure-installed.mjs';
import { runCommand } from '../../scripts/run-command.mjs';
import { findFreePorts } from './bed/ports.mjs';
import { readMemory } from './soak/process-state.mjs';

const COUNTS = [1_000, 8_000];
const MAX_KIB = 16;
/** So many connect before the next ones do. */
const AT_ONCE = 50;
/** Each wait is measured after so long: what is made only at the beginning is garbage by then. */
const REST_MS = 10_000;
const ADDRESSES = 200;

await ensureInstalled();
await runCommand(process.execPath, ['scripts/build.mjs'], { cwd: ROOT, quiet: true });
const folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-waiting-'));
try {
  const grown = [];
  for (const count of COUNTS) {
    const mib = await measure(count);
    grown.push(mib);
    console.log(`${count} clients: ${((mib * 1024) / count).toFixed(1)} KiB each, ${mib.toFixed(1)} MiB`);
  }
  const further = ((grown[1] - grown[0]) * 1024) / (COUNTS[1] - COUNTS[0]);
  console.log(`each further client: ${further.toFixed(1)} KiB (at most ${MAX_KIB})`);
  if (further > MAX_KIB) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** How many MiB of private memory the program has more with so many clients that wait. */
async function measure(count) {
  const [port, deaf] = await findFreePorts(2);
  const file = path.join(folder, 'lazy-proxy.yaml');
  const service = {
    ...{ command: ['sleep', '1000'], ports: [`${port}:${deaf}`] },
    ...{ start_timeout: '10m', max_pending: 2 * COUNTS[1] },
  };
  const config = { status: 'off', docker: { labels: false }, services: { never: service } };
  await writeFile(file, JSON.stringify(config));
  const program = [path.join(ROOT, 'dist/main.js'), 'run', '--config', file];
  const proxy = spawn(process.execPath, program, { stdio: 'ignore' });
  const clients = [];
  try {
    clients.push(await enter(port, 0));
    await sleep(REST_MS);
    const before = readMemory(proxy.pid);
    while (clients.length <= count) {
      const next = Array.from({ length: AT_ONCE }, (_, index) => enter(port, clients.length + index));
      clients.push(...(await Promise.all(next)));
    }
    await sleep(REST_MS);
    return readMemory(proxy.pid) - before;
  } finally {
    for (const client of clients) client.destroy();
    const ended = once(proxy, 'exit');
    proxy.kill('SIGTERM');
    proxy.kill('SIGTERM');
    await ended;
  }
}

/** A client from one of many addresses, connected; it tries until the program listens. */
async function enter(port, index) {
  for (;;) {
    const client = connect({ port, host: '127.0.0.1', localAddress: `127.0.1.${1 + (index % ADDRESSES)}` });
    client.on('error', () => {});
    const isIn = await Promise.race([
      once(client, 'connect').then(() => true),
      once(client, 'close').then(() => false),
    ]).catch(() => false);
    if (isIn) return client;
    await sleep(50);
  }
}
