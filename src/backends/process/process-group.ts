import { readdir, readFile } from 'node:fs/promises';

/** Sends a signal to all processes of a group; does nothing where none is left, or only zombies. */
export function signalGroup(groupId: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-groupId, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EPERM: on some systems, for a moment, where only zombies are left.
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

/**
 * Whether no process of a group lives any more. Zombies don't count: where process 1 is no init, nobody reaps them.
 */
export async function isGroupEmpty(groupId: number): Promise<boolean> {
  try {
    process.kill(-groupId, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  if (process.platform !== 'linux') return false;
  const ids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  // Some systems hide processes; then nothing is known.
  if (ids.length === 0) return false;
  const stats = await Promise.all(ids.map((id) => readFile(`/proc/${id}/stat`, 'latin1').catch(() => '')));
  return !stats.some((stat) => isLivingMember(stat, groupId));
}

/** @param stat `1 (name) S 0 1 …`: the state, the parent, the group; a name may hold anything. */
function isLivingMember(stat: string, groupId: number): boolean {
  const [state = '', , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(group) === groupId && !'ZX'.includes(state);
}
