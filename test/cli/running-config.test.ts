import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { describeChange } from '../../src/apply/describe-plan.ts';
import { renderEffectiveConfig } from '../../src/cli/render/render-effective-config.ts';
import {
  changesValues,
  hideLike,
  isSameSetting,
  listHidden,
  readRunningConfig,
} from '../../src/cli/running-config.ts';
import { parseEnvironment } from '../../src/config/environment.ts';
import { resolveSettings } from '../../src/config/resolve-settings.ts';
import { diffTables } from '../../src/plan/diff-tables.ts';
import { describeConfig } from '../../src/proxy/effective-config.ts';
import { buildTable, type TableInput } from '../../src/table/build-table.ts';
import { aFile, labelsOf } from '../support/builders.ts';
import type { EffectiveConfig } from '../../src/status/api/answers.ts';

interface Given {
  readonly text: string;
  readonly labelled?: TableInput['labelled'];
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: TableInput['flags'];
  readonly showSecrets?: boolean;
}

/** What a proxy with these sources answers, and its table. */
function run({ text, labelled = [], env = {}, flags = {}, showSecrets = true }: Given) {
  const { environment } = parseEnvironment(env);
  const layers = { file: aFile(text), environment, flags };
  const table = buildTable({ ...layers, labelled, holders: new Map() });
  const resolved = resolveSettings(layers);
  const config = describeConfig(
    table,
    { atStart: resolved, newest: resolved },
    { service: undefined, showSecrets },
  );
  return { table, answer: JSON.parse(JSON.stringify(config)) as EffectiveConfig };
}

/** What a reload of `text` changes, as the command tells it. */
function changesOf(given: Given, text: string): readonly string[] {
  const { answer } = run(given);
  const running = readRunningConfig(answer);
  const desired = hideLike(running.tableOf(aFile(text)), {
    current: running.table,
    hidden: listHidden(answer),
  });
  return diffTables(running.table, desired)
    .filter(changesValues)
    .map((change) => describeChange(change));
}

const EXAMPLES = readdirSync('examples', { recursive: true, encoding: 'utf8' })
  .filter((name) => /lazy-proxy\.ya?ml$/.test(name))
  .map((name) => `examples/${name}`);

const FILE = `
status: { listen: "127.0.0.1:9001" }
defaults: { block_list: [10.0.0.9] }
services:
  db: { ports: ["5432:5432"], dependants: [worker], webhook_url: "https://h.example/secret" }
  worker: { container: my-worker }
  app: { command: [node, a.js], env: { A: "1" }, ports: ["9000:3000"], http_healthcheck: "http://localhost:3000/x" }
`;
const LABELLED = [
  labelsOf('db', { 'idle-timeout': '7m', 'http-healthcheck': 'http://db:1/secret' }),
  labelsOf('web', { ports: '8000:80', dependants: 'my-worker', 'webhook-url': 'https://h.example/other' }),
  labelsOf('my-worker', { 'idle-timeout': '9m' }),
];
const GIVEN: Given = {
  text: FILE,
  labelled: LABELLED,
  env: { TZ: 'Europe/Paris', START_TIMEOUT_SECS: '12' },
};

describe('the table of a running proxy', () => {
  test.each([...EXAMPLES, 'lazy-proxy.yaml.example'])('is read back from its API, of %s', (file) => {
    const text = readFileSync(file, 'utf8');
    const { table, answer } = run({ text });
    const running = readRunningConfig(answer);
    expect(diffTables(running.table, table)).toEqual([]);
    expect(changesOf({ text }, text)).toEqual([]);
    expect(changesOf({ text, showSecrets: false }, text)).toEqual([]);
  });

  test('is read back with labels, variables and flags', () => {
    const given = { ...GIVEN, flags: { statusPort: 9002 } };
    const running = readRunningConfig(run(given).answer);
    expect(diffTables(running.table, run(given).table)).toEqual([]);
    expect(running.settings.status).toEqual({ address: '127.0.0.1', port: 9002 });
    expect(running.settingsOf(aFile(FILE)).settings).toEqual(running.settings);
  });
});

