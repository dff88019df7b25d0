import { EngineRefusal } from './errors.ts';

const SWARM_ID = /^[0-9a-z]{25}$/;
const FORMS = {
  container: /^[0-9a-f]{64}$/,
  /** The swarm's own have the swarm's form. */
  network: /^(?:[0-9a-f]{64}|[0-9a-z]{25})$/,
  service: SWARM_ID,
  task: SWARM_ID,
  node: SWARM_ID,
} as const;

/**
 * An id out of the engine's answers or events, as it is: one of another form would lead anywhere in the API once it is part of
 * a path or a filter. @throws {EngineRefusal} where it is none.
 */
export function checkId(what: keyof typeof FORMS, id: unknown): string {
  if (typeof id === 'string' && FORMS[what].test(id)) return id;
  throw new EngineRefusal(`the engine tells ${showId(id)} as the id of a ${what}`, { status: 502 });
}

/** A name, or an id that somebody else has written, as one segment of a path. @throws {EngineRefusal} where it can't be one. */
export function pathSegment(text: string): string {
  // Servers decode a path before they tidy it up, so that an encoded slash may still lead elsewhere.
  if (/^(?!\.{0,2}$)[^/\\]+$/.test(text)) return encodeURIComponent(text);
  throw new EngineRefusal(`${showId(text)} is neither a name nor an id`, { status: 404 });
}

function showId(id: unknown): string {
  return typeof id === 'string' ? JSON.stringify(id.slice(0, 80)) : typeof id;
}
