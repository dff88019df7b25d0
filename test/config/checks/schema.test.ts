import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { checkSchema } from '../../../src/config/checks/schema.ts';
import { TOP_KEYS } from '../../../src/config/checks/schema-findings.ts';
import { loadSchema } from '../../../src/config/checks/schema-validator.ts';
import {
  DEFAULT_KEYS,
  FIELD_NAMES,
  type FieldName,
  fieldSpec,
  LABEL_SUFFIXES,
  labelSuffix,
  SERVICE_KEYS,
} from '../../../src/config/fields.ts';
import { createFileParser } from '../../../src/config/file.ts';
import { WEBHOOK_KEYS } from '../../../src/config/values/web/webhooks.ts';
import {
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  type SettingSpec,
  settingKeys,
} from '../../../src/config/settings.ts';
import { hasErrors } from '../../../src/model/problem.ts';
import { WEBHOOK_EVENTS, WEBHOOK_FORMATS } from '../../../src/model/webhook.ts';

interface SchemaNode {
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly $ref?: string;
  readonly properties: Readonly<Record<string, SchemaNode>>;
}
const schema = loadSchema() as unknown as SchemaNode & {
  readonly definitions: { readonly service: SchemaNode; readonly webhook: SchemaNode };
};
const serviceProperties = schema.definitions.service.properties;
const exampleText = readFileSync('lazy-proxy.yaml.example', 'utf8');
const parse = createFileParser();
const ajv = new Ajv({ allowUnionTypes: true });

function accepts(key: string): (value: unknown) => boolean {
  const validate = ajv.compile({ ...serviceProperties[key], definitions: schema.definitions });
  return (value) => validate(value) === true;
}

function fieldAccepts(key: string, value: unknown): boolean {
  const secs = key.endsWith('_secs');
  const field = (secs ? key.slice(0, -'_secs'.length) : key) as FieldName;
  const { parse: parseValue, parseSecs } = fieldSpec(field);
  return secs ? parseSecs?.(value).ok === true : parseValue(value, {}).ok;
}

/** Where a pattern can't say all: the parser checks the rest, and only it may be stricter. */
const APPROXIMATE: ReadonlySet<string> = new Set([
  'command',
  'busy_check',
  'idle_ignore_below',
  'stop_signal',
  'awake',
  'ports',
  'http_ports',
  'udp_ports',
  'hosts',
  'http_port',
  'tls_hosts',
  'https_port',
  'tls',
  'waiting_page',
  'basic_auth',
  'api_key',
  'wake_paths',
  'traefik_hosts',
  'traefik_tcp_hosts',
  'allow_list',
  'block_list',
  'wake_list',
  'http_healthcheck',
  'http_healthcheck_status',
  'webhook_url',
  'webhooks',
  'cron_start',
  'cron_stop',
  'timezone',
  'tcp_keepalive',
  'tcp_keepalive_secs',
]);

/** A pattern can't tell 2s from 3s, nor all that is a host. */
const APPROXIMATE_SETTINGS: ReadonlySet<SettingName> = new Set([
  'kubernetes.lease_duration',
  'docker.label_urls',
  'trusted_proxies',
  'status.allowed_hosts',
  'webhooks',
  'http.self_signed_domains',
  'traefik.proxy_host',
]);

function settingNode(name: SettingName): SchemaNode | undefined {
  return name.split('.').reduce<SchemaNode | undefined>((node, key) => node?.properties[key], schema);
}

