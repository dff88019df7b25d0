import type { Origin } from './origin.ts';
import type { Problem } from './problem.ts';
import type { ListenerSpec, Service } from './service.ts';

/** A service of the table, and where each of its values was written. */
export interface TableEntry {
  readonly service: Service;
  /** Origin of each field, by the field's name in the file (`idle_timeout`, `ports` …). */
  readonly origins: Readonly<Record<string, Origin>>;
}

/** A listener that a service wants and another one holds. */
export interface Conflict {
  readonly listener: ListenerSpec;
  readonly loser: string;
  /** undefined = the proxy's own status server. */
  readonly winner: string | undefined;
}

/** The normalized service table: what the proxy should do, whole. */
export interface ServiceTable {
  /** By service name, sorted by name; a listener lost to another service is absent from its entry. */
  readonly entries: ReadonlyMap<string, TableEntry>;
  readonly conflicts: readonly Conflict[];
  /** Mistakes that only the merged view shows, and those of refused labels. */
  readonly problems: readonly Problem[];
}

export const EMPTY_TABLE: ServiceTable = { entries: new Map(), conflicts: [], problems: [] };
