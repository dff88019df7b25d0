import { describeOrigin, type Origin } from '../model/origin.ts';
import { formatListenAddress, type Protocol } from '../model/service.ts';
import { findCycles } from './cycles.ts';
import { FIELD_NAMES, type FieldName } from './fields.ts';
import { type Finding, valueError, warning } from './finding.ts';
import { createListenClaims } from './listen-claims.ts';
import type { Path } from './path.ts';
import { parsePort } from './ports.ts';
import type { ReadService } from './read-services.ts';
import type { LocateOrigin } from './read-yaml.ts';
import { suggestNearest } from './suggest.ts';

const PORT_FIELDS: readonly { readonly field: FieldName; readonly protocol: Protocol }[] = [
  { field: 'ports', protocol: 'tcp' },
  { field: 'udp_ports', protocol: 'udp' },
];
const UDP_OPTIONS = FIELD_NAMES.filter((field) => field.startsWith('udp_') && field !== 'udp_ports');

/** What only shows when the services of a file are seen together, and options that do nothing. */
export function checkServices(services: readonly ReadService[], locate: LocateOrigin): readonly Finding[] {
  return [
    ...findDuplicateNames(services),
    ...findDuplicateContainers(services),
    ...findListenConflicts(services, locate),
    ...findBadDependants(services),
    ...services.flatMap(findUselessOptions),
  ];
}

/** The container that a service of the file stands for; undefined for a local process. */
export function containerOf(service: Pick<ReadService, 'name' | 'draft'>): string | undefined {
  return service.draft.command === undefined ? (service.draft.container?.value ?? service.name) : undefined;
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

function findDuplicateContainers(services: readonly ReadService[]): readonly Finding[] {
  const first = new Map<string, ReadService>();
  return services.flatMap((service) => {
    const container = Object.hasOwn(service.raw, 'command') ? undefined : containerOf(service);
    if (container === undefined) return [];
    const earlier = first.get(container);
    if (earlier === undefined) first.set(container, service);
    if (earlier === undefined || earlier.name === service.name) return [];
    const message = `"${container}" is the container of service "${earlier.name}" already (${describe(earlier.origin)}); put both into one service`;
    return [
      service.draft.container === undefined
        ? {
            ...valueError(service.namePath, 'duplicate-workload', `container: ${message}`),
            at: 'key' as const,
          }
        : valueError([...service.path, 'container'], 'duplicate-workload', message),
    ];
  });
}

function findListenConflicts(services: readonly ReadService[], locate: LocateOrigin): readonly Finding[] {
  const claims = createListenClaims<{ readonly service: string; readonly path: Path }>();
  const findings: Finding[] = [];
  for (const service of services) {
    for (const { path, item, protocol } of listPortItems(service)) {
      const parsed = parsePort(item, protocol);
      for (const listener of parsed.ok ? parsed.value : []) {
        const holder = claims.claim(listener, { service: service.name, path });
        if (holder === undefined) continue;
        const who = holder.service === service.name ? 'this service' : `service "${holder.service}"`;
        const where = describe(locate(holder.path, 'value'));
        const message = `${JSON.stringify(item)} listens on ${protocol} ${formatListenAddress(listener)}, which ${who} does already (${where})`;
        findings.push(valueError(path, 'listen-conflict', message));
        break;
      }
    }
  }
  return findings;
}

function listPortItems(
  service: ReadService,
): readonly { readonly path: Path; readonly item: unknown; readonly protocol: Protocol }[] {
  return PORT_FIELDS.flatMap(({ field, protocol }) => {
    const raw = service.raw[field];
    if (!Array.isArray(raw)) return [];
    return raw.map((item: unknown, index) => ({ path: [...service.path, field, index], item, protocol }));
  });
}

function findBadDependants(services: readonly ReadService[]): readonly Finding[] {
  const byContainer = new Map(services.map((service) => [containerOf(service), service.name]));
  const byName = new Map(services.map((service) => [service.name, service]));
  const resolve = (name: string) => (byName.has(name) ? name : (byContainer.get(name) ?? name));
  const edges = new Map(
    services.map(({ name, draft }) => [name, (draft.dependants?.value ?? []).map(resolve)] as const),
  );
  const pathTo = (from: string, to: string): Path => {
    const service = byName.get(from);
    return [...(service?.path ?? []), 'dependants', edges.get(from)?.indexOf(to) ?? 0];
  };
  const cycles = findCycles(edges).map(({ from, to, path }) =>
    valueError(
      pathTo(from, to),
      'dependency-cycle',
      `${path.join(' → ')} is a cycle; remove one of the links`,
    ),
  );
  const unknown = services.flatMap(({ draft, path }) =>
    (draft.dependants?.value ?? []).flatMap((name, index) => {
      if (byName.has(resolve(name))) return [];
      const suggestion = suggestNearest(name, [...byName.keys()]);
      const message = `"${name}" is no service of this file; a container of this name is meant${suggestion}`;
      return [warning([...path, 'dependants', index], { code: 'unknown-dependant', at: 'value', message })];
    }),
  );
  return [...cycles, ...unknown];
}

function findUselessOptions({ raw, path }: ReadService): readonly Finding[] {
  const has = (key: string) => Object.hasOwn(raw, key);
  const useless = (key: string, message: string) =>
    warning([...path, key], { code: 'option-without-effect', at: 'key', message });
  const findings = ['cwd', 'env']
    .filter((key) => has(key) && !has('command'))
    .map((key) => useless(key, 'has no effect without command'));
  // Where neither ports nor labels are the file's alone, a label may still bring the UDP port.
  const labelsMayAddPorts = !has('ports') && !has('command') && raw['ignore_labels'] !== true;
  if (has('udp_ports') || labelsMayAddPorts) return findings;
  const keys = UDP_OPTIONS.flatMap((field) => [field, `${field}_secs`]).filter(has);
  return [...findings, ...keys.map((key) => useless(key, 'has no effect without udp_ports'))];
}

function describe(origin: Origin | undefined): string {
  return origin === undefined ? '' : describeOrigin(origin);
}
