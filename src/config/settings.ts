import { DEFAULT_LABEL_PREFIXES, type LabelPrefixes } from '../model/label-names.ts';
import type { Sourced } from '../model/origin.ts';
import { formatMemory } from '../model/text/memory-size.ts';
import { DEFAULT_FRONT_POLICY } from '../model/web.ts';
import {
  type GroupLimits,
  BACKEND_NAMES,
  type BackendName,
  MAX_UDP_QUEUE_TOTAL_BYTES,
  MIN_UDP_QUEUE_TOTAL_BYTES,
  RELAY_SETTINGS,
  type Settings,
} from '../model/settings.ts';
import { HIDDEN_MESSAGE, HIDDEN_SECRET, hideSecrets } from './secrets.ts';
import { parseAccessEntry } from './values/address.ts';
import { MEMORY_EXPECTED, parseMemory } from './values/memory-size.ts';
import { suggestNearest } from './values/suggest.ts';
import { DURATION_EXPECTED, formatDuration, parseDuration } from './values/duration.ts';
import { LABEL_PREFIX_EXPECTED, parseLabelPrefixes, parseLabelPrefixText } from './values/label-prefix.ts';
import { parseClusterDomain, parseKubernetesLabel, parseNamespaces } from './values/kubernetes-names.ts';
import {
  accept,
  type EnvironmentVariable,
  type Fault,
  type FormWords,
  hintAtList,
  isMapping,
  type Parsed,
  parseList,
  type Reading,
  refuse,
  showValue,
  WRONG_FORM,
} from './values/parsed.ts';
import { parseDomains } from './values/web/hosts.ts';
import {
  formatFrontListen,
  formatStatusListen,
  hintAtPlace,
  parseFrontListen,
  parseStatusListen,
} from './values/ports.ts';
import { choice, FLAG, parseChoice, parseCount, parseName } from './values/text.ts';
import { parseHostName, parseUrlHost } from './values/web/url.ts';
import { parseProxyWebhooks, WEBHOOKS } from './values/web/webhooks.ts';
import { hintAtCertificates, parseCertificates } from './values/web/web.ts';

/** What `Settings` has a mapping for. */
export const SETTING_GROUPS = ['access', 'limits', 'http', 'traefik', 'docker', 'kubernetes'] as const;
type SettingGroup = (typeof SETTING_GROUPS)[number];

/** Where a setting stands in `Settings`. */
type SettingPlace =
  | readonly [Exclude<keyof Settings, SettingGroup>]
  | readonly ['access', keyof Settings['access']]
  | readonly ['limits', keyof Settings['limits']]
  | readonly ['http', keyof Settings['http']]
  | readonly ['traefik', keyof Settings['traefik']]
  | readonly ['docker', keyof Settings['docker']]
  | readonly ['kubernetes', keyof Settings['kubernetes']];

type ValueAt<P extends SettingPlace> = P extends readonly [infer K extends keyof Settings]
  ? Settings[K]
  : P extends readonly [infer E extends SettingGroup, infer K]
    ? Settings[E][K & keyof Settings[E]]
    : never;

/** What one layer says about the settings, by their names; absent = unset. */
export type SettingsDraft = { readonly [N in SettingName]?: Sourced<unknown> };

/** All there is to know of one setting. */
export interface SettingSpec<T = unknown> extends FormWords {
  readonly place: SettingPlace;
  /**
   * Reads its value in the file and tells all its mistakes at once. It is silent about a wrong form, which the schema
   * tells.
   */
  readonly parse: (raw: unknown) => Reading<T>;
  /** Where the file has a mapping, the key in it that holds the value. */
  readonly inner?: FormWords & Pick<SettingSpec<T>, 'parse'> & { readonly key: string };
  /** The value when no layer sets it. */
  readonly builtIn: T;
  readonly flag?: keyof SettingsFlags;
  /** The first one that is set counts. */
  readonly variables?: readonly EnvironmentVariable[];
  /**
   * Makes the value from what flag or variable gives and the file's value; absent = flag and variable replace the
   * file's.
   */
  readonly combine?: (above: unknown, file: T | undefined) => T;
  /** Whether a running proxy keeps the value that it started with, until its next start. */
  readonly fixed?: true;
  /** The value as the file writes it; absent = as it is. */
  readonly format?: (value: T) => unknown;
}

