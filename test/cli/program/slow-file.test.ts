import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { rename, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const GOOD = 'docker: { labels: false }\nstatus: off\n';

/** Takes some ten seconds to parse, and is refused then. */
const SLOW = `${GOOD}services:\n${Array.from(
  { length: 60_000 },
  (_, index) =>
    `  s${index}:\n    container: c${index}\n    ports: [wrong]\n    allow_list: [10.0.0.0/8, "::1"]\n`,
).join('')}`;

/** A proxy that runs, and writes to its file. */
async function startProxy(first = GOOD) {
  const folder = await createFolder({ 'lazy-proxy.yaml': first });
  const file = path.join(folder, 'lazy-proxy.yaml');
  const proxy = await startProgram({
    cwd: folder,
    env: { PATH: process.env['PATH'] },
    until: first === GOOD ? 'ready' : 'lazy-proxy',
  });
  const write = async (text: string) => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  const pid = proxy.child.pid ?? 0;
  const parser = async () => {
    await expect.poll(() => childrenOf(pid), { timeout: 15_000 }).toHaveLength(1);
    return childrenOf(pid)[0] ?? 0;
  };
  return { proxy, file, write, parser };
}

/** The processes whose parent this is. */
function childrenOf(parent: number): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && parentOf(pid) === parent);
}

/** Undefined where there is no such process, or it is dead and not yet buried. */
function parentOf(pid: number): number | undefined {
  try {
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return state === 'Z' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

test('a file that is parsed for long gives way to the next one', { timeout: 60_000 }, async () => {
  const { proxy, write, parser } = await startProxy();
  await write(SLOW);
  const pid = await parser();
  await write(`${GOOD}services: { a: { command: [sleep, "9"], cron_start: "0 0 1 1 *" } }\n`);
  await proxy.logged('service a added');
  expect(proxy.log()).not.toContain('refused');
  expect(parentOf(pid)).toBeUndefined();
});

test('SIGTERM does not wait for a file that is parsed for long', { timeout: 60_000 }, async () => {
  const { proxy, write, parser } = await startProxy();
  await write(SLOW);
  const pid = await parser();
  proxy.child.kill('SIGTERM');
  const signal = AbortSignal.timeout(4_000);
  expect(await once(proxy.child, 'exit', { signal })).toEqual([0, null]);
  expect(parentOf(pid)).toBeUndefined();
});

test('SIGTERM ends a start whose file is parsed for long', { timeout: 60_000 }, async () => {
  const { proxy, parser } = await startProxy(SLOW);
  const pid = await parser();
  proxy.child.kill('SIGTERM');
  const signal = AbortSignal.timeout(4_000);
  expect(await once(proxy.child, 'exit', { signal })).toEqual([0, null]);
  expect(proxy.log()).toContain('SIGTERM: shutting down before the start is complete');
  expect(parentOf(pid)).toBeUndefined();
});

test('what parses a file ends with the proxy, whatever ends that', { timeout: 60_000 }, async () => {
  const { proxy, write, parser } = await startProxy();
  await write(SLOW);
  const pid = await parser();
  proxy.child.kill('SIGKILL');
  await once(proxy.child, 'exit');
  await expect.poll(() => parentOf(pid), { timeout: 1_500 }).toBeUndefined();
});

test('a file that is too long is told by its size, and the next one is taken', {
  timeout: 60_000,
}, async () => {
  const { proxy, file, write } = await startProxy();
  await truncate(file, 300 * 1_048_576);
  await proxy.logged('is refused');
  expect(proxy.log()).toContain("lazy-proxy.yaml:1:1: can't be read: it has 300.0 MiB, and may have 8 MiB");
  await write(`${GOOD}services: { a: { command: [sleep, "9"], cron_start: "0 0 1 1 *" } }\n`);
  await proxy.logged('service a added');
});
