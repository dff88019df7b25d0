import { isSameData } from '../model/same-data.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';

/**
 * Replaces entries by those of the table before, wherever both say the same. These are frozen already, later stages see by
 * identity that nothing changed, and memory holds them once.
 */
export function shareUnchanged(entries: readonly TableEntry[], before: ServiceTable): readonly TableEntry[] {
  if (before.entries.size === 0) return entries;
  return entries.map((entry) => {
    const known = before.entries.get(entry.service.name);
    if (known === undefined || !isSameData(known.service, entry.service)) return entry;
    // A line that is added above a service moves its origins and nothing else.
    return isSameData(known.origins, entry.origins) ? known : { ...entry, service: known.service };
  });
}