/** The environment variable of `status.token`. */
export const TOKEN_VARIABLE = 'LAZY_PROXY_TOKEN';

/** Process-wide settings given on the command line; absent = not given. */
export interface SettingsFlags {
  readonly backend?: BackendName | undefined;
  readonly dockerSocket?: string | undefined;
  /** Of every engine, as the prefix. */
  readonly labels?: boolean | undefined;
  readonly labelPrefix?: LabelPrefixes | undefined;
  /** 0 = off. */
  readonly statusPort?: number | undefined;
}

/** A flag of the command line. */
export interface FlagSpec {
  readonly flag: string;
  /** What its value is called; absent = it has none. */
  readonly value?: string;
  readonly description: string;
  readonly choices?: readonly string[];
  /** Reads its text; absent = the text as it is. */
  readonly parse?: (text: string) => Parsed<unknown>;
  /** What `parse` takes, for messages; absent = `parse` itself says what is wrong. */
  readonly expected?: string;
}

const PORT_EXPECTED = 'a port from 1 to 65535, or 0 for off';

/** The flags of the settings, in the order of the help. */
export const FLAGS: { readonly [F in keyof SettingsFlags]-?: FlagSpec } = {
  backend: {
    flag: '--backend',
    value: 'name',
    choices: BACKEND_NAMES,
    description: 'whose workloads are served',
  },
  dockerSocket: {
    flag: '--docker-socket',
    value: 'path',
    description: 'socket or URL of the Docker engine',
  },
  labels: {
    flag: '--no-labels',
    description: 'leave the labels of containers, and the annotations of Kubernetes workloads, out',
  },
  labelPrefix: {
    flag: '--label-prefix',
    value: 'prefixes',
    parse: parseLabelPrefixText,
    description:
      'what labels and annotations begin with; several with commas between them, the first counts first',
  },
  statusPort: {
    flag: '--status-port',
    value: 'port',
    parse: parseStatusPort,
    expected: PORT_EXPECTED,
    description: 'port of the status server; 0 = off',
  },
};

const STATUS_EXPECTED = 'off or a mapping such as {listen: "0.0.0.0:8080"}';
const TOKEN_EXPECTED = 'a token of letters, digits and signs, without spaces';
const FILE_EXPECTED = 'an absolute path such as /run/secrets/lazy_proxy_token';
const RELAY = choice(RELAY_SETTINGS);
const IGNORED = 'it is ignored';
const LABELS = { ...FLAG, flag: 'labels', builtIn: true } as const;
const LABEL_PREFIX = {
  expected: LABEL_PREFIX_EXPECTED,
  parse: parseLabelPrefixes,
  flag: 'labelPrefix',
  builtIn: DEFAULT_LABEL_PREFIXES,
  format: (prefixes: LabelPrefixes) => (prefixes.length === 1 ? prefixes[0] : prefixes),
} as const;
const SOCKET_EXPECTED = 'an absolute path or a unix://, tcp://, http:// or https:// URL';
const FOLDER_EXPECTED = 'an absolute path such as /var/lib/lazy-proxy, or off';
const PROXY_HOST_EXPECTED = 'a host name or an address, without a port';
const TRAEFIK_NAME_EXPECTED = 'a name of Traefik\'s such as websecure, or "" for none';
const FRONT_PLACES = {
  expected: '[address:]port such as "80", or [] for none',
  parse: parseFrontListen,
  builtIn: [],
  format: formatFrontListen,
} as const;
const BYTES_EXPECTED = `a whole number of bytes from ${MIN_UDP_QUEUE_TOTAL_BYTES} to ${MAX_UDP_QUEUE_TOTAL_BYTES}`;
const STARTING_EXPECTED = 'a whole number of at least 1, or auto';
const MIN_LEASE_DURATION_MS = 3_000;

