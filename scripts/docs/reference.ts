/**
 * Input: FIELDS, SETTINGS and the descriptions of the schema. Output: the reference tables of the documentation.
 * Guarantees: pure. The first sentence of a description goes into a table, the others into the list below it.
 */
import schema from '../../schema/lazy-proxy.schema.json' with { type: 'json' };
import { ENVIRONMENT_VARIABLES } from '../../src/config/environment.ts';
import {
  FIELD_NAMES,
  type FieldName,
  fieldSpec,
  isDuration,
  labelSuffix,
  secsKey,
} from '../../src/config/fields.ts';
import {
  FLAGS,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  type SettingSpec,
} from '../../src/config/settings.ts';
import { PROXY_FAMILIES, SERVICE_FAMILIES } from '../../src/status/metrics/families.ts';

const METRIC_GROUPS = [
  { title: 'The proxy', families: PROXY_FAMILIES, common: [] },
  {
    title: 'A service',
    families: SERVICE_FAMILIES.filter(({ labels }) => !labels.includes('listener')),
    common: ['service'],
  },
  {
    title: 'A listener',
    families: SERVICE_FAMILIES.filter(({ labels }) => labels.includes('listener')),
    common: ['service', 'listener'],
  },
] as const;

/** A group goes from its first field to the next group's, so that a new field has one by its place in FIELDS. */
const FIELD_GROUPS: readonly { readonly title: string; readonly first: FieldName }[] = [
  { title: 'What is started', first: 'container' },
  { title: 'Kubernetes', first: 'service_name' },
  { title: 'Local processes', first: 'command' },
  { title: 'Ports and who may connect', first: 'ports' },
  { title: 'Web services', first: 'http_ports' },
  { title: 'Times', first: 'idle_timeout' },
  { title: 'Readiness and events', first: 'http_healthcheck' },
  { title: 'Dependants', first: 'dependants' },
  { title: 'Schedules', first: 'availability' },
  { title: 'Bounds', first: 'max_pending' },
  { title: 'UDP', first: 'udp_readiness' },
  { title: 'Data and labels', first: 'allow_data_loss' },
];
const SETTING_GROUPS = [
  { title: 'The proxy itself', group: '' },
  { title: 'How much may be awake', group: 'limits' },
  { title: 'Who may ask the status server', group: 'status' },
  { title: 'Front doors', group: 'http' },
  { title: 'What Traefik is told', group: 'traefik' },
  { title: 'Docker, Podman and Swarm', group: 'docker' },
  { title: 'Settings for Kubernetes', group: 'kubernetes' },
] as const;

