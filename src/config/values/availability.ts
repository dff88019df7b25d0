import type { Availability } from '../../model/availability.ts';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';
import { suggestNearest } from './suggest.ts';

/** By each word that means it; the second two are those of lazy-tcp-proxy. */
const WORDS: ReadonlyMap<string, Availability> = new Map([
  ['on_demand', 'on_demand'],
  ['schedule', 'schedule'],
  ['manual', 'manual'],
  ['ondemand', 'on_demand'],
  ['cron', 'schedule'],
]);

/** For messages. */
export const AVAILABILITY_EXPECTED = 'on_demand, schedule or manual';

/** Reads who starts and stops a service. */
export function parseAvailability(raw: unknown): Parsed<Availability> {
  const meant = typeof raw === 'string' ? WORDS.get(raw) : undefined;
  if (meant !== undefined) return accept(meant);
  const hint = typeof raw === 'string' ? suggestNearest(raw.trim(), [...new Set(WORDS.values())]) : '';
  return refuse('invalid-value', `${showValue(raw)} is not ${AVAILABILITY_EXPECTED}${hint}`);
}
