import type { StatusRange } from '../service.ts';

/** As it is written in the file: `200-399,401`. */
export function formatStatuses(ranges: readonly StatusRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
