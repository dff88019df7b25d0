import { readFileSync } from 'node:fs';

/** How many processes in the proxy's control group the system has killed because memory ran out; undefined where that isn't known. */
export type CountOomKills = () => number | undefined;

const MOUNT = '/sys/fs/cgroup';

/** Reads the kernel's count; processes that the proxy starts are in its own group. @param read default: reads this machine's files. */
export function createOomKillCount(read: (file: string) => string = readText): CountOomKills {
  return () => {
    for (const file of listFiles(read)) {
      const count = /^oom_kill (\d+)$/m.exec(tryRead(read, file) ?? '')?.[1];
      if (count !== undefined) return Number(count);
    }
    return undefined;
  };
}

/** The files of both versions of control groups, where the host has them, and where a container sees its own. */
function listFiles(read: (file: string) => string): readonly string[] {
  const lines = (tryRead(read, '/proc/self/cgroup') ?? '').split('\n');
  return lines.flatMap((line) => {
    const [id, controllers = '', path = ''] = line.split(/:(.*?):/s);
    const folder = path === '/' ? '' : path;
    if (controllers.split(',').includes('memory'))
      return [`${MOUNT}/memory${folder}`, `${MOUNT}/memory`].map((place) => `${place}/memory.oom_control`);
    if (id === '0') return [`${MOUNT}${folder}`, MOUNT].map((place) => `${place}/memory.events`);
    return [];
  });
}

function tryRead(read: (file: string) => string, file: string): string | undefined {
  try {
    return read(file);
  } catch {
    return undefined;
  }
}

function readText(file: string): string {
  return readFileSync(file, 'utf8');
}