/** What the variables are for that no field is the default of. */
const VARIABLES: Readonly<Record<string, { readonly default?: string; readonly meaning: string }>> = {
  WEB_PORT: { meaning: 'Port of the status server. It comes before `STATUS_PORT`.' },
  STATUS_PORT: { default: '8080', meaning: 'Port of the status server. `0` turns it off.' },
  LAZY_PROXY_TOKEN: { meaning: '`status.token`: what who changes something by the API has to show.' },
  LAZY_PROXY_BACKEND: { meaning: '`backend`: `docker` or `kubernetes`.' },
  LAZY_PROXY_RELAY: { meaning: '`relay`: `auto`, `splice` or `stream`.' },
  TRAEFIK_PROXY_HOST: {
    meaning:
      '`traefik.proxy_host`: by which Traefik reaches the proxy. Unset, it is the name by which Traefik has asked.',
  },
  TRAEFIK_ENTRYPOINT: {
    default: 'websecure',
    meaning: "`traefik.entrypoint`: Traefik's entry point. Set and empty, it is left out.",
  },
  TRAEFIK_CERTRESOLVER: {
    default: 'myresolver',
    meaning: "`traefik.cert_resolver`: Traefik's resolver. Set and empty, it is left out.",
  },
  LAZY_PROXY_STATE_DIR: {
    default: '/var/lib/lazy-proxy',
    meaning: '`state_dir`: the folder of what the proxy keeps across restarts, or `off`.',
  },
  DOCKER_SOCK: {
    default: '/var/run/docker.sock',
    meaning: "Path or URL of the engine's socket. It comes before `DOCKER_HOST`.",
  },
  DOCKER_HOST: {
    meaning:
      'The engine, as for every Docker client. `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` count as well.',
  },
  K8S_NAMESPACE: { meaning: '`kubernetes.namespaces`, separated by commas.' },
  KUBERNETES_SERVICE_HOST: {
    meaning:
      'Kubernetes sets it in every pod. Then `backend` is `kubernetes`, unless `DOCKER_SOCK` or `DOCKER_HOST` is set or you name another one.',
  },
  POLL_INTERVAL_SECS: {
    default: 'never',
    meaning:
      'How often the proxy asks for the state of all containers. The events of the engine tell it anyway; this is a safety net. Idle timers are exact without it.',
  },
  LOG_LEVEL: {
    default: 'info',
    meaning: '`fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`.',
  },
  LOG_FORMAT: { default: 'pretty', meaning: '`pretty` or `json`.' },
  LOG_TIME: {
    meaning:
      'How a readable line begins: `time`, or `datetime` with date and zone. Default: `time` on a terminal, else `datetime`.',
  },
  NO_COLOR: { meaning: 'Any value turns colours off.' },
  LAZY_PROXY_CONFIG: { meaning: 'Path of the configuration file.' },
  CONFIG_PATH: {
    meaning:
      'The same, for a file that may be made later. `LAZY_PROXY_CONFIG` comes first. Until the file is there, labels alone count.',
  },
};

const LINE_WIDTH = 120;
/** In a table; of the fields, `ports` has the longest. */
const MAX_EXAMPLE_CHARACTERS = 42;

interface SchemaNode {
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
}
const ROOT: SchemaNode = schema as SchemaNode;
const SERVICE: SchemaNode = schema.definitions.service as SchemaNode;

/** What a page may have between its markers, by the marker's name. */
export function renderReference(): Readonly<Record<string, string>> {
  return {
    fields: FIELD_GROUPS.map(renderFieldGroup).join('\n\n'),
    settings: [...SETTING_GROUPS.map(renderSettingGroup), renderFixed()].join('\n\n'),
    labels: renderLabels(),
    variables: renderVariables(),
    metrics: METRIC_GROUPS.map(renderMetricGroup).join('\n\n'),
  };
}

/** The page with what its markers enclose, such as `<!-- generated: fields -->` … `<!-- end -->`, made anew. */
export function fillPage(page: string, sections: Readonly<Record<string, string>>): string {
  return page.replaceAll(
    /(<!-- generated: ([a-z]+) -->\n).*?(<!-- end -->)/gs,
    (_, begin: string, name: string, end: string) => {
      const section = sections[name];
      if (section === undefined) throw new Error(`there is nothing to generate that is called "${name}"`);
      return `${begin}\n${section}\n\n${end}`;
    },
  );
}

function renderMetricGroup({ title, families, common }: (typeof METRIC_GROUPS)[number]): string {
  const names: readonly string[] = common;
  const rows = families.map(({ name, type, help, labels }) => {
    const own = labels.filter((label) => !names.includes(label)).map((label) => `\`${label}\``);
    return [`\`${name}\``, type, own.join(', '), help];
  });
  const all = names.map((name) => `\`${name}\``).join(' and ');
  const note = names.length === 0 ? '' : `All have the label${names.length > 1 ? 's' : ''} ${all}.\n\n`;
  return `### ${title}\n\n${note}${renderTable(['metric', 'type', 'labels', 'what it tells'], rows)}`;
}