/**
 * Every process-wide setting by its path in the file, in the order in which it is printed. Reading, environment, flags,
 * precedence, printing, the keys that the schema has, and what waits for a restart derive from this table.
 */
export const SETTINGS = {
  status: setting(['status'], {
    expected: STATUS_EXPECTED,
    parse: parseStatusOff,
    inner: {
      key: 'listen',
      expected: '[address:]port such as "0.0.0.0:8080"',
      parse: parseStatusListen,
    },
    builtIn: { address: '', port: 8080 },
    flag: 'statusPort',
    // The first is lazy-tcp-proxy's newer name.
    variables: ['WEB_PORT', 'STATUS_PORT'].map((name) => ({
      name,
      parse: parseStatusPort,
      otherwise: 'what the file says applies, or else the default of 8080',
    })),
    combine: placeStatus,
    fixed: true,
    format: (status) => (status === 'off' ? status : { listen: formatStatusListen(status) }),
  }),
  'status.token': setting(['access', 'token'], {
    expected: TOKEN_EXPECTED,
    parse: parseToken,
    builtIn: undefined,
    variables: [{ name: TOKEN_VARIABLE, parse: parseToken, otherwise: IGNORED }],
    secret: 'all',
  }),
  'status.token_file': setting(['access', 'tokenFile'], {
    expected: FILE_EXPECTED,
    parse: parseTokenFile,
    builtIn: undefined,
  }),
  'status.protect': setting(['access', 'protect'], { ...FLAG, builtIn: false }),
  'status.show_output': setting(['access', 'showOutput'], { ...FLAG, builtIn: false }),
  'status.allowed_hosts': setting(['access', 'allowedHosts'], {
    expected: '[] for none',
    formHint: hintAtList,
    parse: (raw) => parseList(raw, parseHostName),
    builtIn: [],
  }),
  backend: setting(['backend'], {
    expected: BACKEND_NAMES.join(' or '),
    parse: parseBackend,
    builtIn: 'docker',
    flag: 'backend',
    variables: [{ name: 'LAZY_PROXY_BACKEND', parse: parseBackend, otherwise: IGNORED }],
  }),
  relay: setting(['relay'], {
    ...RELAY,
    builtIn: 'auto',
    variables: [{ name: 'LAZY_PROXY_RELAY', parse: RELAY.parse, otherwise: IGNORED }],
    fixed: true,
  }),
  udp_queue_total: setting(['udpQueueTotalBytes'], {
    expected: BYTES_EXPECTED,
    parse: parseQueueTotal,
    builtIn: 33_554_432,
    fixed: true,
  }),
  max_starting: setting(['maxStarting'], {
    expected: STARTING_EXPECTED,
    parse: parseMaxStarting,
    builtIn: 'auto',
  }),
  'limits.max_awake': setting(['limits', 'maxAwake'], {
    expected: 'a whole number of at least 1',
    parse: (raw) => parseCount(raw, { max: 1_000_000 }),
    builtIn: undefined,
  }),
  'limits.memory': setting(['limits', 'memoryBytes'], {
    expected: MEMORY_EXPECTED,
    parse: parseMemory,
    builtIn: undefined,
    format: (bytes) => bytes && formatMemory(bytes),
  }),
  groups: setting(['groups'], {
    expected: '{} for none',
    itemKeys: ['max_awake'],
    formHint: (raw, rest = []) =>
      typeof raw === 'number' && rest.length === 1 ? `; write {max_awake: ${raw}}` : '',
    parse: parseGroups,
    builtIn: {},
    format: (groups) =>
      Object.fromEntries(
        Object.entries(groups).map(([name, { maxAwake }]) => [name, { max_awake: maxAwake }]),
      ),
  }),
  webhooks: setting(['webhooks'], { ...WEBHOOKS, parse: parseProxyWebhooks, builtIn: [] }),
  trusted_proxies: setting(['trustedProxies'], {
    expected: '[] for nobody',
    formHint: hintAtList,
    parse: (raw) => parseList(raw, parseAccessEntry),
    builtIn: [],
  }),
  'http.listen': setting(['http', 'listen'], FRONT_PLACES),
  'http.https': setting(['http', 'https'], FRONT_PLACES),
  'http.certificates': setting(['http', 'certificates'], {
    ...{ expected: '[] for none', formHint: hintAtCertificates, itemKeys: ['cert', 'key'] },
    parse: parseCertificates,
    builtIn: DEFAULT_FRONT_POLICY.certificates,
  }),
  'http.self_signed_domains': setting(['http', 'selfSignedDomains'], {
    ...{ expected: '[] for none', formHint: hintAtList, parse: parseDomains },
    builtIn: DEFAULT_FRONT_POLICY.selfSignedDomains,
  }),
  'http.redirect': setting(['http', 'redirect'], { ...FLAG, builtIn: DEFAULT_FRONT_POLICY.redirect }),
  'http.accept_proxy_protocol': setting(['http', 'acceptProxyProtocol'], {
    ...FLAG,
    builtIn: DEFAULT_FRONT_POLICY.acceptProxyProtocol,
  }),
  'traefik.proxy_host': setting(['traefik', 'proxyHost'], {
    expected: PROXY_HOST_EXPECTED,
    parse: parseProxyHost,
    builtIn: undefined,
    variables: [{ name: 'TRAEFIK_PROXY_HOST', parse: parseProxyHost, otherwise: IGNORED }],
  }),
  'traefik.entrypoint': setting(['traefik', 'entryPoint'], {
    ...{ expected: TRAEFIK_NAME_EXPECTED, parse: parseTraefikName, builtIn: 'websecure' },
    variables: [
      { name: 'TRAEFIK_ENTRYPOINT', parse: parseTraefikName, otherwise: IGNORED, emptyCounts: true },
    ],
  }),
  'traefik.cert_resolver': setting(['traefik', 'certResolver'], {
    ...{ expected: TRAEFIK_NAME_EXPECTED, parse: parseTraefikName, builtIn: 'myresolver' },
    variables: [
      { name: 'TRAEFIK_CERTRESOLVER', parse: parseTraefikName, otherwise: IGNORED, emptyCounts: true },
    ],
  }),
  state_dir: setting(['stateDir'], {
    expected: FOLDER_EXPECTED,
    parse: parseStateDir,
    builtIn: '/var/lib/lazy-proxy',
    variables: [{ name: 'LAZY_PROXY_STATE_DIR', parse: parseStateDir, otherwise: IGNORED }],
    fixed: true,
  }),
  'docker.socket': setting(['docker', 'socket'], {
    expected: SOCKET_EXPECTED,
    parse: parseSocket,
    builtIn: '/var/run/docker.sock',
    flag: 'dockerSocket',
    variables: [
      { name: 'DOCKER_SOCK', parse: parseClientSocket, otherwise: IGNORED },
      { name: 'DOCKER_HOST', parse: parseClientSocket, otherwise: IGNORED },
    ],
    fixed: true,
    secret: 'user',
  }),
  'docker.labels': setting(['docker', 'labels'], LABELS),
  'docker.image_labels': setting(['docker', 'imageLabels'], { ...FLAG, builtIn: true }),
  'docker.label_prefix': setting(['docker', 'labelPrefixes'], LABEL_PREFIX),
  'docker.join_networks': setting(['docker', 'joinNetworks'], { ...FLAG, builtIn: true }),
  'docker.label_urls': setting(['docker', 'labelUrls'], {
    expected: '[] for none',
    formHint: hintAtList,
    parse: (raw) => parseList(raw, parseUrlHost),
    builtIn: [],
  }),
  'kubernetes.namespaces': setting(['kubernetes', 'namespaces'], {
    expected: '[] for all',
    formHint: hintAtList,
    parse: parseNamespaceList,
    builtIn: [],
    variables: [{ name: 'K8S_NAMESPACE', parse: parseNamespaces, otherwise: IGNORED }],
    fixed: true,
  }),
  'kubernetes.labels': setting(['kubernetes', 'labels'], LABELS),
  'kubernetes.label_prefix': setting(['kubernetes', 'labelPrefixes'], LABEL_PREFIX),
  'kubernetes.discover': setting(['kubernetes', 'discover'], {
    ...choice(['all', 'labelled']),
    builtIn: 'all',
    fixed: true,
  }),
  'kubernetes.cluster_domain': setting(['kubernetes', 'clusterDomain'], {
    expected: 'a domain such as cluster.local',
    parse: parseClusterDomain,
    builtIn: 'cluster.local',
    fixed: true,
  }),
  'kubernetes.lease_duration': setting(['kubernetes', 'leaseDurationMs'], {
    expected: DURATION_EXPECTED,
    parse: parseLeaseDuration,
    builtIn: 15_000,
    fixed: true,
    format: formatDuration,
  }),
  'kubernetes.lease_namespace': setting(['kubernetes', 'leaseNamespace'], {
    expected: 'a namespace',
    parse: parseKubernetesLabel,
    builtIn: undefined,
    fixed: true,
  }),
};

