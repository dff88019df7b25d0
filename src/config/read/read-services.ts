import type { Origin } from '../../model/origin.ts';
import type { Protocol } from '../../model/service.ts';
import type { WorkloadRef } from '../../model/workload.ts';
import { type Draft, FIELD_NAMES, PORT_FIELDS } from '../fields.ts';
import { type Finding, keyError, valueError } from '../checks/finding.ts';
import { formatCount } from '../../model/problem.ts';
import { isMapping, showValue } from '../values/parsed.ts';
import { countListeners } from '../values/ports.ts';
import type { Path } from '../yaml/path.ts';
import { type ParseField, readDraft } from './read-draft.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';
import { parseQualifiedName } from '../values/text.ts';
import {
  type EngineDefaults,
  findWorkloadField,
  WORKLOAD_FIELDS,
  type WorkloadField,
  workloadKindOf,
  workloadRefOf,
} from '../rules/workload-of.ts';

/** A service of the file. */
export interface FileService {
  readonly name: string;
  /** Where the name stands. */
  readonly origin: Origin;
  readonly draft: Draft;
}

/** A service of the file together with what the checks across services need. */
export interface ReadService extends FileService {
  readonly path: Path;
  readonly namePath: Path;
  readonly raw: Readonly<Record<string, unknown>>;
  /** The workload that it stands for; a guess where the value that names it is a mistake. */
  readonly ref: WorkloadRef;
  /** The key that names the workload; undefined = the service's own name does. */
  readonly workloadField: WorkloadField | undefined;
}

/** Listeners that a file can ask for: as many as TCP has ports, which is more than most machines have descriptors for. */
const MAX_LISTENERS = 65_536;

/** Whether the workload of a service is unknown, because the value that names it is a mistake. */
export function isWorkloadUnknown({ workloadField, draft }: ReadService): boolean {
  return workloadField !== undefined && draft[workloadField] === undefined;
}

/** Reads `services:` in either form; entries that have no usable name are left out. */
export function readServices(
  raw: unknown,
  {
    locate,
    parse,
    engine,
  }: { readonly locate: LocateOrigin; readonly parse: ParseField; readonly engine: EngineDefaults },
): { readonly services: readonly ReadService[]; readonly findings: readonly Finding[] } {
  const services: ReadService[] = [];
  const { entries, findings: tooMany } = boundListeners(listEntries(raw));
  const findings: Finding[] = [...tooMany];
  for (const { path, namePath, name, value } of entries) {
    const parsed = name === undefined ? undefined : parseQualifiedName(name);
    const at = Array.isArray(raw) ? 'value' : 'key';
    if (parsed?.ok === false) findings.push({ ...valueError(namePath, parsed.code, parsed.message), at });
    if (value === undefined) continue;
    if (!Array.isArray(raw) && Object.hasOwn(value, 'name')) {
      findings.push(
        keyError([...path, 'name'], 'unknown-key', 'the key above is the name already; remove this line'),
      );
    }
    const workloadField = findWorkloadField((field) => Object.hasOwn(value, field));
    const portNames = workloadKindOf(workloadField, engine) === 'kubernetes';
    const reading = readDraft(value, { base: path, fields: FIELD_NAMES, locate, parse, portNames });
    findings.push(...reading.findings, ...findExclusive(value, path));
    if (parsed?.ok !== true) continue;
    const origin = locate(namePath, at);
    const service = { name: parsed.value, origin, draft: reading.draft };
    const ref = workloadRefOf(service, engine);
    services.push({ ...service, path, namePath, raw: value, ref, workloadField });
  }
  return { services, findings };
}

interface Entry {
  readonly path: Path;
  readonly namePath: Path;
  /** undefined = the list entry has none, which the schema tells. */
  readonly name: unknown;
  /** undefined = it is no mapping, which the schema tells. */
  readonly value: Readonly<Record<string, unknown>> | undefined;
}

function listEntries(raw: unknown): readonly Entry[] {
  if (Array.isArray(raw)) {
    return raw.flatMap((value: unknown, index) => {
      const path = ['services', index];
      if (!isMapping(value)) return [];
      return [{ path, namePath: [...path, 'name'], name: value['name'] ?? undefined, value }];
    });
  }
  if (!isMapping(raw)) return [];
  return Object.entries(raw).map(([name, value]) => {
    const path = ['services', name];
    return { path, namePath: path, name, value: isMapping(value) ? value : undefined };
  });
}

/**
 * Leaves out the ports with which the file asks for too many listeners, before they are made. Linear in the text: what comes
 * later reads what is left.
 */
function boundListeners(entries: readonly Entry[]): {
  readonly entries: readonly Entry[];
  readonly findings: readonly Finding[];
} {
  let kept = 0;
  let asked = 0;
  let first: { readonly path: Path; readonly item: unknown } | undefined;
  const bounded = entries.map((entry) => {
    const lists = PORT_FIELDS.flatMap(({ field }) => {
      const items: unknown = entry.value?.[field];
      if (!Array.isArray(items)) return [];
      const left = items.map((item: unknown, index) => {
        const count = countListeners([item]);
        asked += count;
        if (kept + count <= MAX_LISTENERS) {
          kept += count;
          return item;
        }
        first ??= { path: [...entry.path, field, index], item };
        // The others keep their places.
        return null;
      });
      return left.every((item, index) => item === items[index]) ? [] : [[field, left] as const];
    });
    return lists.length === 0 ? entry : { ...entry, value: { ...entry.value, ...Object.fromEntries(lists) } };
  });
  if (first === undefined) return { entries, findings: [] };
  const { path, item } = first;
  const message = `${showValue(item)}: the file asks for ${formatCount(asked)} ports, and can have ${formatCount(MAX_LISTENERS)} in all`;
  return { entries: bounded, findings: [valueError(path, 'invalid-port', message)] };
}

function findExclusive(value: Readonly<Record<string, unknown>>, path: Path): readonly Finding[] {
  const has = (field: WorkloadField) => Object.hasOwn(value, field);
  const first = findWorkloadField(has);
  return WORKLOAD_FIELDS.filter((field) => has(field) && field !== first).map((field) => {
    const message = `given beside ${first}; a service is one of these: a container, a Swarm service (swarm_service), a Deployment, a StatefulSet, or a local process (command)`;
    return keyError([...path, field], 'exclusive-keys', message);
  });
}

/** Lists what a service has under `ports`, `http_ports` and `udp_ports` as it was written, each with its path. */
export function listPortItems(
  service: ReadService,
): readonly { readonly path: Path; readonly item: unknown; readonly protocol: Protocol }[] {
  return PORT_FIELDS.flatMap(({ field, protocol }) => {
    const raw = service.raw[field];
    if (!Array.isArray(raw)) return [];
    return raw.map((item: unknown, index) => ({ path: [...service.path, field, index], item, protocol }));
  });
}
