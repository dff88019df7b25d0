/** What the proxy remembers when it is killed and started again, and where it can't keep anything. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ServiceDetailAnswer } from '../../src/status/api/answers.ts';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { get, getJson } from './support/http.ts';
import type { LogLine } from './support/log-lines.ts';
import { type ProxyProcess, runCli } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

const TOKEN = 'a-token-of-this-test';
/** In the file, of a hold. */
const BY = 'by hand';

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'memory-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A stopped container with an HTTP server, and proxies that keep what they know in one folder. */
async function openStage(fields: Readonly<Record<string, string | number>> = {}) {
  const bed = await openTestBed();
  const port = await freePort();
  const name = bed.scope.name('app');
  const labels = bed.labels({ ports: `${port}:80`, idle_timeout: '1h', ...fields });
  const container = await bed.scope.createContainer({ name, labels, cmd: httpdCommand() });
  const start = (stateDir: string) =>
    bed.startProxy({ env: { LAZY_PROXY_STATE_DIR: stateDir, LAZY_PROXY_TOKEN: TOKEN } });
  const read = (proxy: ProxyProcess) =>
    getJson<ServiceDetailAnswer>(`${proxy.statusUrl}/api/services/${encodeURIComponent(name)}`);
  return { ...bed, container, port, name, start, read };
}

test('a proxy that was killed knows use, wakes and holds again', async () => {
  const { container, events, port, name, start, read } = await openStage();
  const folder = await makeFolder();
  const first = await start(folder);
  await get(port);
  const env = { LAZY_PROXY_TOKEN: TOKEN };
  const held = await runCli(['hold', name, '--for', '2h', '--url', first.statusUrl], { env });
  expect(held).toMatchObject({ status: 0, stderr: '' });
  const holdOf = ({ leases }: ServiceDetailAnswer) => leases.find(({ kind }) => kind === 'hold')?.until;
  const before = await read(first);
  const isKept = async () =>
    String(await readFile(path.join(folder, 'state.json')).catch(() => '')).includes(BY);
  await waitUntil(isKept, { what: 'the hold in the file', timeoutMs: 15_000 });
  await first.stop('SIGKILL');
  await container.stop(0);
  const second = await start(folder);
  // Nobody but the hold wakes it.
  await events.waitFor(name, 'start', { nth: 2 });
  await waitUntil(async () => (await read(second)).life === 'awake', { what: 'the hold wakes it' });
  const after = await read(second);
  expect(after.last_active).toBe(before.last_active);
  expect(after.wakes).toContainEqual(before.wakes.at(-1));
  expect(holdOf(after)).toBe(holdOf(before));
  expect(second.logs().filter(({ level }) => level === 'warn')).toEqual([]);
});

test('what a service needs sleeps after it, though the proxy that had woken both was killed', async () => {
  const bed = await openTestBed();
  const port = await freePort();
  const [web, db] = [bed.scope.name('web'), bed.scope.name('db')];
  for (const name of [web, db]) await bed.scope.createContainer({ name, cmd: httpdCommand() });
  const folder = await makeFolder();
  const start = () =>
    bed.startProxy({
      services: { [web]: { ports: [`${port}:80`], depends_on: [db], idle_timeout: '1s' } },
      env: { LAZY_PROXY_STATE_DIR: folder },
    });
  const first = await start();
  // It stays awake until the proxy is killed.
  const client = await connectTcp(port);
  onTestFinished(() => client.destroy());
  await first.waitForLog(({ event, service }) => event === 'awake' && service === web);
  const isKept = async () =>
    String(await readFile(path.join(folder, 'state.json')).catch(() => '')).includes('wokenRun');
  await waitUntil(isKept, { what: 'the run in the file', timeoutMs: 15_000 });
  await first.stop('SIGKILL');
  await start();
  const ended = await Promise.all([web, db].map((name) => bed.events.waitFor(name, 'die')));
  expect(ended[0]?.at).toBeLessThanOrEqual(Number(ended[1]?.at));
});

test('a window that began while no proxy ran is caught up with', async () => {
  const minute = 60_000;
  const clockTime = (ms: number) => new Date(ms).toISOString().slice(11, 16);
  const awake = `${clockTime(Date.now() - minute)}-${clockTime(Date.now() + 30 * minute)}`;
  const { events, name, start, read } = await openStage({ awake, timezone: 'UTC' });
  const proxy = await start('off');
  await events.waitFor(name, 'start');
  await waitUntil(async () => (await read(proxy)).life === 'awake', { what: 'the window wakes it' });
  const { leases, why, wakes } = await read(proxy);
  expect(why.kept_by).toEqual(['window']);
  expect(leases[0]?.until).toMatch(/:00Z$/);
  expect(wakes[0]).toMatchObject({ cause: 'for its window', result: 'ready' });
  const explained = await runCli(['explain', name, '--url', proxy.statusUrl]);
  expect(explained.stdout).toContain('its window until ');
});

// Only root may mount.
test.skipIf(process.getuid?.() !== 0).each(['full', 'read-only'])(
  'a disk that is %s costs a warning, and nothing else',
  async (how) => {
    const { port, start, read } = await openStage();
    const folder = await makeFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
    onTestFinished(() => void execFileSync('umount', ['--lazy', folder]));
    const state = path.join(folder, 'state');
    await mkdir(state);
    if (how === 'full') {
      await expect(writeFile(path.join(folder, 'ballast'), Buffer.alloc(100_000))).rejects.toThrow('ENOSPC');
    } else execFileSync('mount', ['-o', 'remount,ro', folder]);
    const proxy = await start(state);
    expect((await get(port)).status).toBe(200);
    const warned = ({ event, level }: LogLine) => level === 'warn' && event?.startsWith('state') === true;
    const { msg } = await proxy.waitForLog(warned);
    expect(msg).toMatch(
      how === 'full' ? /can't be (kept|locked): .*ENOSPC|locked \(.*ENOSPC/ : /can't be written \(EROFS/,
    );
    expect((await get(port)).status).toBe(200);
    expect((await read(proxy)).life).toBe('awake');
    expect(proxy.logs().filter(warned).length).toBeLessThanOrEqual(2);
  },
);
