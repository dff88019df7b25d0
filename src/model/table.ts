import type { Origin } from './origin.ts';
import type { Problem } from './problem.ts';
import type { ListenerSpec, Service } from './service.ts';
import { DEFAULT_FRONT_POLICY, type FrontDoor, type FrontPolicy } from './web.ts';

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
  /** undefined = the proxy itself: its status server, or one of its front doors. */
  readonly winner: string | undefined;
}

/** The normalized service table: what the proxy should do, whole. */
export interface ServiceTable {
  /** By service name, sorted by name; a listener lost to another service is absent from its entry. */
  readonly entries: ReadonlyMap<string, TableEntry>;
  /** The front doors, in the order of the file; one that somebody else keeps out is absent. */
  readonly fronts: readonly FrontDoor[];
  readonly frontPolicy: FrontPolicy;
  readonly conflicts: readonly Conflict[];
  /** Mistakes that only the merged view shows, and those of refused labels. */
  readonly problems: readonly Problem[];
}

export const EMPTY_TABLE: ServiceTable = {
  entries: new Map(),
  fronts: [],
  frontPolicy: DEFAULT_FRONT_POLICY,
  conflicts: [],
  problems: [],
};