/** A setting's path in the file. */
export type SettingName = keyof typeof SETTINGS;

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** The keys that a mapping of settings takes in the file, `''` for the top, in the order in which they are printed. */
export function settingKeys(group: string): readonly string[] {
  const keys = SETTING_NAMES.flatMap((name) => {
    const { inner }: SettingSpec = SETTINGS[name];
    const path = [...name.split('.'), ...(inner === undefined ? [] : [inner.key])];
    if (group === '') return path.slice(0, 1);
    return path[0] === group ? path.slice(1) : [];
  });
  return [...new Set(keys)];
}

/** The value of a setting. */
export function settingValue(settings: Settings, name: SettingName): unknown {
  const { place }: SettingSpec = SETTINGS[name];
  let value: unknown = settings;
  for (const key of place) value = (value as Readonly<Record<string, unknown>>)[key];
  return value;
}

/** Every setting that there is something to say of, with its value as the file writes it. */
export function listSettings(
  settings: Settings,
  { showSecrets }: { readonly showSecrets: boolean },
): readonly { readonly name: SettingName; readonly value: unknown }[] {
  return SETTING_NAMES.flatMap((name) => {
    const { place, secret, format = (value: unknown) => value }: SettingSpec = SETTINGS[name];
    const value = settingValue(settings, name);
    // What goes with the status server stands in its mapping, which there is only where it is on.
    if (value === undefined || (place[0] === 'access' && settings.status === 'off')) return [];
    const written = format(value);
    return [{ name, value: showSecrets ? written : hideSecrets(written, secret) }];
  });
}

