/** What `examples/monitoring` asks of the metrics is there, and Prometheus' own checks accept all of it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { type Family, PROXY_FAMILIES, SERVICE_FAMILIES } from '../src/status/metrics/families.ts';
import { startApiProxy } from './support/api-proxy.ts';
import { freePort } from './support/free-ports.ts';
import { readMetrics } from './support/metrics-text.ts';
import { ending, Sockets } from './support/sockets.ts';

const FOLDER = 'examples/monitoring';
const FAMILIES: readonly Family<never>[] = [...PROXY_FAMILIES, ...SERVICE_FAMILIES];
/** By name, as it is asked for: that of a histogram has an ending. */
const LABELS: ReadonlyMap<string, readonly string[]> = new Map(
  FAMILIES.flatMap(({ name, type, labels }): (readonly [string, readonly string[]])[] =>
    type === 'histogram'
      ? [
          [`${name}_bucket`, [...labels, 'le']],
          [`${name}_sum`, labels],
          [`${name}_count`, labels],
        ]
      : [[name, labels]],
  ),
);
/** What Prometheus adds itself. */
const OF_PROMETHEUS = ['job', 'instance'];
const WORDS = [
  ...['sum', 'min', 'max', 'by', 'on', 'ignoring', 'group_left', 'rate', 'increase', 'histogram_quantile'],
  'up',
];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const rules = (parse(readFileSync(path.join(FOLDER, 'alerts.yml'), 'utf8')).groups as { rules: Rule[] }[])
  .flatMap((group) => group.rules)
  .map(({ alert, expr, annotations }) => ({ title: alert, expr, annotations }));
const dashboard = JSON.parse(readFileSync(path.join(FOLDER, 'dashboard.json'), 'utf8'));
const panels = dashboard.panels as {
  readonly title: string;
  readonly targets: readonly { readonly expr: string; readonly legendFormat?: string }[];
}[];
const queries = panels.flatMap(({ title, targets }) =>
  targets.map(({ expr, legendFormat = '' }) => ({ title, expr, annotations: { legend: legendFormat } })),
);
const variables = (dashboard.templating.list as { name: string; definition?: string }[]).flatMap(
  ({ name, definition }) => (definition === undefined ? [] : [{ title: name, expr: definition }]),
);

/** Names in a query that are no metric of ours, or labels that it doesn't have. */
function findUnknown(expr: string): readonly string[] {
  const found: string[] = [];
  const withoutTexts = expr.replace(/"[^"]*"/g, '""');
  for (const [, name = '', selectors = ''] of withoutTexts.matchAll(/\b([a-z]+_[a-z_]+)(?:\{([^}]*)\})?/g)) {
    if (WORDS.includes(name) || /^__/.test(name)) continue;
    const labels = LABELS.get(name);
    if (labels === undefined) {
      // `label_values(metric, label)` of Grafana.
      if (name !== 'label_values') found.push(name);
      continue;
    }
    for (const [label = ''] of selectors.matchAll(/[a-z_]+(?==|!=|=~|!~)/g))
      if (![...labels, ...OF_PROMETHEUS].includes(label)) found.push(`${name}{${label}}`);
  }
  return found;
}

/** Labels by which results are grouped, or that texts name. */
function labelsOf(expr: string, texts: Readonly<Record<string, string>>): readonly string[] {
  const grouped = [
    ...expr.matchAll(/\b(?:by|on|ignoring|group_left) \(([^)]*)\)|group_left\(([^)]*)\)/g),
  ].flatMap(([, a = '', b = '']) => `${a},${b}`.split(','));
  const named = Object.values(texts).flatMap((text) =>
    [...text.matchAll(/\{\{ ?(?:\$labels\.)?([a-z_]+) ?\}\}/g)].map(([, label = '']) => label),
  );
  return [...grouped, ...named].map((label) => label.trim()).filter((label) => label !== '');
}