const text = fc.oneof(
  fc.string(),
  fc.stringMatching(/^[0-9.]{1,4}(w|d|h|m|s|ms)?([0-9]{1,3}(d|h|m|s|ms))?$/),
  fc.constantFrom(
    '',
    '0',
    '90',
    '1.5h',
    '0s',
    '0h0m',
    '1h30m',
    '2w',
    '1d12h',
    '12h1d',
    'reply',
    'open',
    'UTC',
    'Europe/Paris',
    '* * * * *',
    'http://a',
    '200-399,401',
    '204',
    '99',
    '399-200',
    '200-',
    'https://{{container}}/',
    '10.0.0.1',
    '10.0.0.0/8',
    '::1',
    '::/0',
    '010.0.0.1',
    '80:80',
    ' 80 : 80 ',
    '[::1] : 80: 80',
    '@daily',
    '@every 1h',
    'CRON_TZ=UTC 0 0 * * *',
    '[::1]:80:80',
    '1-2:3-4',
    '1.2.3.4:5:6',
    '65535:1',
    '65536:1',
    '0:1',
    '01:1',
    'my-db',
    'shop/my-db',
    'Shop/My_DB',
    'a.b-c.d',
    'shop/a.b',
    'a.b/c',
    'a..b',
    'a-',
    'a/b/c',
    '/a',
    'a'.repeat(63),
    'a'.repeat(64),
    `${'a'.repeat(64)}/b`,
    `${'a.'.repeat(126)}a`,
    `n/${'a.'.repeat(126)}a`,
    `${'a.'.repeat(127)}a`,
    '80:http',
    '80:HTTP',
    '80-81:http',
    'endpoints',
    'service',
    'kubernetes',
    '-x',
    'a\0b',
    'wiki.lan',
    '*.lan',
    '*',
    'wiki.lan:80',
    'Bücher.example',
    'waiting.html',
    '/w/page.htm',
    'auto',
    'off',
    '/docs',
    '!/metrics',
    '/a?b',
    `anna:$2y$12$${'a'.repeat(53)}`,
    'anna:secret',
    '443',
    '[::1]:443',
    '/var/lib/x',
  ),
  fc.tuple(fc.nat({ max: 70_000 }), fc.nat({ max: 70_000 })).map(([a, b]) => `${a}:${b}`),
  fc.tuple(fc.ipV4(), fc.nat({ max: 40 })).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(fc.ipV6(), fc.nat({ max: 140 })).map(([address, bits]) => `${address}/${bits}`),
);
const scalar = fc.oneof(
  text,
  fc.integer(),
  fc.double({ noNaN: true }),
  fc.boolean(),
  fc.constantFrom(null, 0, 1, 1024, 1e6, 1e6 + 1, 2 ** 30, 2 ** 30 + 1),
);
const webhook = fc.record(
  {
    url: fc.oneof(fc.constantFrom('http://a/', '', '***'), scalar),
    events: fc.oneof(fc.subarray<unknown>([...WEBHOOK_EVENTS, 'x', 3, null]), scalar),
    headers: fc.oneof(fc.dictionary(fc.constantFrom('A', 'a', 'Host', 'a b'), scalar), scalar),
    secret: scalar,
    format: fc.oneof(fc.constantFrom(...WEBHOOK_FORMATS), scalar),
    unknown: scalar,
  },
  { requiredKeys: [] },
);
const value = fc.oneof(
  { weight: 4, arbitrary: scalar },
  { weight: 1, arbitrary: fc.array(webhook, { maxLength: 2 }) },
  fc.array(scalar, { maxLength: 3 }),
  fc.array(text, { maxLength: 3 }),
  fc.dictionary(text, scalar, { maxKeys: 2 }),
);

