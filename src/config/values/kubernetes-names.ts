import { accept, type Parsed, refuse, showValue } from './parsed.ts';

const MAX_LABEL_CHARACTERS = 63;
const MAX_SUBDOMAIN_CHARACTERS = 253;
const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const WITH_LETTER = /[a-z]/;
const CHARACTERS = 'lower case letters, digits and "-"';

/** What the name of a namespace or Service looks like, for messages. */
export const LABEL_EXPECTED = `a name of ${CHARACTERS}, at most ${MAX_LABEL_CHARACTERS} characters`;

/** What the name of a Deployment or StatefulSet looks like, for messages. */
export const WORKLOAD_EXPECTED = `name or namespace/name, of ${CHARACTERS}, such as db or shop/db`;

/** Reads the name of a namespace or Service: a DNS-1123 label. */
export function parseKubernetesLabel(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && isKubernetesLabel(raw)) return accept(raw);
  return notText(raw) ?? refuse('invalid-value', `${showValue(raw)} is not ${LABEL_EXPECTED}`);
}

/** Reads `name` or `namespace/name` of a Deployment or StatefulSet. */
export function parseKubernetesWorkload(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && isKubernetesWorkload(raw)) return accept(raw);
  return notText(raw) ?? refuse('invalid-value', `${showValue(raw)} is not ${WORKLOAD_EXPECTED}`);
}

/** Reads one namespace, or several with commas between them. */
export function parseNamespaces(text: string): Parsed<readonly string[]> {
  const items = text.split(',').map((item) => item.trim());
  const names = items.filter((item) => item !== '');
  for (const name of names) {
    const parsed = parseKubernetesLabel(name);
    if (!parsed.ok) return parsed;
  }
  if (names.length === 0) return refuse('invalid-value', `${showValue(text)} names no namespace`);
  return accept([...new Set(names)]);
}

/** Reads what the names of Services end in, such as `cluster.local`. */
export function parseClusterDomain(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && isSubdomain(raw)) return accept(raw);
  return notText(raw) ?? refuse('invalid-value', `${showValue(raw)} is not a domain such as cluster.local`);
}

/** Whether a text is `name` or `namespace/name` as Kubernetes names workloads. */
export function isKubernetesWorkload(text: string): boolean {
  const [first = '', second, ...rest] = text.split('/');
  if (rest.length > 0) return false;
  return second === undefined ? isSubdomain(first) : isKubernetesLabel(first) && isSubdomain(second);
}

/** Whether a text can be the name of a Service's port and is no number. */
export function isPortName(text: string): boolean {
  return isKubernetesLabel(text) && WITH_LETTER.test(text);
}

function isKubernetesLabel(text: string): boolean {
  return text.length <= MAX_LABEL_CHARACTERS && LABEL.test(text);
}

function isSubdomain(text: string): boolean {
  return text.length <= MAX_SUBDOMAIN_CHARACTERS && SUBDOMAIN.test(text);
}

function notText(raw: unknown): Parsed<never> | undefined {
  return typeof raw === 'number' ? refuse('wrong-type', `${raw} is not text; write "${raw}"`) : undefined;
}
