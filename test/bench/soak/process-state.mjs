/** What a process has of the machine, from /proc. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Open descriptors, and how many of them are ends of pipes. */
export function countDescriptors(pid) {
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return '';
    }
  });
  const open = targets.filter((target) => target !== '');
  return { descriptors: open.length, pipes: open.filter((target) => target.startsWith('pipe:')).length };
}

/** Private dirty memory in MiB. */
export function readMemory(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/Private_Dirty:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024;
}
