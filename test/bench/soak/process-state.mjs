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
  return readRollup(pid, 'Private_Dirty');
}

/** Resident memory in MiB, with the pages of files and of the program itself. */
export function readResident(pid) {
  return readRollup(pid, 'Rss');
}

function readRollup(pid, name) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) / 1024;
}
