import { BACKEND_NAMES, type BackendName } from '../model/settings.ts';
import { type Parsed, refuse } from './values/parsed.ts';
import { suggestNearest } from './suggest.ts';
import { parseChoice } from './values/text.ts';

/** Engines that people look for under their own names. */
const SERVED_BY_DOCKER: ReadonlySet<string> = new Set(['podman', 'swarm']);

/** Reads the name of a backend. */
export function parseBackend(raw: unknown): Parsed<BackendName> {
  const parsed = parseChoice(raw, BACKEND_NAMES);
  if (parsed.ok || typeof raw !== 'string') return parsed;
  const remedy = SERVED_BY_DOCKER.has(raw) ? '; write docker' : suggestNearest(raw, BACKEND_NAMES);
  return refuse(parsed.code, `${parsed.message}${remedy}`);
}