describe('examples/monitoring', () => {
  test('has an alert for each thing that goes wrong', () => {
    expect(rules.map(({ title }) => title)).toEqual([
      'LazyProxyDown',
      'LazyProxyWakeFailed',
      'LazyProxyClientsUnserved',
      'LazyProxyClientsWait',
      'LazyProxyFlapping',
      'LazyProxyReloadRefused',
      'LazyProxyEngineAway',
      'LazyProxyPortTaken',
    ]);
  });

  test.each([...rules, ...queries])(
    '$title asks for metrics and labels that there are: $expr',
    ({ expr, annotations }) => {
      expect(findUnknown(expr)).toEqual([]);
      const names = [...expr.matchAll(/\b[a-z]+_[a-z_]+/g)].map(([name]) => name);
      const known = [...names.flatMap((name) => LABELS.get(name) ?? []), ...OF_PROMETHEUS];
      for (const label of labelsOf(expr, annotations)) expect(known, label).toContain(label);
    },
  );

  test.each(variables)('the variable $title is filled from a metric that there is', ({ expr }) => {
    expect(findUnknown(expr.replace(/, (job|service)\)/, ')'))).toEqual([]);
  });

  test('shows every metric in the dashboard', () => {
    const shown = queries.map(({ expr }) => expr).join(' ');
    const left = FAMILIES.map(({ name }) => name).filter((name) => !shown.includes(name));
    expect(left).toEqual([
      'lazy_proxy_services',
      'lazy_proxy_config_changed_timestamp_seconds',
      'process_start_time_seconds',
      // Of the future, which a graph of the past can't show.
      'lazy_proxy_sleep_due_timestamp_seconds',
    ]);
  });
});

test('a proxy shows each metric with the labels that the documentation names', async () => {
  const { text } = await scrape();
  const { types, samples } = readMetrics(text);
  const shown = new Set(types.keys());
  // There is no engine, and calls none.
  const left = FAMILIES.map(({ name }) => name).filter((name) => !shown.has(name));
  expect(left).toEqual([
    'lazy_proxy_engine_up',
    'lazy_proxy_engine_call_duration_seconds',
    'lazy_proxy_engine_call_errors_total',
    // Nothing is awake.
    'lazy_proxy_kept_awake',
    'lazy_proxy_sleep_due_timestamp_seconds',
  ]);
  for (const { name, labels } of samples)
    expect([name, Object.keys(labels)]).toEqual([name, LABELS.get(name)]);
});

describe.skipIf(!existsSync('/usr/bin/promtool'))('promtool', () => {
  const check = (args: readonly string[], input = '') => {
    const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
    return { status, said: `${stdout}${stderr}` };
  };

  test('accepts the metrics', async () => {
    const { text } = await scrape();
    expect(check(['check', 'metrics'], text)).toEqual({ status: 0, said: '' });
  });

  test('accepts the alerts, and the configuration', () => {
    expect(check(['check', 'rules', path.join(FOLDER, 'alerts.yml')])).toMatchObject({ status: 0 });
    const config = check(['check', 'config', path.join(FOLDER, 'prometheus.yml')]);
    expect(config).toMatchObject({ status: 0 });
  });

  test('accepts every query of the dashboard', () => {
    const groups = [
      {
        name: 'dashboard',
        rules: queries.map(({ expr }, index) => ({
          record: `query_${index}`,
          expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$__range', '6h'),
        })),
      },
    ];
    const folder = mkdtempSync(path.join(tmpdir(), 'lazy-proxy-queries-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, 'queries.yml');
    // YAML as well.
    writeFileSync(file, JSON.stringify({ groups }));
    expect(check(['check', 'rules', file])).toMatchObject({ status: 0 });
  });
});

/** Of a proxy with a service of each protocol, which has been used. */
async function scrape(): Promise<{ readonly text: string }> {
  const [port, udp, target] = [await freePort(), await freePort(), await freePort()];
  const services = `
  web: { command: [sh, -c, "exit 3"], ports: ["127.0.0.1:${port}:${target}"] }
  dns: { command: [sleep, "60"], udp_ports: ["127.0.0.1:${udp}:${target}"] }
`;
  const { ask } = await startApiProxy(services, {
    settings: `limits: { max_awake: 5, memory: 6GiB }\nhttp: { listen: "127.0.0.1:${await freePort()}" }\n`,
  });
  const sockets = new Sockets();
  await ending(await sockets.connect(port));
  await sockets.close();
  return { text: (await ask('/metrics')).body };
}
