import { execFileSync } from 'node:child_process';

/** Held connections take two descriptors each, or six where a relay needs pipes. */
const WANTED = 131_072;

/** For a shell: allows what it runs so many open files, or as many as can be had without privileges. */
export const RAISE_LIMIT = `ulimit -n ${WANTED} 2>/dev/null || ulimit -n "$(ulimit -Hn)"`;

/** How many files a program may have open that the benchmark starts. */
export function findMaxDescriptors() {
  return Number(execFileSync('sh', ['-c', `${RAISE_LIMIT}; ulimit -n`]));
}