function renderFieldGroup({ title, first }: (typeof FIELD_GROUPS)[number], index: number): string {
  const next = FIELD_GROUPS[index + 1]?.first;
  const end = next === undefined ? FIELD_NAMES.length : FIELD_NAMES.indexOf(next);
  const fields = FIELD_NAMES.slice(FIELD_NAMES.indexOf(first), end);
  const rows = fields.map((field) => {
    const { label, inDefaults } = fieldSpec(field);
    return [
      code(field),
      printFieldDefault(field),
      yes(label),
      yes(inDefaults),
      summaryOf(describeField(field)),
    ];
  });
  return renderGroup({
    title,
    head: ['field', 'default', 'label', '`defaults:`', 'meaning'],
    rows,
    details: fields.map((field) => renderDetails(field, describeField(field), printFieldDefault(field))),
  });
}

function renderSettingGroup({ title, group }: (typeof SETTING_GROUPS)[number]): string {
  const names = SETTING_NAMES.filter((name) => (name.includes('.') ? name.split('.')[0] : '') === group);
  const rows = names.map((name) => {
    const { flag }: SettingSpec = SETTINGS[name];
    const shownFlag = flag === undefined ? '' : code(FLAGS[flag].flag);
    return [code(keyOf(name)), printSettingDefault(name), shownFlag, summaryOf(describeSetting(name))];
  });
  return renderGroup({
    title,
    head: ['key', 'default', 'flag', 'meaning'],
    rows,
    details: names.map((name) =>
      renderDetails(keyOf(name), describeSetting(name), printSettingDefault(name)),
    ),
  });
}

function renderFixed(): string {
  const fixed = SETTING_NAMES.filter((name) => (SETTINGS[name] as SettingSpec).fixed === true).map(
    (name) => `- ${code(keyOf(name))}`,
  );
  return `### What waits for a restart\n\nThe proxy reads these when it starts. A change of one is a warning in the log and at \`/problems\`.\n\n${fixed.join('\n')}`;
}

function renderLabels(): string {
  const fields = FIELD_NAMES.filter((field) => fieldSpec(field).label);
  const rows = fields.flatMap((field) =>
    (fieldSpec(field).labelParts ?? ['']).map((part) => {
      const node = part === '' ? nodeOf(SERVICE, field) : nodeOf(nodeOf(SERVICE, field), part);
      const [example] = node.examples ?? [];
      const shown = Array.isArray(example) ? example.slice(0, 2).join(', ') : String(example);
      const meaning = part === '' ? describeField(field) : descriptionOf(node, part);
      const name = part === '' ? field : `${field}_${part}`;
      return [code(labelSuffix(name)), code(shorten(shown)), summaryOf(meaning)];
    }),
  );
  const table = renderTable(
    ['label', 'example', 'meaning'],
    [
      [code('enabled'), code('true'), 'Opts in. Upper and lower case are the same; nothing else opts in.'],
      ...rows,
    ],
  );
  const seconds = fields.filter(isDuration).map((field) => code(labelSuffix(secsKey(field))));
  return `${table}\n\n${wrap(`These take a bare number of seconds instead, such as \`300\`: ${seconds.join(', ')}.`)}`;
}

function shorten(example: string): string {
  return example.length > MAX_EXAMPLE_CHARACTERS
    ? `${example.slice(0, MAX_EXAMPLE_CHARACTERS - 1)}…`
    : example;
}

function renderVariables(): string {
  const variables = ENVIRONMENT_VARIABLES.map((name) => ({ name, ...describeVariable(name) }));
  const rows = variables.map((variable) => [
    code(variable.name),
    variable.default === undefined ? '' : code(variable.default),
    summaryOf(variable.meaning),
  ]);
  const details = variables.flatMap(({ name, meaning }) => renderDetails(name, meaning) ?? []);
  return `${renderTable(['variable', 'default', 'meaning'], rows)}\n\n${details.join('\n')}`;
}

function describeVariable(name: string): (typeof VARIABLES)[string] {
  const field = FIELD_NAMES.find((one) => fieldSpec(one).variable?.name === name);
  const words = VARIABLES[name];
  if (field === undefined && words === undefined)
    throw new Error(`scripts/docs/reference.ts does not say what ${name} is for`);
  if (field === undefined) return words as (typeof VARIABLES)[string];
  const { builtIn } = fieldSpec(field);
  // Variables give durations in seconds.
  return isDuration(field)
    ? { default: String((builtIn as number) / 1_000), meaning: `Default of \`${field}\`, in seconds.` }
    : { default: String(builtIn), meaning: `Default of \`${field}\`.` };
}