describe('the schema', () => {
  test('has the keys of the field table, and no others', () => {
    expect(Object.keys(serviceProperties)).toEqual(['name', ...SERVICE_KEYS]);
    expect(Object.keys(schema.properties['defaults']?.properties ?? {})).toEqual(DEFAULT_KEYS);
  });

  test('describes every key, with examples', () => {
    const settings = Object.values(schema.properties);
    const nodes = [
      schema,
      ...settings,
      ...Object.values(serviceProperties),
      ...Object.values(schema.definitions.webhook.properties),
    ].flatMap((node) => [node, ...Object.values(node.properties ?? {})]);
    for (const node of nodes.filter(({ $ref }) => $ref === undefined).slice(1)) {
      expect(node.description, JSON.stringify(node)).toMatch(/\.$|none\.$/);
      expect(node.examples?.length, JSON.stringify(node)).toBeGreaterThan(0);
    }
  });

  test('gives examples that it accepts', () => {
    for (const [key, node] of Object.entries(serviceProperties)) {
      for (const example of node.examples ?? [])
        expect(accepts(key)(example), `${key}: ${JSON.stringify(example)}`).toBe(true);
    }
  });

  test.each(SERVICE_KEYS)('accepts %s where the parser does', (key) => {
    const schemaAccepts = accepts(key);
    fc.assert(
      fc.property(value, (candidate) => {
        if (APPROXIMATE.has(key)) fc.pre(fieldAccepts(key, candidate) || !schemaAccepts(candidate));
        expect({ candidate, accepted: schemaAccepts(candidate) }).toEqual({
          candidate,
          accepted: fieldAccepts(key, candidate),
        });
      }),
      { numRuns: 300 },
    );
  });

  test('has the keys of the settings, and no others', () => {
    const keysOf = (name: string) => Object.keys(schema.properties[name]?.properties ?? {});
    expect(Object.keys(schema.properties).toSorted()).toEqual(TOP_KEYS.toSorted());
    expect(keysOf('status')).toEqual(settingKeys('status'));
    expect(keysOf('http')).toEqual(settingKeys('http'));
    expect(keysOf('docker')).toEqual(settingKeys('docker'));
    expect(keysOf('kubernetes')).toEqual(settingKeys('kubernetes'));
  });

  test.each(SETTING_NAMES.filter((name) => !Object.hasOwn(SETTINGS[name], 'inner')))(
    'accepts %s where the parser does',
    (name) => {
      const validate = ajv.compile({ ...settingNode(name), definitions: schema.definitions });
      const { parse: parseSetting }: SettingSpec = SETTINGS[name];
      fc.assert(
        fc.property(value, (candidate) => {
          const accepted = parseSetting(candidate).ok;
          if (APPROXIMATE_SETTINGS.has(name)) fc.pre(accepted || !validate(candidate));
          expect({ candidate, accepted: validate(candidate) }).toEqual({ candidate, accepted });
        }),
        { numRuns: 300 },
      );
    },
  );

  test('never refuses a file that has no problem to show for it', () => {
    const key = fc.constantFrom(...SERVICE_KEYS, 'name', 'portz');
    const service = fc.oneof(
      { weight: 5, arbitrary: fc.dictionary(key, value, { maxKeys: 4 }) },
      { weight: 1, arbitrary: value },
    );
    const services = fc.oneof(
      fc.dictionary(fc.constantFrom('a', 'b', '-c', '1'), service),
      fc.array(service),
      value,
    );
    const file = fc.record(
      {
        services,
        defaults: fc.oneof(fc.dictionary(key, value, { maxKeys: 2 }), value),
        status: value,
        http: fc.oneof(fc.dictionary(fc.constantFrom(...settingKeys('http'), 'tls'), value), value),
        state_dir: value,
        docker: value,
        backend: value,
        webhooks: value,
        kubernetes: fc.oneof(
          fc.dictionary(fc.constantFrom(...settingKeys('kubernetes'), 'socket'), value),
          value,
        ),
        'x-a': value,
        y: value,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(file, (root) => {
        const { config, problems } = parse({ text: JSON.stringify(root), file: 'f' });
        const read: unknown = JSON.parse(JSON.stringify(root));
        if (checkSchema(read).length > 0) expect(hasErrors(problems)).toBe(true);
        expect(config === undefined).toBe(hasErrors(problems));
        for (const { message } of problems) expect(message).not.toContain('does not fit the schema');
      }),
      { numRuns: 500 },
    );
  });
});

describe('the example file', () => {
  test('is valid', () => {
    expect(parse({ text: exampleText, file: 'lazy-proxy.yaml.example' }).problems).toEqual([]);
  });

  test('shows every key', () => {
    const example = parseYaml(exampleText, { merge: true }) as {
      readonly defaults: object;
      readonly status: object;
      readonly backend: string;
      readonly docker: object;
      readonly webhooks: readonly object[];
      readonly kubernetes: object;
      readonly services: Readonly<Record<string, object>>;
    };
    const used = new Set(Object.values(example.services).flatMap((service) => Object.keys(service)));
    expect([...used].toSorted()).toEqual([...SERVICE_KEYS].toSorted());
    const defaults = FIELD_NAMES.filter((field) => fieldSpec(field).inDefaults && field !== 'stop_timeout');
    expect(Object.keys(example.defaults).toSorted()).toEqual(defaults.toSorted());
    expect(Object.keys(example.docker)).toEqual(settingKeys('docker'));
    expect(Object.keys(example.kubernetes)).toEqual(settingKeys('kubernetes'));
    expect(example.backend).toBe('docker');
    const hooks = [
      example.webhooks,
      ...Object.values(example.services).map(
        (service) => (service as { webhooks?: readonly object[] }).webhooks ?? [],
      ),
    ];
    expect(new Set(hooks.flat().flatMap((hook) => Object.keys(hook)))).toEqual(new Set(WEBHOOK_KEYS));
    expect(Object.keys(example.status)).toEqual(Object.keys(schema.properties['status']?.properties ?? {}));
  });
});

describe('label names', () => {
  test('are the field names in kebab-case, the Go project’s among them', () => {
    expect(LABEL_SUFFIXES).toEqual(
      expect.arrayContaining([
        'ports',
        'udp-ports',
        'allow-list',
        'block-list',
        'idle-timeout-secs',
        'start-timeout-secs',
        'webhook-url',
        'dependants',
        'cron-start',
        'cron-stop',
        'http-healthcheck',
        'idle-timeout',
      ]),
    );
    // The parts of a mapping.
    expect(SERVICE_KEYS.map(labelSuffix)).toEqual(
      expect.arrayContaining(LABEL_SUFFIXES.filter((suffix) => !/^busy-check-/.test(suffix))),
    );
  });
});
