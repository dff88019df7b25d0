import { execFileSync } from 'node:child_process';

/** Held connections take two descriptors each, or six where a relay needs pipes. */
const WANTED = 131_072;

/** How many files a program may have open that the benchmark starts: what can be had, which asks for privileges. */
export function findMaxDescriptors() {
  const text = execFileSync('sh', [
    '-c',
    `ulimit -n ${WANTED} 2>/dev/null || ulimit -n "$(ulimit -Hn)"; ulimit -n`,
  ]);
  return Number(text);
}
