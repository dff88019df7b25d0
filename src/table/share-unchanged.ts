import { isSameData } from '../model/same-data.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';

/**
 * The entries, but those of the table before wherever they say the same: then they are frozen already, what follows sees
 * at once that nothing has changed, and nothing is kept twice.
 */
export function shareUnchanged(entries: readonly TableEntry[], before: ServiceTable): readonly TableEntry[] {
  if (before.entries.size === 0) return entries;
  return entries.map((entry) => {
    const known = before.entries.get(entry.service.name);
    if (known === undefined || !isSameData(known.service, entry.service)) return entry;
    // A line that was added above moves the origins alone.
    return isSameData(known.origins, entry.origins) ? known : { ...entry, service: known.service };
  });
}
