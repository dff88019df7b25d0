import { describeOrigin, type Origin, type Sourced } from '../../model/origin.ts';
import { formatListenAddress } from '../../model/service.ts';
import type { Settings } from '../../model/settings.ts';
import { workloadRefName } from '../../model/workload.ts';
import { findBadLinks } from './check-links.ts';
import { findLoops } from './check-loops.ts';
import { type Finding, valueError, warning } from './finding.ts';
import { isKubernetesWorkload, WORKLOAD_EXPECTED } from '../values/kubernetes-names.ts';
import { claimStatus, createListenClaims, describeFront, type FrontClaim } from '../rules/listen-claims.ts';
import { showValue } from '../values/parsed.ts';
import type { Path } from '../yaml/path.ts';
import { parsePort } from '../values/ports.ts';
import { isWorkloadUnknown, listPortItems, type ReadService } from '../read/read-services.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';
import { describeStatusPlace } from '../values/ports.ts';
import { isName, NAME_EXPECTED } from '../values/text.ts';
import { type Draft, fieldKeys, PORT_FIELDS } from '../fields.ts';
import { findContradictions, groupByWorkload, inheritFrom } from '../rules/shared-workload.ts';
import { type EngineDefaults, workloadFieldOf, workloadNoun } from '../rules/workload-of.ts';
import { checkWeb, type WebContext } from './check-web.ts';
import { findUselessOptions } from './useless-options.ts';

/** Finds mistakes that show only between the services of a file, and options that have no effect. */
export function checkServices(
  services: readonly ReadService[],
  {
    locate,
    engine,
    status,
    fronts,
    web,
    defaults,
  }: {
    readonly locate: LocateOrigin;
    readonly engine: EngineDefaults;
    /** What the file has under `defaults:`. */
    readonly defaults: Draft;
    readonly status: Sourced<Settings['status']>;
    readonly fronts: readonly FrontClaim[];
    readonly web: Omit<WebContext, 'locate'>;
  },
): readonly Finding[] {
  const sharers = groupByWorkload(services.filter((service) => !isWorkloadUnknown(service))).filter(
    (group) => group.length > 1,
  );
  const inherited = new Map(
    sharers.flatMap((group) =>
      group.map((service) => [service, inheritFrom(group.filter((other) => other !== service))] as const),
    ),
  );
  return [
    ...findDuplicateNames(services),
    ...services.flatMap((service) => findUnservedNamespace(service, engine)),
    ...services.flatMap(findUnfitName),
    ...findContradictingOptions(sharers, services),
    ...findListenConflicts(services, { locate, status, fronts }),
    ...checkWeb(services, { ...web, locate }),
    ...findLoops(services, { locate, status }),
    ...findBadLinks(services),
    ...services.flatMap((service) => findUselessOptions(service, { ...defaults, ...inherited.get(service) })),
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

/** What the services of one workload say differently though it has one value for all of them. */
function findContradictingOptions(
  groups: readonly (readonly ReadService[])[],
  services: readonly ReadService[],
): readonly Finding[] {
  const place = new Map(services.map((service, index) => [service, index]));
  const rank = (service: ReadService) => place.get(service) ?? 0;
  return groups.flatMap((group) =>
    findContradictions(group.toSorted((a, b) => rank(a) - rank(b))).map(({ field, earlier, later }) => {
      const { ref } = later;
      const key = fieldKeys(field).find((name) => Object.hasOwn(later.raw, name)) ?? field;
      const said = earlier.draft[field]?.origin;
      const message = `service "${earlier.name}" says something else${said === undefined ? '' : ` (${describeOrigin(said)})`}, and both are ${workloadNoun(ref)} "${workloadRefName(ref)}", which has one ${field} for all its services; give it at one of them`;
      return valueError([...later.path, key], 'duplicate-workload', message);
    }),
  );
}

/** An error at the name of a service. */
function nameError({ namePath }: ReadService, code: Finding['code'], message: string): Finding {
  return { ...valueError(namePath, code, message), at: 'key' };
}

interface Claimed {
  readonly locate: LocateOrigin;
  readonly status: Sourced<Settings['status']>;
  readonly fronts: readonly FrontClaim[];
}

type Holder = { readonly service: string; readonly path: Path } | FrontClaim | 'status';

function findListenConflicts(services: readonly ReadService[], claimed: Claimed): readonly Finding[] {
  if (hasNoConflict(services, claimed)) return [];
  const claims = createListenClaims<Holder>();
  const { status, fronts } = claimed;
  claimStatus(claims, { status: status.value, owner: 'status' });
  const findings: Finding[] = [];
  for (const front of fronts) {
    const holder = claims.claim({ protocol: 'tcp', ...front.front }, front);
    if (holder === undefined) continue;
    const where = formatListenAddress(front.front);
    const message = `a front door can't listen on tcp ${where}: ${describeHolder(holder, claimed)}`;
    findings.push(valueError(front.setting.split('.'), 'listen-conflict', message));
  }
  for (const service of services) {
    for (const { path, item, protocol } of listPortItems(service)) {
      const parsed = parsePort(item, protocol, { portNames: service.ref.kind === 'kubernetes' });
      for (const listener of parsed.ok ? parsed.value : []) {
        const holder = claims.claim(listener, { service: service.name, path });
        if (holder === undefined) continue;
        const who = describeHolder(holder, { ...claimed, own: service.name });
        const message = `${JSON.stringify(item)} listens on ${protocol} ${formatListenAddress(listener)}, which ${who}`;
        findings.push(valueError(path, 'listen-conflict', message));
        break;
      }
    }
  }
  return findings;
}

function describeHolder(
  holder: Holder,
  { locate, status, own }: Claimed & { readonly own?: string },
): string {
  if (holder === 'status') return `the status server does already (${describeStatusPlace(status.origin)})`;
  if ('front' in holder) return `${describeFront(holder)} does already`;
  const who = holder.service === own ? 'this service' : `service "${holder.service}"`;
  return `${who} does already (${describe(locate(holder.path, 'value'))})`;
}

/**
 * Whether all listeners are known and no two of them overlap. It is a quick test: it doesn't look at how each was
 * written.
 */
function hasNoConflict(services: readonly ReadService[], { status, fronts }: Claimed): boolean {
  const claims = createListenClaims<true>();
  claimStatus(claims, { status: status.value, owner: true });
  for (const { front } of fronts)
    if (claims.claim({ protocol: 'tcp', ...front }, true) !== undefined) return false;
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
