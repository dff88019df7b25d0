/** Fields of lazy-tcp-proxy that have no equal here, by their names in the file; labels write them in kebab-case. */
import type { Problem } from '../model/problem.ts';

/** What is wrong with a foreign field, in words that follow its name. */
export type ForeignUse = Pick<Problem, 'code' | 'severity' | 'message'>;

/** They guard a service: ignoring them would open what their owner closed. The value is what guards nothing. */
const GUARDS: ReadonlyMap<string, string> = new Map([
  ['tls', 'false'],
  ['api_key', '""'],
  ['basic_auth', '""'],
]);
/** They tell Traefik the way to a service. */
const ROUTES: readonly string[] = ['traefik_hosts', 'traefik_tcp_hosts'];

/** The foreign fields, by their keys in the file. */
export const FOREIGN_KEYS: readonly string[] = [...GUARDS.keys(), ...ROUTES];

/** Words that say no, in a label. */
export const OFF_WORDS: ReadonlySet<string> = new Set(['false', 'no', 'off', '0', 'n', 'f', 'disabled', '']);

/** Judges a foreign field; undefined where it asks for nothing, as with `tls=false`, or where the key is not foreign. */
export function judgeForeign(
  key: string,
  { value, place }: { readonly value: unknown; readonly place: 'key' | 'label' },
): ForeignUse | undefined {
  if (!FOREIGN_KEYS.includes(key)) return undefined;
  if (value === null) {
    const message = `has no value; write ${GUARDS.get(key) ?? '""'}, or remove the key`;
    return { code: 'wrong-type', severity: 'error', message };
  }
  const word = String(value).trim().toLowerCase();
  if (key === 'tls' ? OFF_WORDS.has(word) : word === '') return undefined;
  if (GUARDS.has(key)) {
    const message = `is not supported, and without it the service would be open; remove the ${place} if it may be`;
    return { code: 'unknown-key', severity: 'error', message };
  }
  const message =
    "has no effect: the proxy gives Traefik no routes (GET /traefik); write them into Traefik's own configuration, to the listen port of this service";
  return { code: 'option-without-effect', severity: 'warning', message };
}