/** A row of the table; the place decides the type of the value. */
function setting<const P extends SettingPlace>(
  place: P,
  spec: Omit<SettingSpec<ValueAt<P>>, 'place'>,
): SettingSpec {
  return { place, ...spec } as SettingSpec;
}

function parseStatusOff(raw: unknown): Parsed<'off'> {
  if (raw === 'off' || raw === false) return accept('off');
  return refuse('invalid-value', `${showValue(raw)} is not ${STATUS_EXPECTED}${hintAtPlace('status', raw)}`);
}

function parseStatusPort(text: string): Parsed<number> {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return accept(Number(text));
  return refuse('invalid-port', `${showValue(text)} is not ${PORT_EXPECTED}`);
}

/**
 * Flag and variable give a port and keep the file's address: a server that the file binds to localhost must not be
 * opened to the world.
 */
function placeStatus(port: unknown, file: Settings['status'] | undefined): Settings['status'] {
  if (port === 0) return 'off';
  const address = file === undefined || file === 'off' ? '' : file.address;
  return { address, port: port as number };
}

/** Engines that people look for under their own names. */
const SERVED_BY_DOCKER: ReadonlySet<string> = new Set(['podman', 'swarm']);

function parseBackend(raw: unknown): Parsed<BackendName> {
  const parsed = parseChoice(raw, BACKEND_NAMES);
  if (parsed.ok || typeof raw !== 'string') return parsed;
  const remedy = SERVED_BY_DOCKER.has(raw) ? '; write docker' : suggestNearest(raw, BACKEND_NAMES);
  return refuse(parsed.code, `${parsed.message}${remedy}`);
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

/** Reads the groups by their names. It is silent about a missing key, and one too many, which the schema tells. */
function parseGroups(raw: unknown): Reading<Settings['groups']> {
  if (!isMapping(raw)) return WRONG_FORM;
  const groups: [string, GroupLimits][] = [];
  let isWhole = true;
  const faults: Fault[] = [];
  for (const [name, group] of Object.entries(raw)) {
    const parsedName = parseName(name);
    if (!parsedName.ok) faults.push({ code: parsedName.code, path: [name], message: parsedName.message });
    const given = isMapping(group) ? group['max_awake'] : undefined;
    isWhole &&= isMapping(group) && Object.keys(group).length === 1 && (given ?? null) !== null;
    if (!isWhole) continue;
    const parsed = parseCount(given, { max: 1_000_000 });
    if (parsed.ok) groups.push([name, { maxAwake: parsed.value }]);
    else faults.push({ code: parsed.code, path: [name, 'max_awake'], message: parsed.message });
  }
  return faults.length === 0 && isWhole ? accept(Object.fromEntries(groups)) : { ok: false, faults };
}

function parseSocket(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && /^(\/|(unix|tcp|http|https):\/\/)\S/.test(raw)) return accept(raw);
  // What is no URL, since its scheme is mistyped, may hold a password all the same.
  const isMistyped = typeof raw === 'string' && !raw.includes('://');
  const shown = showValue(isMistyped ? raw.replace(/^.*@/s, `${HIDDEN_SECRET}@`) : raw);
  return refuse('invalid-value', `${shown} is not ${SOCKET_EXPECTED}`);
}

