/** The units of amounts of memory, each 1024 times the one before, as Docker and Compose count them, too. */
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** An amount of memory in the largest unit that leaves it whole: `2GiB`, `1536MiB`. */
export function formatMemory(bytes: number): string {
  let power = 0;
  while (bytes > 0 && power < UNITS.length - 1 && bytes % 1024 ** (power + 1) === 0) power++;
  return `${bytes / 1024 ** power}${UNITS[power]}`;
}
