/** What memory the built program takes under load alone, and gives back when the load is over. */
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const CLIENTS = 300;
const GROWN_MIB = 50;
/** Without anything that gives it back, more than 40 MiB are left. */
const LEFT_MIB = 20;
/** V8 of Node 22 unmaps what is free only when some 20 s or more have passed. */
const MAX_WAIT_MS = 100_000;

const LOOKS = 60;
const LOOK_EVERY_MS = 100;
const LOAD = 150;
/** It has 1 or 2 MiB at first, with the half of it that is empty. */
const SMALL_MIB = 3;
/** Tells of it at SIGUSR2. */
const PROBE = `process.on('SIGUSR2', () => {
  const { space_size } = require('node:v8').getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  require('node:fs').writeFileSync('young', String(space_size));
});`;

const APP = `require('node:http').createServer((_, response) => response.end('hello')).listen(process.argv[2], '127.0.0.1')`;

test.runIf(process.platform === 'linux')(
  'memory goes back when a load of web requests is over',
  async () => {
    const [port = 0, target = 0] = await freePorts(2);
    const app = {
      ...{ command: [process.execPath, 'app.js', String(target)], hosts: ['app.test'], http_port: target },
      idle_timeout: '1h',
    };
    const config = {
      status: 'off',
      docker: { labels: false },
      http: { listen: `127.0.0.1:${port}` },
      services: { app },
    };
    const folder = await createFolder({ 'app.js': APP, 'lazy-proxy.yaml': JSON.stringify(config) });
    const { child } = await startProgram({ cwd: folder });
    const memory = () => readPrivateMib(child.pid);
    const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
    await ask(port, agent);
    const before = memory();
    while (memory() < before + GROWN_MIB)
      await Promise.all(Array.from({ length: CLIENTS * 2 }, () => ask(port, agent)));
    agent.destroy();
    await expect.poll(memory, { timeout: MAX_WAIT_MS, interval: 500 }).toBeLessThan(before + LEFT_MIB);
  },
  240_000,
);

test("V8's young generation grows under load alone", async () => {
  const [status = 0, ...ports] = await freePorts(101);
  const services = ports.map((port, index) => [
    `s${index}`,
    { command: ['true'], ports: [`127.0.0.1:${port}:1`] },
  ]);
  const config = {
    ...{ status: { listen: `127.0.0.1:${status}` }, docker: { labels: false } },
    services: Object.fromEntries(services),
  };
  const folder = await createFolder({ 'probe.cjs': PROBE, 'lazy-proxy.yaml': JSON.stringify(config) });
  const { child } = await startProgram({ cwd: folder, nodeArgs: ['--require', './probe.cjs'] });
  const look = async (path: string) => (await fetch(`http://127.0.0.1:${status}/${path}`)).text();
  const youngMib = async () => {
    await rm(`${folder}/young`, { force: true });
    child.kill('SIGUSR2');
    const told = () => {
      const text = readFileSync(`${folder}/young`, 'utf8');
      expect(text).not.toBe('');
      return Number(text) / 2 ** 20;
    };
    return await vi.waitFor(told, { timeout: 10_000 });
  };
  // More at once would be a load.
  for (let count = 0; count < LOOKS; count++)
    await Promise.all([look('status'), look('problems'), look('api/services?only=s1'), sleep(LOOK_EVERY_MS)]);
  expect(await youngMib()).toBeLessThan(SMALL_MIB);
  for (let count = 0; count < LOAD; count++) await look('api/services?day=true');
  expect(await youngMib()).toBeGreaterThan(SMALL_MIB);
  await expect.poll(youngMib, { timeout: MAX_WAIT_MS, interval: 1_000 }).toBeLessThan(SMALL_MIB);
}, 120_000);

function ask(port: number, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, agent, headers: { Host: 'app.test' } };
    get(options, (answer) => answer.resume().on('end', resolve).on('error', reject)).on('error', reject);
  });
}

function readPrivateMib(pid: number | undefined): number {
  const [, kib] = /Private_Dirty:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}