describe('a reload', () => {
  test('of the effective configuration, which says itself what a label said, changes nothing', () => {
    const labelled = [labelsOf('lbl', { ports: '8000:80', 'idle-timeout': '7m' })];
    const text = 'services: { db: { ports: ["5432:5432"] } }';
    const { environment } = parseEnvironment({});
    const layers = { file: aFile(text), environment, flags: {} };
    const table = buildTable({ ...layers, labelled, holders: new Map() });
    const options = { format: 'yaml', showOrigin: false, showSecrets: true } as const;
    const whole = renderEffectiveConfig(table, resolveSettings(layers), options);
    expect(whole).toContain('lbl:');
    expect(changesOf({ text, labelled }, whole)).toEqual([]);
  });

  test.each([
    ['of the same file', FILE, []],
    [
      'of a value',
      FILE.replace('5432:5432', '5433:5432'),
      ['listener *:5432/tcp closed', 'service db changed: ports', 'listener *:5433/tcp opened for db'],
    ],
    [
      'of a service less',
      FILE.replace(/ {2}app: .*\n/, ''),
      ['listener *:9000/tcp closed', 'service app removed'],
    ],
    [
      'of a value that labels have, too',
      FILE.replace('dependants: [worker],', 'dependants: [worker], idle_timeout: 7m,'),
      [],
    ],
    [
      'of a service that labels keep',
      FILE.replace(/ {2}worker: .*\n/, ''),
      ['service my-worker added', 'service web changed: dependants', 'service worker removed'],
    ],
    [
      'of a default',
      FILE.replace('10.0.0.9', '10.0.0.8'),
      [
        ...['app', 'db', 'web', 'worker'].map((name) => `service ${name} changed: block_list`),
        ...['9000/tcp stays open for app', '5432/tcp stays open for db', '8000/tcp stays open for web'].map(
          (what) => `listener *:${what}`,
        ),
      ],
    ],
    [
      'of a default that a variable overrides not',
      FILE.replace('defaults: {', 'defaults: { start_timeout: 12s,'),
      [],
    ],
  ])('%s changes what it says', (_what, text, changes) => {
    const [before, after] = [run(GIVEN), run({ ...GIVEN, text })];
    const real = diffTables(before.table, after.table).map((change) => describeChange(change));
    expect(real.toSorted()).toEqual([...changes].toSorted());
    expect(changesOf(GIVEN, text)).toEqual(real);
    expect(changesOf({ ...GIVEN, showSecrets: false }, text).toSorted()).toEqual([...changes].toSorted());
  });

  test.each([
    [
      'webhook_url',
      FILE.replace('/secret" }', '/new" }'),
      ['service db changed: webhook_url', 'listener *:5432/tcp stays open for db'],
    ],
    [
      'the path of a health check',
      FILE.replace('3000/x', '3000/y'),
      ['service app changed: http_healthcheck'],
    ],
    ['an argument', FILE.replace('a.js', 'b.js'), ['service app changed: command']],
    ['a value of env', FILE.replace('A: "1"', 'A: "2"'), ['service app changed: env']],
  ])('of a secret is seen with the token alone: %s', (_what, text, changes) => {
    expect(changesOf(GIVEN, text)).toEqual(changes);
    expect(changesOf({ ...GIVEN, showSecrets: false }, text)).toEqual([]);
  });

  test('that takes a secret away is seen without the token', () => {
    const text = FILE.replace(', webhook_url: "https://h.example/secret"', '').replace(
      'env: { A: "1" }',
      'env: { B: "1" }',
    );
    expect(changesOf({ ...GIVEN, showSecrets: false }, text)).toEqual([
      'service app changed: env',
      'service db changed: webhook_url',
      'listener *:5432/tcp stays open for db',
    ]);
  });
});

describe('webhooks that are hidden', () => {
  const text = (secret: string, format = 'json') => `
webhooks: [{ url: "https://h.example/${secret}", headers: { A: ${secret} }, secret: ${secret}, format: ${format} }]
services:
  db: { ports: ["5432:5432"], webhooks: [{ url: "https://h.example/${secret}", format: ${format} }] }
`;

  test('are compared as far as they are shown', () => {
    const given: Given = { text: text('T0KEN'), showSecrets: false };
    expect(JSON.stringify(run(given).answer)).not.toContain('T0KEN');
    expect(changesOf(given, text('T1KEN'))).toEqual([]);
    expect(changesOf(given, text('T0KEN', 'ntfy'))).toEqual(['service db changed: webhooks']);
    const { answer } = run(given);
    const settingsOf = (file: string) => readRunningConfig(answer).settingsOf(aFile(file)).settings;
    const isSame = (file: string) => isSameSetting(answer, { name: 'webhooks', desired: settingsOf(file) });
    expect([isSame(text('T1KEN')), isSame(text('T0KEN', 'ntfy'))]).toEqual([true, false]);
  });

  test('are compared whole where they are shown', () => {
    expect(changesOf({ text: text('T0KEN') }, text('T1KEN'))).toEqual(['service db changed: webhooks']);
    const { answer } = run({ text: text('T0KEN') });
    const { settings } = readRunningConfig(answer).settingsOf(aFile(text('T1KEN')));
    expect(isSameSetting(answer, { name: 'webhooks', desired: settings })).toBe(false);
  });
});
