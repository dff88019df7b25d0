import { describeOrigin, type Origin, type Sourced } from '../../model/origin.ts';
import { formatListenAddress } from '../../model/service.ts';
import type { Settings } from '../../model/settings.ts';
import { type WorkloadRef, workloadRefKey, workloadRefName } from '../../model/workload.ts';
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
import { FIELD_NAMES, type FieldName, fieldKeys, hasEffect } from '../fields.ts';
import { type EngineDefaults, isWorkloadField, workloadFieldOf, workloadNoun } from '../rules/workload-of.ts';

const UDP_OPTIONS = FIELD_NAMES.filter((field) => field.startsWith('udp_') && field !== 'udp_ports');

/** Finds mistakes that show only between the services of a file, and options that have no effect. */
export function checkServices(
  services: readonly ReadService[],
  {
    locate,
    engine,
    status,
  }: {
    readonly locate: LocateOrigin;
    readonly engine: EngineDefaults;
    readonly status: Sourced<Settings['status']>;
  },
): readonly Finding[] {
  return [
    ...findDuplicateNames(services),
    ...services.flatMap((service) => findUnservedNamespace(service, engine)),
    ...services.flatMap(findUnfitName),
    ...findDuplicateWorkloads(services),
    ...findListenConflicts(services, { locate, status }),
    ...findLoops(services, { locate, status }),
    ...findBadDependants(services),
    ...services.flatMap(findUselessOptions),
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

/** Why a field does nothing for a workload, in words that follow the field's name. */
export function describeUselessness(field: FieldName, ref: WorkloadRef): string {
  const without = `has no effect on a ${workloadNoun(ref)}`;
  switch (field) {
    case 'cwd':
    case 'env':
      return 'has no effect without command';
    case 'service_name':
    case 'upstream':
    case 'allow_data_loss':
      return `${without}; it is for Deployments and StatefulSets`;
    case 'stop_timeout':
      return ref.kind === 'swarm'
        ? `${without}; the stop_grace_period of its containers counts`
        : `${without}; the terminationGracePeriodSeconds of its pods counts`;
    case 'ignore_labels':
      return `${without}, which has no labels`;
    default:
      return without;
  }
}

/** Finds options that have no effect on the service's kind of workload. */
function findUselessOptions(service: ReadService): readonly Finding[] {
  if (isWorkloadUnknown(service)) return [];
  const { raw, ref } = service;
  const has = (key: string) => Object.hasOwn(raw, key);
  const ofOtherKinds = FIELD_NAMES.filter((field) => !hasEffect(field, ref.kind)).flatMap((field) =>
    fieldKeys(field)
      // findExclusive() tells of a key that names another workload.
      .filter((key) => has(key) && !isWorkloadField(field))
      .map((key) => useless(service, key, describeUselessness(field, ref))),
  );
  return [...ofOtherKinds, ...findUselessUdpOptions(service, has)];
}

function findUselessUdpOptions(service: ReadService, has: (key: string) => boolean): readonly Finding[] {
  // A label may still bring the UDP port, unless the file gives the ports or leaves the labels out.
  const labelsMayAddPorts =
    !has('ports') && service.ref.kind !== 'process' && service.raw['ignore_labels'] !== true;
  if (has('udp_ports') || labelsMayAddPorts) return [];
  const keys = UDP_OPTIONS.flatMap((field) => [field, `${field}_secs`]).filter(has);
  return keys.map((key) => useless(service, key, 'has no effect without udp_ports'));
}

function useless({ path }: ReadService, key: string, message: string): Finding {
  return warning([...path, key], { code: 'option-without-effect', at: 'key', message });
}
