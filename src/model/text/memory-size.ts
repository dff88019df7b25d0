import type { WorkloadKind } from '../workload.ts';

/** The units of amounts of memory, each 1024 times the one before, as Docker and Compose count them, too. */
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** What is told of a workload under `limits.memory` of which nobody knows how much it may take, in words that follow its name. */
export function describeUnknownMemory(kind: WorkloadKind): string {
  const own =
    kind === 'docker' ? ", or limit its container's (docker run --memory, mem_limit in Compose)" : '';
  return `takes nothing of limits.memory, since nobody knows how much memory it may take; set memory for the service${own}`;
}

/** An amount of memory in the largest unit that leaves it whole: `2GiB`, `1536MiB`. */
export function formatMemory(bytes: number): string {
  let power = 0;
  while (bytes > 0 && power < UNITS.length - 1 && bytes % 1024 ** (power + 1) === 0) power++;
  return `${bytes / 1024 ** power}${UNITS[power]}`;
}
