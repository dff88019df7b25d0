import type { Sourced } from '../model/origin.ts';
import {
  BACKEND_NAMES,
  type BackendName,
  type DockerSettings,
  type KubernetesSettings,
  MAX_UDP_QUEUE_TOTAL_BYTES,
  MIN_UDP_QUEUE_TOTAL_BYTES,
  RELAY_SETTINGS,
  type RelaySetting,
  type Settings,
} from '../model/settings.ts';
import { parseBackend } from './backend-name.ts';
import { type FieldResult, noValue, wrapParsed } from './values/field-result.ts';
import { type Finding, valueError } from './checks/finding.ts';
import { parseKubernetesSetting } from './kubernetes-settings.ts';
import { parseList } from './values/parse-collection.ts';
import { accept, isMapping, type Parsed, refuse, showValue } from './values/parsed.ts';
import type { Path } from './yaml/path.ts';
import type { LocateOrigin } from './yaml/read-yaml.ts';
import { parseStatusListen } from './values/status-listen.ts';
import { parseChoice } from './values/text.ts';
import { parseUrlHost } from './values/url.ts';

/** The process-wide settings as one source wrote them; absent = unset. */
export interface SettingsDraft {
  readonly status?: Sourced<Settings['status']>;
  readonly backend?: Sourced<BackendName>;
  readonly relay?: Sourced<RelaySetting>;
  readonly udp_queue_total?: Sourced<number>;
  readonly max_starting?: Sourced<Settings['maxStarting']>;
  readonly docker_socket?: Sourced<DockerSettings['socket']>;
  readonly docker_labels?: Sourced<boolean>;
  readonly docker_image_labels?: Sourced<boolean>;
  readonly docker_label_prefix?: Sourced<string>;
  readonly docker_join_networks?: Sourced<boolean>;
  readonly docker_label_urls?: Sourced<DockerSettings['labelUrls']>;
  readonly kubernetes_namespaces?: Sourced<KubernetesSettings['namespaces']>;
  readonly kubernetes_labels?: Sourced<boolean>;
  readonly kubernetes_label_prefix?: Sourced<string>;
  readonly kubernetes_discover?: Sourced<KubernetesSettings['discover']>;
  readonly kubernetes_cluster_domain?: Sourced<string>;
  /** Milliseconds. */
  readonly kubernetes_lease_duration?: Sourced<number>;
  readonly kubernetes_lease_namespace?: Sourced<string>;
}

const BYTES_EXPECTED = `a whole number of bytes from ${MIN_UDP_QUEUE_TOTAL_BYTES} to ${MAX_UDP_QUEUE_TOTAL_BYTES}`;

const STARTING_EXPECTED = 'a whole number of at least 1, or auto';

/** The settings of one value, and how each is read. */
const VALUES: Readonly<
  Record<string, { readonly expected: string; readonly parse: (raw: unknown) => Parsed<unknown> }>
> = {
  backend: { expected: BACKEND_NAMES.join(' or '), parse: parseBackend },
  relay: { expected: RELAY_SETTINGS.join(' or '), parse: (raw) => parseChoice(raw, RELAY_SETTINGS) },
  udp_queue_total: { expected: BYTES_EXPECTED, parse: parseQueueTotal },
  max_starting: { expected: STARTING_EXPECTED, parse: parseMaxStarting },
};

/** Keys at the top of a file. */
export const TOP_KEYS = ['defaults', 'status', ...Object.keys(VALUES), 'docker', 'kubernetes', 'services'];
/** Keys of `status:`. */
export const STATUS_KEYS = ['listen'];
/** Keys of `docker:`, in the order in which they are printed. */
export const DOCKER_KEYS = [
  'socket',
  'labels',
  'image_labels',
  'label_prefix',
  'join_networks',
  'label_urls',
] as const;
/** Keys of `kubernetes:`, likewise. */
export const KUBERNETES_KEYS = [
  'namespaces',
  'labels',
  'label_prefix',
  'discover',
  'cluster_domain',
  'lease_duration',
  'lease_namespace',
] as const;

