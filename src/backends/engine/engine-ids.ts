import { EngineRefusal } from './errors.ts';

const SWARM_ID = /^[0-9a-z]{25}$/;
const FORMS = {
  container: /^[0-9a-f]{64}$/,
  exec: /^[0-9a-f]{64}$/,
  /** The swarm's own have the swarm's form. */
  network: /^(?:[0-9a-f]{64}|[0-9a-z]{25})$/,
  service: SWARM_ID,
  task: SWARM_ID,
  node: SWARM_ID,
} as const;

/**
 * Checks an id from an engine's answer or event, and returns it. Anything of another form could lead anywhere in the API once
 * it is part of a path or a filter. @throws {EngineRefusal} where it has not the form of such an id.
 */
export function checkId(what: keyof typeof FORMS, id: unknown): string {
  if (typeof id === 'string' && FORMS[what].test(id)) return id;
  throw new EngineRefusal(`the engine gave ${showId(id)} as the id of a ${what}, which is no such id`, {
    status: 502,
  });
}

/** Makes a name or an id one segment of a path. @throws {EngineRefusal} where it can't be one. */
export function pathSegment(text: string): string {
  // No slash, not even an encoded one: servers decode a path before they resolve it.
  if (/^(?!\.{0,2}$)[^/\\]+$/.test(text)) return encodeURIComponent(text);
  throw new EngineRefusal(`${showId(text)} is neither a name nor an id`, { status: 404 });
}

function showId(id: unknown): string {
  return typeof id === 'string' ? JSON.stringify(id.slice(0, 80)) : typeof id;
}
