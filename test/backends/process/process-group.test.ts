import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { isGroupEmpty, signalGroup } from '../../../src/backends/process/process-group.ts';

/** Starts a shell in a group of its own; it is killed when the test ends. Returns the first line that it prints. */
async function startShell(script: string): Promise<{ readonly groupId: number; readonly line: string }> {
  const child = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => signalGroup(child.pid ?? 0, 'SIGKILL'));
  const [chunk] = await once(child.stdout, 'data');
  return { groupId: child.pid ?? 0, line: String(chunk).trim() };
}

test('isGroupEmpty() says whether a process of the group lives', async () => {
  const { groupId } = await startShell('echo up; sleep 300 & sleep 300; wait');
  expect(await isGroupEmpty(groupId)).toBe(false);
  signalGroup(groupId, 'SIGKILL');
  await expect.poll(() => isGroupEmpty(groupId), { interval: 5 }).toBe(true);
  signalGroup(groupId, 'SIGTERM');
});

test.runIf(process.platform === 'linux')(
  'isGroupEmpty() does not count the dead whom their parent leaves on the list',
  async () => {
    // What the shell becomes takes the end of no child; the child has a group of its own.
    const { line } = await startShell(`setsid sh -c 'echo $$; exec sleep 0.2' & exec sleep 300`);
    const deadGroup = Number(line);
    expect(await isGroupEmpty(deadGroup)).toBe(false);
    await expect.poll(() => isGroupEmpty(deadGroup), { interval: 10, timeout: 3_000 }).toBe(true);
    // Still on the list.
    expect(process.kill(-deadGroup, 0)).toBe(true);
  },
);
