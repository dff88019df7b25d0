import { DURATION_EXPECTED, parseDuration } from './values/duration.ts';
import { type FieldResult, noValue, wrapParsed } from './values/field-result.ts';
import { parseClusterDomain, parseKubernetesLabel } from './values/kubernetes-names.ts';
import { parseList } from './values/parse-collection.ts';
import { accept, type Parsed, refuse, showValue } from './values/parsed.ts';
import type { KUBERNETES_KEYS } from './read-settings.ts';
import { parseChoice, parseFlag } from './values/text.ts';

const MIN_LEASE_DURATION_MS = 3_000;
/** What can begin the key of an annotation or label, before the dot. */
const PREFIX = /^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$/;

type KubernetesKey = (typeof KUBERNETES_KEYS)[number];

/** What each value looks like, for messages about a missing one. */
const EXPECTED: Readonly<Record<KubernetesKey, string>> = {
  namespaces: '[] for all',
  labels: 'true or false',
  label_prefix: 'a prefix such as lazy-tcp-proxy',
  discover: 'all or labelled',
  cluster_domain: 'a domain such as cluster.local',
  lease_duration: DURATION_EXPECTED,
  lease_namespace: 'a namespace',
};

/** Reads one value under `kubernetes:`; all mistakes in it at once. */
export function parseKubernetesSetting(key: KubernetesKey, raw: unknown): FieldResult<unknown> {
  if (raw === null) return noValue(EXPECTED[key]);
  switch (key) {
    case 'namespaces':
      return parseNamespaceList(raw);
    case 'labels':
      return wrapParsed(parseFlag(raw));
    case 'label_prefix':
      return wrapParsed(parsePrefix(raw));
    case 'discover':
      return wrapParsed(parseChoice(raw, ['all', 'labelled']));
    case 'cluster_domain':
      return wrapParsed(parseClusterDomain(raw));
    case 'lease_duration':
      return wrapParsed(parseLeaseDuration(raw));
    case 'lease_namespace':
      return wrapParsed(parseKubernetesLabel(raw));
  }
}

function parseNamespaceList(raw: unknown): FieldResult<readonly string[]> {
  const result = parseList(raw, parseKubernetesLabel);
  return result.ok ? { ok: true, value: [...new Set(result.value)] } : result;
}

function parsePrefix(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && PREFIX.test(raw)) return accept(raw);
  return refuse('invalid-value', `${showValue(raw)} is not a prefix such as lazy-tcp-proxy`);
}

function parseLeaseDuration(raw: unknown): Parsed<number> {
  const parsed = parseDuration(raw);
  if (!parsed.ok || parsed.value >= MIN_LEASE_DURATION_MS) return parsed;
  return refuse(
    'invalid-duration',
    `${showValue(raw)} is less than 3s, the least that is safe; the default is 15s`,
  );
}
