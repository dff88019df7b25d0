import type { WorkloadRef } from '../../model/workload.ts';
import { findCycles } from '../rules/dependants.ts';
import { type Finding, valueError, warning } from './finding.ts';
import type { Path } from '../yaml/path.ts';
import type { ReadService } from '../read/read-services.ts';
import {
  canBeWorkload,
  createDependantResolver,
  createMainNames,
  describeUnmanaged,
  qualifyDependant,
} from '../rules/dependants.ts';
import { createSuggester } from '../values/suggest.ts';

/** Finds dependants that close a cycle, and warns of those that are no services of the file. */
export function findBadDependants(services: readonly ReadService[]): readonly Finding[] {
  if (services.every(({ draft }) => draft.dependants === undefined)) return [];
  const byName = new Map(services.map((service) => [service.name, service]));
  const resolve = createDependantResolver(services);
  // Services of one workload are one in this: what one of them needs, all need.
  const mainOf = createMainNames(services);
  const edges = new Map<string, string[]>();
  const places = new Map<string, Path>();
  for (const { name, draft, ref, path } of services) {
    const from = mainOf(name);
    const links = edges.get(from) ?? [];
    edges.set(from, links);
    for (const [index, text] of (draft.dependants?.value ?? []).entries()) {
      const to = mainOf(resolve(text, ref) ?? text);
      const link = JSON.stringify([from, to]);
      if (places.has(link)) continue;
      places.set(link, [...path, 'dependants', index]);
      links.push(to);
    }
  }
  const pathTo = (from: string, to: string): Path => places.get(JSON.stringify([from, to])) ?? [];
  const cycles = findCycles(edges).map(({ from, to, path }) =>
    valueError(
      pathTo(from, to),
      'dependency-cycle',
      `${path.join(' → ')} is a cycle; remove one of the links`,
    ),
  );
  const suggest = createSuggester([...byName.keys()]);
  const unknown = services.flatMap(({ name: hub, draft, path, ref }) =>
    (draft.dependants?.value ?? []).flatMap((name, index) => {
      if (resolve(name, ref) !== undefined) return [];
      const place = [...path, 'dependants', index];
      const nearest = suggest(name);
      // A hub is not its own dependant.
      const suggestion = nearest.includes(JSON.stringify(hub)) ? '' : nearest;
      const said = `"${name}" is no service of this file`;
      if (ref.kind === 'kubernetes' && !canBeWorkload(qualifyDependant(name, ref), ref)) {
        const message = `${said}, and can't be the name of a Deployment${suggestion}`;
        return [valueError(place, 'unknown-dependant', message)];
      }
      // A workload needs no entry to be a dependant: only what looks mistyped is worth a warning.
      if (suggestion === '') return [];
      const message = `${said}; ${describeMeaning(name, ref)} is meant${suggestion}`;
      return [warning(place, { code: 'unknown-dependant', at: 'value', message })];
    }),
  );
  return [...cycles, ...unknown];
}

/** What a name means that no service of the file has. */
function describeMeaning(name: string, hub: WorkloadRef): string {
  const hasNamespace = name.includes('/');
  // Only the annotations of a workload can make a service with such a name.
  if (hasNamespace && hub.kind !== 'kubernetes') return 'an annotated workload of this name';
  const where = hub.kind === 'kubernetes' && !hasNamespace ? ` in namespace ${hub.namespace}` : '';
  return `${describeUnmanaged(hub)} of this name${where}`;
}
