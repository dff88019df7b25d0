import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

/** Tells its process id. */
const SERVER = `
require('node:net').createServer((client) => client.end(String(process.pid))).listen(process.env.PORT, '127.0.0.1');
`;
const GREEDY = 'const kept = []; for (;;) kept.push(Buffer.alloc(16 << 20, 1));';
const LIMIT_BYTES = 300 * 1024 * 1024;

async function start(script: string) {
  const [port = 0, target = 0] = await freePorts(2);
  const app = {
    command: [process.execPath, '-e', script],
    env: { PORT: String(target) },
    ports: [`127.0.0.1:${port}:${target}`],
  };
  const file = { status: 'off', docker: { labels: false }, services: { app } };
  const proxy = await startProgram({ cwd: await createFolder({ 'lazy-proxy.yaml': JSON.stringify(file) }) });
  const open = () => {
    const client = connect(port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void client.destroy());
    return client;
  };
  return { proxy, open };
}

test('a process that is killed is told as killed', async () => {
  const { proxy, open } = await start(SERVER);
  const [pid] = await once(open(), 'data');
  process.kill(Number(pid), 'SIGKILL');
  expect(await proxy.logged('somebody else stopped')).toContain('killed by SIGKILL');
});

const GROUPS = '/sys/fs/cgroup/memory';

function canLimitMemory(): boolean {
  try {
    accessSync(`${GROUPS}/cgroup.procs`, constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

test.runIf(canLimitMemory())('a process that the system kills for want of memory is told so', async () => {
  const { proxy, open } = await start(GREEDY);
  const group = `${GROUPS}/lazy-proxy-test-${proxy.child.pid}`;
  await mkdir(group);
  onTestFinished(async () => {
    await rmdir(group);
  });
  await writeFile(`${group}/memory.limit_in_bytes`, String(LIMIT_BYTES));
  await writeFile(`${group}/cgroup.procs`, String(proxy.child.pid));
  open();
  expect(await proxy.logged('did not become ready')).toContain('killed by SIGKILL, out of memory');
  proxy.child.kill('SIGTERM');
  await once(proxy.child, 'exit');
});
