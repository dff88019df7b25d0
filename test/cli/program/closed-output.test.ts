import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../support/free-ports.ts';
import { PROGRAM } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

/** Mistakes for more than a pipe holds. */
const BAD = `services:\n${Array.from({ length: 3_000 }, (_, index) => `  s${index}: { idle_timout: 1 }\n`).join('')}`;

interface Started {
  readonly child: ChildProcess;
  readonly stderr: () => string;
}

function start(
  args: readonly string[],
  options: { readonly cwd: string; readonly stdout?: number },
): Started {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', options.stdout ?? 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  return { child, stderr: () => stderr };
}

/** Starts the program behind a reader that goes at once. */
function startUnread(args: readonly string[], cwd: string): Started {
  const started = start(args, { cwd });
  started.child.stdout?.destroy();
  return started;
}

function openForTest(device: string): number {
  const descriptor = openSync(device, 'w');
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

describe('output that nobody reads any more', () => {
  test.each([
    ['validate', ['validate', 'bad.yaml'], 1],
    ['validate as JSON', ['validate', '--format', 'json', 'bad.yaml'], 1],
    ['print-effective-config', ['print-effective-config', '--config', 'good.yaml'], 0],
    ['healthcheck', ['healthcheck', '--status-port', '0'], 0],
    ['schema', ['schema'], 0],
    ['--help', ['--help'], 0],
  ])('ends %s quietly, with the status that it would have had', async (_what, args, status) => {
    const folder = await createFolder({
      'bad.yaml': BAD,
      'good.yaml': 'docker: { labels: false }\nservices: {}\n',
    });
    const { child, stderr } = startUnread(args, folder);
    const [code] = await once(child, 'close');
    expect({ code, stderr: stderr() }).toEqual({ code: status, stderr: '' });
  });
});

describe('a log that can not be written', () => {
  test.each([
    ['has gone', undefined, 'nobody reads the log any more; the proxy goes on without it'],
    [
      'is full',
      '/dev/full',
      "the log can't be written: ENOSPC: no space left on device, write; the proxy goes on, and lines are lost until it can",
    ],
  ])(
    'does not keep run from serving and from ending in order: what takes it %s',
    async (_why, device, told) => {
      const port = await freePort();
      const cwd = await createFolder({ 'f.yaml': 'docker: { labels: false }\nservices: {}\n' });
      const args = ['run', '--config', 'f.yaml', '--status-port', String(port)];
      const { child, stderr } =
        device === undefined ? startUnread(args, cwd) : start(args, { cwd, stdout: openForTest(device) });
      const health = async () => (await fetch(`http://127.0.0.1:${port}/health`)).text();
      await expect.poll(() => health().catch(() => ''), { timeout: 10_000 }).toBe('ok');
      // Another line for the log.
      child.kill('SIGHUP');
      expect(await health()).toBe('ok');
      child.kill('SIGTERM');
      expect(await once(child, 'close')).toEqual([0, null]);
      expect(stderr()).toBe(`lazy-proxy: ${told}\n`);
    },
  );
});

test('output that can not be written is told, with status 2', async () => {
  const folder = await createFolder({ 'bad.yaml': BAD });
  const { child, stderr } = start(['validate', 'bad.yaml'], {
    cwd: folder,
    stdout: openForTest('/dev/full'),
  });
  const [code] = await once(child, 'close');
  expect({ code, stderr: stderr() }).toEqual({
    code: 2,
    stderr: "lazy-proxy: the output can't be written: ENOSPC: no space left on device, write\n",
  });
});
