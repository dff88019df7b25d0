import { describeOrigin, type Origin, type Sourced } from '../../model/origin.ts';
import { formatListenAddress } from '../../model/service.ts';
import type { Settings } from '../../model/settings.ts';
import { workloadRefKey, workloadRefName } from '../../model/workload.ts';
import { findBadDependants } from './check-dependants.ts';
import { findLoops } from './check-loops.ts';
import { type Finding, valueError, warning } from './finding.ts';
import { isKubernetesWorkload, WORKLOAD_EXPECTED } from '../values/kubernetes-names.ts';
import { claimStatus, createListenClaims } from '../rules/listen-claims.ts';
import { showValue } from '../values/parsed.ts';
import type { Path } from '../yaml/path.ts';
import { parsePort } from '../values/ports.ts';
import { isWorkloadUnknown, listPortItems, PORT_FIELDS, type ReadService } from '../read/read-services.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';
import { describeStatusPlace } from '../values/ports.ts';
import { isName, NAME_EXPECTED } from '../values/text.ts';
import type { Draft } from '../fields.ts';
import { FOREIGN_KEYS, judgeForeign } from '../foreign-fields.ts';
import { type EngineDefaults, workloadFieldOf, workloadNoun } from '../rules/workload-of.ts';
import { findUselessOptions } from './useless-options.ts';

/** Finds mistakes that show only between the services of a file, and options that have no effect. */
export function checkServices(
  services: readonly ReadService[],
  {
    locate,
    engine,
    status,
    defaults,
  }: {
    readonly locate: LocateOrigin;
    readonly engine: EngineDefaults;
    /** What the file has under `defaults:`. */
    readonly defaults: Draft;
    readonly status: Sourced<Settings['status']>;
  },
): readonly Finding[] {
  return [
    ...findDuplicateNames(services),
    ...services.flatMap((service) => findUnservedNamespace(service, engine)),
    ...services.flatMap(findUnfitName),
    ...services.flatMap(findForeignFields),
    ...findDuplicateWorkloads(services),
    ...findListenConflicts(services, { locate, status }),
    ...findLoops(services, { locate, status }),
    ...findBadDependants(services),
    ...services.flatMap((service) => findUselessOptions(service, defaults)),
  ];
}

function findDuplicateNames(services: readonly ReadService[]): readonly Finding[] {
  const first = new Map<string, Origin>();
  return services.flatMap(({ name, namePath, origin }) => {
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, origin);
    const message = `"${name}" is the name of another service already (${describe(earlier)})`;
    return earlier === undefined ? [] : [valueError(namePath, 'duplicate-service', message)];
  });
}

/** A service that names no workload has its workload's name; finds names that no workload can have. */
function findUnfitName(service: ReadService): readonly Finding[] {
  const { name, ref } = service;
  if (service.workloadField !== undefined) return [];
  const fits = ref.kind === 'kubernetes' ? isKubernetesWorkload(name) : isName(name);
  if (fits) return [];
  const expected = ref.kind === 'kubernetes' ? WORKLOAD_EXPECTED : NAME_EXPECTED;
  const message = `${showValue(name)} can't be the name of a ${workloadNoun(ref)}, which is ${expected}; give the ${workloadNoun(ref)}'s own with ${workloadFieldOf(ref)}`;
  return [nameError(service, 'invalid-value', message)];
}

function findForeignFields({ raw, path }: ReadService): readonly Finding[] {
  return FOREIGN_KEYS.filter((key) => Object.hasOwn(raw, key)).flatMap((key): readonly Finding[] => {
    const use = judgeForeign(key, { value: raw[key], place: 'key' });
    return use === undefined ? [] : [{ ...use, path: [...path, key], at: 'key' }];
  });
}

/** Finds a workload in a namespace that the proxy doesn't look at. */
function findUnservedNamespace(service: ReadService, { namespaces }: EngineDefaults): readonly Finding[] {
  const { ref, workloadField: field, path, namePath } = service;
  const isServed = ref.kind !== 'kubernetes' || namespaces.length === 0 || namespaces.includes(ref.namespace);
  if (isServed || isWorkloadUnknown(service)) return [];
  const message = `${workloadNoun(ref)} ${workloadRefName(ref)} is never found, because only ${namespaces.join(', ')} ${namespaces.length === 1 ? 'is' : 'are'} looked at; add "${ref.namespace}" to kubernetes.namespaces, or name another`;
  const place = field === undefined ? namePath : [...path, field];
  const at = field === undefined ? 'key' : 'value';
  return [warning(place, { code: 'invalid-value', at, message })];
}

function findDuplicateWorkloads(services: readonly ReadService[]): readonly Finding[] {
  const first = new Map<string, ReadService>();
  return services.flatMap((service) => {
    const { ref, workloadField: field } = service;
    if (ref.kind === 'process' || isWorkloadUnknown(service)) return [];
    const key = workloadRefKey(ref);
    const earlier = first.get(key);
    if (earlier === undefined) first.set(key, service);
    if (earlier === undefined || earlier.name === service.name) return [];
    const message = `"${workloadRefName(ref)}" is the ${workloadNoun(ref)} of service "${earlier.name}" already (${describeOrigin(earlier.origin)}); put both into one service`;
    return [
      field === undefined
        ? nameError(service, 'duplicate-workload', `${workloadFieldOf(ref)}: ${message}`)
        : valueError([...service.path, field], 'duplicate-workload', message),
    ];
  });
}

/** An error at the name of a service. */
function nameError({ namePath }: ReadService, code: Finding['code'], message: string): Finding {
  return { ...valueError(namePath, code, message), at: 'key' };
}

function findListenConflicts(
  services: readonly ReadService[],
  { locate, status }: { readonly locate: LocateOrigin; readonly status: Sourced<Settings['status']> },
): readonly Finding[] {
  if (hasNoConflict(services, status.value)) return [];
  const claims = createListenClaims<{ readonly service: string; readonly path: Path } | 'status'>();
  claimStatus(claims, { status: status.value, owner: 'status' });
  const findings: Finding[] = [];
  for (const service of services) {
    for (const { path, item, protocol } of listPortItems(service)) {
      const parsed = parsePort(item, protocol, { portNames: service.ref.kind === 'kubernetes' });
      for (const listener of parsed.ok ? parsed.value : []) {
        const holder = claims.claim(listener, { service: service.name, path });
        if (holder === undefined) continue;
        const who =
          holder === 'status'
            ? `the status server does already (${describeStatusPlace(status.origin)})`
            : `${holder.service === service.name ? 'this service' : `service "${holder.service}"`} does already (${describe(locate(holder.path, 'value'))})`;
        const message = `${JSON.stringify(item)} listens on ${protocol} ${formatListenAddress(listener)}, which ${who}`;
        findings.push(valueError(path, 'listen-conflict', message));
        break;
      }
    }
  }
  return findings;
}

/**
 * Whether all listeners are known and no two of them overlap. It is a quick test: it doesn't look at how each was
 * written.
 */
function hasNoConflict(services: readonly ReadService[], status: Settings['status']): boolean {
  const claims = createListenClaims<true>();
  claimStatus(claims, { status, owner: true });
  return services.every(({ raw, draft }) =>
    PORT_FIELDS.every(({ field }) => {
      const listeners = draft[field]?.value;
      if (listeners === undefined) return !Object.hasOwn(raw, field);
      return listeners.every((listener) => claims.claim(listener, true) === undefined);
    }),
  );
}

function describe(origin: Origin | undefined): string {
  return origin === undefined ? '' : describeOrigin(origin);
}
