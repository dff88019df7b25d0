import type { DependencyCondition } from '../../model/service.ts';
import type { WorkloadRef } from '../../model/workload.ts';
import { unmanagedRef } from '../../model/workload.ts';
import {
  canBeWorkload,
  canComplete,
  createDependantResolver,
  createMainNames,
  cutCycles,
  describeUnmanaged,
  explainEndless,
  qualifyDependant,
} from '../rules/dependants.ts';
import type { ReadService } from '../read/read-services.ts';
import { createSuggester } from '../values/suggest.ts';
import type { Path } from '../yaml/path.ts';
import { type Finding, valueError, warning } from './finding.ts';

/** One name in `dependants` or `depends_on`. */
interface NamedLink {
  readonly service: ReadService;
  /** The name as it is written. */
  readonly text: string;
  readonly path: Path;
  /** Of `depends_on`. */
  readonly condition: DependencyCondition | undefined;
}

/** One that means a service of the file, or else stands for itself. */
interface Target extends NamedLink {
  /** The names of two services, or of a service and a workload. */
  readonly from: string;
  readonly to: string;
}

/**
 * Finds dependants and dependencies that close a cycle, or can't be completed, and warns of those that are no services of the
 * file.
 */
export function findBadLinks(services: readonly ReadService[]): readonly Finding[] {
  const links = services.flatMap(listLinks);
  if (links.length === 0) return [];
  const byName = new Map(services.map((service) => [service.name, service]));
  const resolve = createDependantResolver(services);
  const targets = links.map(
    (link): Target => ({
      ...link,
      from: link.service.name,
      to: resolve(link.text, link.service.ref) ?? link.text,
    }),
  );
  const cycles = cutCycles(targets, services).cycles.map(({ link, path }) =>
    valueError(link.path, 'dependency-cycle', `${path.join(' → ')} is a cycle; remove one of the links`),
  );
  const endless = targets.flatMap(({ condition, service, text, to, path }) => {
    const ref = byName.get(to)?.ref ?? unmanagedRef(qualifyDependant(to, service.ref), service.ref);
    return condition !== 'completed' || canComplete(ref)
      ? []
      : [valueError(path, 'invalid-value', explainEndless(text))];
  });
  const suggest = createSuggester([...byName.keys()]);
  const unknown = links.flatMap(({ service: { name: own, ref }, text, path }) => {
    if (resolve(text, ref) !== undefined) return [];
    if (text === 'compose' && path.includes('depends_on'))
      return [valueError(path, 'unknown-dependant', NO_COMPOSE)];
    const nearest = suggest(text);
    // A service is not its own dependant.
    const suggestion = nearest.includes(JSON.stringify(own)) ? '' : nearest;
    const said = `"${text}" is no service of this file`;
    if (ref.kind === 'kubernetes' && !canBeWorkload(qualifyDependant(text, ref), ref)) {
      const message = `${said}, and can't be the name of a Deployment${suggestion}`;
      return [valueError(path, 'unknown-dependant', message)];
    }
    // A workload needs no entry to be a dependant: only what looks mistyped is worth a warning.
    if (suggestion === '') return [];
    const message = `${said}; ${describeMeaning(text, ref)} is meant${suggestion}`;
    return [warning(path, { code: 'unknown-dependant', at: 'value', message })];
  });
  return [...cycles, ...endless, ...unknown, ...findMixedConditions(targets, services)];
}

/** What is run to its end for each wake isn't kept awake, whatever another service of the same workload asks of it. */
function findMixedConditions(
  targets: readonly Target[],
  services: readonly ReadService[],
): readonly Finding[] {
  const mainOf = createMainNames(services);
  const keyOf = ({ from, to }: Target) => `${mainOf(from)}\n${mainOf(to)}`;
  const completed = targets.filter(({ condition }) => condition === 'completed');
  const byKey = new Map(completed.map((target) => [keyOf(target), target]));
  return targets.flatMap((target) => {
    const { condition, text, path, from, to } = target;
    const other = byKey.get(keyOf(target));
    if (condition === undefined || condition === 'completed' || other === undefined) return [];
    if (to !== other.to || from === other.from) {
      const message = `"${text}" and "${other.text}" are one workload, which can't be completed and be ${condition} as well; keep one of them`;
      return [valueError(path, 'exclusive-keys', message)];
    }
    const message = `${other.from} has the same workload and needs "${text}" to be completed; that counts for both: it is run anew for each wake, and not kept awake`;
    return [warning(path, { code: 'option-without-effect', at: 'value', message })];
  });
}

const NO_COMPOSE =
  '"compose" is no service of this file; to take the order from Compose, write depends_on: compose, and nothing beside it';

function listLinks(service: ReadService): readonly NamedLink[] {
  const { path, raw, draft } = service;
  const { dependants, depends_on: needs } = draft;
  const needed = needs === undefined || needs.value === 'compose' ? [] : needs.value;
  const isList = Array.isArray(raw['depends_on']);
  return [
    ...(dependants?.value ?? []).map((text, index) => ({
      ...{ service, text, condition: undefined },
      path: [...path, 'dependants', index],
    })),
    ...needed.map(({ name, condition }, index) => ({
      ...{ service, text: name, condition },
      path: [...path, 'depends_on', isList ? index : name],
    })),
  ];
}

/** What a name means that no service of the file has. */
function describeMeaning(name: string, user: WorkloadRef): string {
  const hasNamespace = name.includes('/');
  // Only the annotations of a workload can make a service with such a name.
  if (hasNamespace && user.kind !== 'kubernetes') return 'an annotated workload of this name';
  const where = user.kind === 'kubernetes' && !hasNamespace ? ` in namespace ${user.namespace}` : '';
  return `${describeUnmanaged(user)} of this name${where}`;
}
