/** What a private engine may leave on the machine, and how it is found: everything carries its folder's path. */
import { execFile } from 'node:child_process';
import { readdir, readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const EXIT_GRACE_MS = 10_000;

/** Waits until no process of the engine is left; kills those that stay, and the containers under them. */
export async function endProcesses(folder) {
  const deadlineMs = performance.now() + EXIT_GRACE_MS;
  for (;;) {
    const running = await listProcesses(folder);
    if (running.length === 0) return;
    if (performance.now() > deadlineMs) for (const pid of running) kill(pid, 'SIGKILL');
    await sleep(50);
  }
}

export async function unmountAll(folder) {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  const points = table.split('\n').map((line) => line.split(' ')[4] ?? '');
  const own = points.filter((point) => point.startsWith(`${folder}/`));
  // The deepest first.
  for (const point of own.sort((a, b) => b.length - a.length)) await execute('umount', ['-l', point]);
}

export async function removeFolder(folder) {
  await unmountAll(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Ends a process; it may be gone already. */
export function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Start time of a process in clock ticks, which together with its id names it for ever; undefined = not running. */
export async function readStartTicks(pid) {
  return (await readStat(pid))?.startTicks;
}

/**
 * The processes whose command line names the folder (dockerd, containerd, shims), after their children: a shim's
 * child is a container's first process, which a shim that is killed would leave behind.
 */
async function listProcesses(folder) {
  const entries = await readdir('/proc');
  const all = entries.filter((entry) => /^\d+$/.test(entry)).map(Number);
  const own = [];
  const parents = new Map();
  for (const pid of all) {
    const stat = await readStat(pid);
    if (stat === undefined) continue;
    parents.set(pid, stat.parent);
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(`${folder}/`) && pid !== process.pid) own.push(pid);
  }
  const children = [...parents].filter(([pid, parent]) => own.includes(parent) && !own.includes(pid));
  return [...children.map(([pid]) => pid), ...own];
}

async function readStat(pid) {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended, whatever its parent makes of it.
  return fields[0] === 'Z' ? undefined : { parent: Number(fields[1]), startTicks: fields[19] };
}
