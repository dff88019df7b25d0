import { DEPENDENCY_CONDITIONS, type Dependency, type DependencyCondition } from '../../model/service.ts';
import {
  accept,
  type Fault,
  isMapping,
  type Parsed,
  parseList,
  type Reading,
  refuse,
  showValue,
} from './parsed.ts';
import { suggestNearest } from './suggest.ts';
import { parseQualifiedName } from './text.ts';

/** What a service needs: names with conditions, or what Compose's labels say. */
export type Dependencies = readonly Dependency[] | 'compose';

export const DEPENDENCIES_EXPECTED = 'a list such as [db], a mapping such as {db: healthy}, or compose';

/** Compose's own words for the conditions. */
const COMPOSE_CONDITIONS: Readonly<Record<string, DependencyCondition>> = {
  service_started: 'started',
  service_healthy: 'healthy',
  service_completed_successfully: 'completed',
};

/** Reads what a service needs. Where no condition is given, a dependency has to be started, as in Compose. */
export function parseDependencies(
  raw: unknown,
  { ofLabel = false }: { readonly ofLabel?: boolean } = {},
): Reading<Dependencies> {
  if (raw === 'compose' || (ofLabel && Array.isArray(raw) && raw.length === 1 && raw[0] === 'compose'))
    return accept('compose');
  if (isMapping(raw)) return parseConditions(raw);
  if (!Array.isArray(raw))
    return refuse('wrong-type', `${showValue(raw)} is not ${DEPENDENCIES_EXPECTED}${hintAtText(raw)}`);
  const listed = parseList(raw, parseEntry);
  return listed.ok ? withoutDoubles(listed.value) : listed;
}

/** The spelling that parseDependencies reads back: what a service needs itself; what others need in turn is theirs. */
export function formatDependencies(needs: Dependencies): unknown {
  if (needs === 'compose') return needs;
  if (needs.every(({ condition }) => condition === 'started')) return needs.map(({ name }) => name);
  return Object.fromEntries(needs.map(({ name, condition }) => [name, condition]));
}

/** A word of Compose as ours; undefined for any other. Pure. */
export function readComposeCondition(word: string): DependencyCondition | undefined {
  return Object.hasOwn(COMPOSE_CONDITIONS, word) ? COMPOSE_CONDITIONS[word] : undefined;
}

/** `db`, `db:healthy`. */
function parseEntry(raw: unknown): Parsed<Dependency> {
  if (isMapping(raw) && Object.keys(raw).length === 1) {
    const [[name, condition] = ['', '']] = Object.entries(raw);
    const meant = parseDependency(name, readComposeCondition(readWord(condition)) ?? condition);
    if (meant.ok)
      return refuse('wrong-type', `a mapping is no entry of a list; write ${name}:${meant.value.condition}`);
  }
  if (typeof raw !== 'string') return parseDependency(raw, 'started');
  const [name = '', ...rest] = raw.split(':');
  return parseDependency(name.trim(), rest.length === 0 ? 'started' : rest.join(':').trim());
}

function parseConditions(raw: Readonly<Record<string, unknown>>): Reading<Dependencies> {
  const values: Dependency[] = [];
  const faults: Fault[] = [];
  for (const [name, condition] of Object.entries(raw)) {
    // The schema tells of it.
    if (condition === null) continue;
    const parsed = parseDependency(name, condition);
    if (parsed.ok) values.push(parsed.value);
    else faults.push({ code: parsed.code, path: [name], message: parsed.message });
  }
  return faults.length === 0 && !Object.values(raw).includes(null) ? accept(values) : { ok: false, faults };
}

function parseDependency(rawName: unknown, rawCondition: unknown): Parsed<Dependency> {
  const name = parseQualifiedName(rawName);
  if (!name.ok) return name;
  const condition = DEPENDENCY_CONDITIONS.find((word) => word === rawCondition);
  if (condition !== undefined) return accept({ name: name.value, condition });
  const meant = readComposeCondition(readWord(rawCondition));
  const remedy =
    meant === undefined ? suggestNearest(readWord(rawCondition), DEPENDENCY_CONDITIONS) : `; write ${meant}`;
  const message = `${showValue(rawCondition)} is not ${DEPENDENCY_CONDITIONS.join(' or ')}${remedy}`;
  return refuse('invalid-value', message);
}

/** Compose writes `{ condition: service_healthy }`, too. */
function readWord(raw: unknown): string {
  return String(isMapping(raw) ? raw['condition'] : raw);
}

function withoutDoubles(listed: readonly Dependency[]): Reading<Dependencies> {
  const first = new Map<string, Dependency>();
  const faults: Fault[] = [];
  listed.forEach((dependency, index) => {
    const before = first.get(dependency.name);
    if (before === undefined) first.set(dependency.name, dependency);
    else if (before.condition !== dependency.condition) {
      const message = `"${dependency.name}" is to be ${before.condition} already; keep one of them`;
      faults.push({ code: 'exclusive-keys', path: [index], message });
    }
  });
  return faults.length === 0 ? accept([...first.values()]) : { ok: false, faults };
}

function hintAtText(raw: unknown): string {
  return typeof raw === 'string' && raw.trim() !== '' ? `; write [${raw.trim()}]` : '';
}
