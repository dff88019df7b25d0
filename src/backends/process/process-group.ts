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
  const members = await listMembers(groupId);
  return members !== undefined && members.length === 0;
}

/**
 * The bytes of memory that the processes of a group take; what several processes share counts in part.
 * @throws where the system doesn't tell.
 */
export async function measureGroupMemory(groupId: number): Promise<number> {
  const members = (await listMembers(groupId)) ?? [];
  const sizes = await Promise.all(
    members.map(async (id) => {
      const rollup = await readFile(`/proc/${id}/smaps_rollup`, 'latin1').catch(() => '');
      return /^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1];
    }),
  );
  const known = sizes.filter((size) => size !== undefined);
  if (known.length === 0) throw new Error('this system does not tell what its processes take of memory');
  return known.reduce((sum, kib) => sum + Number(kib) * 1_024, 0);
}

/** The ids of a group's living processes; undefined where the system doesn't tell. */
async function listMembers(groupId: number): Promise<readonly string[] | undefined> {
  if (process.platform !== 'linux') return undefined;
  const ids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  // Some systems hide processes; then nothing is known.
  if (ids.length === 0) return undefined;
  const stats = await Promise.all(ids.map((id) => readFile(`/proc/${id}/stat`, 'latin1').catch(() => '')));
  return ids.filter((_, index) => isLivingMember(stats[index] ?? '', groupId));
}

/** @param stat `1 (name) S 0 1 …`: the state, the parent, the group; a name may hold anything. */
function isLivingMember(stat: string, groupId: number): boolean {
  const [state = '', , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(group) === groupId && !'ZX'.includes(state);
}