/**
 * Reads `status:`, `backend:`, `relay:`, `udp_queue_total:`, `max_starting:`, `docker:` and `kubernetes:`; what has the wrong type is left to
 * the schema's report.
 */
export function readSettings(
  root: Readonly<Record<string, unknown>>,
  locate: LocateOrigin,
): { readonly settings: SettingsDraft; readonly findings: readonly Finding[] } {
  const settings: Record<string, unknown> = {};
  const findings: Finding[] = [];
  const take = (name: string, path: Path, result: FieldResult<unknown>) => {
    if (result.ok) settings[name] = { value: result.value, origin: locate(path, 'value') };
    else {
      const faults = result.faults.map((fault) =>
        valueError([...path, ...fault.path], fault.code, fault.message),
      );
      findings.push(...faults);
    }
  };
  if (Object.hasOwn(root, 'status') && root['status'] !== null) {
    const { path, parsed } = readStatus(root['status']);
    if (!parsed.ok || parsed.value !== undefined) take('status', path, wrapParsed(parsed));
  }
  for (const [key, { expected, parse }] of Object.entries(VALUES)) {
    if (!Object.hasOwn(root, key)) continue;
    const raw = root[key];
    take(key, [key], raw === null ? noValue(expected) : wrapParsed(parse(raw)));
  }
  for (const { key, raw } of listPairs(root['docker'], DOCKER_KEYS)) {
    take(`docker_${key}`, ['docker', key], parseDockerSetting(key, raw));
  }
  for (const { key, raw } of listPairs(root['kubernetes'], KUBERNETES_KEYS)) {
    take(`kubernetes_${key}`, ['kubernetes', key], parseKubernetesSetting(key, raw));
  }
  return { settings, findings };
}

/** What has the wrong type is left to the schema, but for the lists. */
function parseDockerSetting(key: (typeof DOCKER_KEYS)[number], raw: unknown): FieldResult<unknown> {
  if (key !== 'label_urls') return { ok: true, value: raw };
  return raw === null ? noValue('[] for none') : parseList(raw, parseUrlHost);
}

function parseQueueTotal(raw: unknown): Parsed<number> {
  const isBytes = typeof raw === 'number' && Number.isInteger(raw);
  if (isBytes && raw >= MIN_UDP_QUEUE_TOTAL_BYTES && raw <= MAX_UDP_QUEUE_TOTAL_BYTES) return accept(raw);
  return refuse('invalid-value', `${showValue(raw)} is not ${BYTES_EXPECTED}`);
}

function parseMaxStarting(raw: unknown): Parsed<Settings['maxStarting']> {
  if (raw === 'auto' || (typeof raw === 'number' && Number.isInteger(raw) && raw >= 1)) return accept(raw);
  return refuse('invalid-value', `${showValue(raw)} is not ${STARTING_EXPECTED}`);
}

function listPairs<K extends string>(
  raw: unknown,
  keys: readonly K[],
): readonly { readonly key: K; readonly raw: unknown }[] {
  if (!isMapping(raw)) return [];
  return keys.filter((key) => Object.hasOwn(raw, key)).map((key) => ({ key, raw: raw[key] }));
}

function readStatus(raw: unknown): {
  readonly path: readonly string[];
  readonly parsed: Parsed<Settings['status'] | undefined>;
} {
  if (raw === 'off' || raw === false) return { path: ['status'], parsed: { ok: true, value: 'off' } };
  if (!isMapping(raw)) {
    const message = `${showValue(raw)} is not off or a mapping such as {listen: "0.0.0.0:8080"}`;
    return { path: ['status'], parsed: { ok: false, code: 'invalid-value', message } };
  }
  if (!Object.hasOwn(raw, 'listen') || raw['listen'] === null) {
    return { path: ['status'], parsed: { ok: true, value: undefined } };
  }
  return { path: ['status', 'listen'], parsed: parseStatusListen(raw['listen']) };
}
