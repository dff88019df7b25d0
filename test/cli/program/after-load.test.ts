/** What the built program gives back of its memory when it is no longer under load. */
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { expect, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const CLIENTS = 300;
const GROWN_MIB = 50;
/** Without anything that gives it back, more than 40 MiB are left. */
const LEFT_MIB = 20;
/** V8 of Node 22 unmaps what is free only when some 20 s or more have passed. */
const MAX_WAIT_MS = 100_000;

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