function describeField(field: FieldName): string {
  return descriptionOf(nodeOf(SERVICE, field), field);
}

function describeSetting(name: SettingName): string {
  const node = keyOf(name)
    .split('.')
    .reduce((parent, key) => nodeOf(parent, key), ROOT);
  return descriptionOf(node, name);
}

/** A setting's path in the file down to the value itself. */
function keyOf(name: SettingName): string {
  const { inner }: SettingSpec = SETTINGS[name];
  return inner === undefined ? name : `${name}.${inner.key}`;
}

function nodeOf(parent: SchemaNode, key: string): SchemaNode {
  const node = parent.properties?.[key];
  if (node === undefined) throw new Error(`the schema has no "${key}"`);
  return node;
}

function descriptionOf({ description }: SchemaNode, name: string): string {
  if (description === undefined) throw new Error(`the schema does not describe "${name}"`);
  return description;
}

function sentencesOf(description: string): readonly string[] {
  return description.split(/(?<=\.) (?=[A-Z`])/);
}

function summaryOf(description: string): string {
  return sentencesOf(description)[0] ?? '';
}

/** The sentences that the table has no room for; undefined where there are none. */
function renderDetails(name: string, description: string, shownDefault = ''): string | undefined {
  const sentences = sentencesOf(description)
    .slice(1)
    .filter((sentence) => sentence !== `Default: ${shownDefault.replaceAll('`', '')}.`);
  return sentences.length === 0 ? undefined : wrap(`- \`${name}\`: ${sentences.join(' ')}`);
}

/** A paragraph in lines of the usual width; those of an entry of a list are indented. */
function wrap(paragraph: string): string {
  const indent = paragraph.startsWith('- ') ? '  ' : '';
  return paragraph.split(' ').reduce((text, word) => {
    const line = text.slice(text.lastIndexOf('\n') + 1);
    return `${text}${line.length + word.length < LINE_WIDTH ? ' ' : `\n${indent}`}${word}`;
  });
}

function printFieldDefault(field: FieldName): string {
  const { builtIn, format } = fieldSpec(field);
  if (builtIn === undefined) return '';
  // An URL that is explicitly none.
  if (builtIn === '') return code('""');
  return code(printValue(format === undefined ? builtIn : format(builtIn as never)));
}

function printSettingDefault(name: SettingName): string {
  const { builtIn, format, inner }: SettingSpec = SETTINGS[name];
  if (builtIn === undefined) return '';
  const printed = format === undefined ? builtIn : format(builtIn);
  return code(printValue(inner === undefined ? printed : (printed as Record<string, unknown>)[inner.key]));
}

/** A value as the file has it. */
function printValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.join(', ')}]`;
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
}

function yes(flag: boolean): string {
  return flag ? 'yes' : '';
}

function code(text: string): string {
  return `\`${text}\``;
}

interface Group {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly details: readonly (string | undefined)[];
}

function renderGroup({ title, head, rows, details }: Group): string {
  const list = details.filter((detail) => detail !== undefined).join('\n');
  return `### ${title}\n\n${renderTable(head, rows)}${list === '' ? '' : `\n\n${list}`}`;
}

/** Padded as the formatter does it. */
function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const render = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(render).join('\n');
}
