import { open, readdir } from 'node:fs/promises';

/** Sends a signal to all processes of a group; does nothing where none is left, or only zombies. */
export function signalGroup(groupId: number, signal: string): void {
  try {
    process.kill(-groupId, numberOf(signal));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EPERM: on some systems, for a moment, where only zombies are left.
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

/** The first and the last of the real-time signals, as the C library counts them on Linux. Node knows no names for them. */
const REAL_TIME = { MIN: 34, MAX: 64 } as const;

function numberOf(signal: string): NodeJS.Signals | number {
  const [, end, distance = '0'] = /^SIGRT(MIN|MAX)([+-]\d+)?$/.exec(signal) ?? [];
  return end === undefined
    ? (signal as NodeJS.Signals)
    : REAL_TIME[end as keyof typeof REAL_TIME] + Number(distance);
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
 * The bytes of memory that a process takes with all that it has started; what several of them share counts in part.
 * @throws where the system doesn't tell.
 */
export async function measureMemory(id: number): Promise<number> {
  const sizes = await Promise.all((await listFamily(String(id))).map(readPssKib));
  const known = sizes.filter((size) => size !== undefined);
  if (known.length === 0) throw new Error('this system does not tell what its processes take of memory');
  return known.reduce((sum, kib) => sum + kib * 1_024, 0);
}

async function readPssKib(id: string): Promise<number | undefined> {
  const kib = /^Pss:\s+(\d+) kB$/m.exec(await readStart(`/proc/${id}/smaps_rollup`))?.[1];
  return kib === undefined ? undefined : Number(kib);
}

/** A process and all that descend from it. Unlike the members of its group, they are found without a look at every process of the machine. */
async function listFamily(id: string): Promise<readonly string[]> {
  const threads = await readdir(`/proc/${id}/task`).catch(() => []);
  const lists = await Promise.all(threads.map((thread) => readStart(`/proc/${id}/task/${thread}/children`)));
  const children = lists.flatMap((list) => list.match(/\d+(?=\s)/g) ?? []);
  return [id, ...(await Promise.all(children.map(listFamily))).flat()];
}

/** Files that are open at once. */
const MAX_OPEN = 8;
/** What is looked for stands in the first bytes. */
const START_BYTES = 1_024;

/** The ids of a group's living processes; undefined where the system doesn't tell. */
async function listMembers(groupId: number): Promise<readonly string[] | undefined> {
  if (process.platform !== 'linux') return undefined;
  const ids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  // Some systems hide processes; then nothing is known.
  if (ids.length === 0) return undefined;
  const left = [...ids];
  const members: string[] = [];
  const look = async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop())
      if (isLivingMember(await readStart(`/proc/${id}/stat`), groupId)) members.push(id);
  };
  await Promise.all(Array.from({ length: MAX_OPEN }, look));
  return members;
}

/** The first bytes of a file; `''` where it can't be read. `readFile()` takes 64 KiB for each file of /proc, of which there may be thousands. */
async function readStart(file: string): Promise<string> {
  const handle = await open(file).catch(() => undefined);
  try {
    const read = await handle?.read(Buffer.alloc(START_BYTES), 0, START_BYTES);
    return read?.buffer.toString('latin1', 0, read.bytesRead) ?? '';
  } catch {
    return '';
  } finally {
    await handle?.close().catch(() => {});
  }
}

/** @param stat `1 (name) S 0 1 …`: the state, the parent, the group; a name may hold anything. */
function isLivingMember(stat: string, groupId: number): boolean {
  const [state = '', , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(group) === groupId && !'ZX'.includes(state);
}