/**
 * Takes also what only Docker's own client can use: the start refuses it then. If it were ignored here, the proxy would
 * use another engine than the one that was named.
 */
function parseClientSocket(text: string): Parsed<string> {
  return /^(ssh|npipe):\/\/\S/.test(text) ? accept(text) : parseSocket(text);
}

/** An empty one counts as unset. It goes into a header, and no message shows it. */
function parseToken(raw: unknown): Parsed<string | undefined> {
  if (raw === '') return accept(undefined);
  if (raw === HIDDEN_SECRET) return refuse('invalid-value', HIDDEN_MESSAGE);
  if (typeof raw === 'string' && /^[\x21-\x7e]+$/.test(raw)) return accept(raw);
  return refuse('invalid-value', `what is given is not ${TOKEN_EXPECTED}; openssl rand -hex 24 makes one`);
}

function parseTokenFile(raw: unknown): Parsed<string | undefined> {
  if (raw === '') return accept(undefined);
  if (typeof raw === 'string' && raw.startsWith('/')) return accept(raw);
  // It may be the token itself.
  return refuse('invalid-value', `what is given is not ${FILE_EXPECTED}`);
}

function parseProxyHost(raw: unknown): Parsed<string> {
  const address = parseAccessEntry(raw);
  if (address.ok && !address.value.includes('/')) return address;
  const name = parseHostName(raw);
  return name.ok ? name : refuse('invalid-address', `${showValue(raw)} is not ${PROXY_HOST_EXPECTED}`);
}

function parseTraefikName(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && /^([\w.-]+(@[\w-]+)?)?$/.test(raw)) return accept(raw);
  return refuse('invalid-value', `${showValue(raw)} is not ${TRAEFIK_NAME_EXPECTED}`);
}

function parseStateDir(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && /^(\/[^\0]*|off)$/.test(raw)) return accept(raw);
  return refuse('invalid-value', `${showValue(raw)} is not ${FOLDER_EXPECTED}`);
}

function parseNamespaceList(raw: unknown): Reading<readonly string[]> {
  const result = parseList(raw, parseKubernetesLabel);
  return result.ok ? accept([...new Set(result.value)]) : result;
}

function parseLeaseDuration(raw: unknown): Parsed<number> {
  const parsed = parseDuration(raw);
  if (!parsed.ok || parsed.value >= MIN_LEASE_DURATION_MS) return parsed;
  const message = `${showValue(raw)} is less than 3s, the least that is safe; the default is 15s`;
  return refuse('invalid-duration', message);
}
