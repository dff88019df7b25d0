import { EMPTY_ENVIRONMENT, type Environment } from '../../src/config/environment.ts';
import { createFileParser, type FileConfig } from '../../src/config/file.ts';
import { type LabelReading, parseLabels } from '../../src/config/labels.ts';
import { formatProblem, hasErrors } from '../../src/model/problem.ts';
import type { WebhookTarget } from '../../src/status/webhook-sender.ts';
import type { ListenerSpec, Service, ServiceUrl } from '../../src/model/service.ts';
import { DEFAULT_REST } from '../../src/model/running/sleep.ts';
import { EMPTY_TABLE, type ServiceTable } from '../../src/model/table.ts';
import { NO_WEB } from '../../src/model/web.ts';
import { ORIGINAL_EVENTS } from '../../src/model/webhook.ts';
import type { WorkloadRef } from '../../src/model/workload.ts';
import { UdpBudget } from '../../src/relay/udp/udp-budget.ts';
import { buildTable, type TableInput } from '../../src/table/build-table.ts';

export const PREFIX = 'lazy-tcp-proxy';

/** Compiles the schema once for all tests of a file. */
const parse = createFileParser();

/** A listener on every address, TCP port 80 unless said otherwise. */
export function aListener(overrides: Partial<ListenerSpec> = {}): ListenerSpec {
  return { protocol: 'tcp', address: '', port: 80, targetPort: 80, ...overrides };
}

/** A container service with the built-in values and one TCP listener. */
export function aService(overrides: Partial<Service> = {}): Service {
  const name = overrides.name ?? 'db';
  return {
    name,
    workload: { kind: 'docker', container: name },
    listeners: [aListener()],
    availability: 'on_demand',
    allowList: [],
    blockList: [],
    wakeList: [],
    wakeOn: 'connect',
    proxyProtocol: 'off',
    acceptProxyProtocol: false,
    idleTimeoutMs: 120_000,
    startTimeoutMs: 30_000,
    stopTimeoutMs: undefined,
    rest: DEFAULT_REST,
    maxPending: 1_024,
    maxConnections: 0,
    maxConnectionsPerAddress: 0,
    tcpKeepAliveMs: 60_000,
    httpHealthcheck: undefined,
    httpHealthcheckStatus: [{ first: 200, last: 299 }],
    webhookUrl: undefined,
    webhooks: [],
    dependants: [],
    dependantsBy: 'file',
    dependantOfLabels: false,
    group: undefined,
    memoryBytes: undefined,
    dependsOn: [],
    dependsOnBy: 'file',
    isOfFile: true,
    cronStart: undefined,
    awake: [],
    cronStop: undefined,
    timezone: 'UTC',
    udp: {
      readiness: 'reply',
      flowTimeoutMs: 60_000,
      maxQueuedDatagrams: 1_024,
      maxQueuedBytes: 1_048_576,
      maxQueueAgeMs: 30_000,
    },
    web: NO_WEB,
    tls: undefined,
    ...overrides,
  };
}

/** A URL as the file has it, unless said otherwise. */
export function aUrl(url: string, from: ServiceUrl['from'] = 'file'): ServiceUrl {
  return { url, from };
}

/** The `webhook_url` of a service `web`. */
export function aWebhook(url: string, from?: ServiceUrl['from']): WebhookTarget {
  const original = { events: ORIGINAL_EVENTS, headers: {}, format: 'original' } as const;
  return { ...aUrl(url, from), ...original, service: 'web' };
}

/** A table that holds these services, every value of built-in origin. */
export function aTable(services: readonly Service[], overrides: Partial<ServiceTable> = {}): ServiceTable {
  const sorted = services.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const entries = new Map(sorted.map((service) => [service.name, { service, origins: {} }]));
  return { ...EMPTY_TABLE, entries, ...overrides };
}

/** The configuration a YAML text says; throws with the problems when it has errors. */
export function aFile(text: string, file = 'lazy-proxy.yaml'): FileConfig {
  const { config, problems } = parse({ text, file });
  if (config === undefined || hasErrors(problems)) throw new Error(problems.map(formatProblem).join('\n'));
  return config;
}

/** The reading of a workload, a container by its name, that opts in with these labels, written without prefix. */
export function labelsOf(
  workload: string | WorkloadRef,
  labels: Readonly<Record<string, string>>,
): LabelReading {
  const ref: WorkloadRef = typeof workload === 'string' ? { kind: 'docker', name: workload } : workload;
  const prefixed = Object.entries({ enabled: 'true', ...labels }).map(([key, text]) => [
    `${PREFIX}.${key}`,
    text,
  ]);
  return parseLabels({ ref, labels: Object.fromEntries(prefixed) }, { prefixes: [PREFIX] });
}

/** An environment in which nothing is kept across restarts. */
export const KEEPS_NOTHING: Environment = {
  ...EMPTY_ENVIRONMENT,
  settings: {
    state_dir: { value: 'off', origin: { kind: 'environment', variable: 'LAZY_PROXY_STATE_DIR' } },
  },
};

/** An environment that sets only this. */
export function anEnvironment(overrides: Partial<Environment> = {}): Environment {
  return { ...EMPTY_ENVIRONMENT, ...overrides };
}

/** The table of a file's text and labels. */
export function tableOf(input: { readonly text?: string } & Partial<Omit<TableInput, 'file'>>): ServiceTable {
  return buildTable({
    file: input.text === undefined ? undefined : aFile(input.text),
    labelled: input.labelled ?? [],
    environment: input.environment ?? anEnvironment(),
    flags: input.flags ?? {},
    holders: input.holders ?? new Map(),
    ...(input.before !== undefined && { before: input.before }),
    ...(input.own !== undefined && { own: input.own }),
    ...(input.compose !== undefined && { compose: input.compose }),
    ...(input.status !== undefined && { status: input.status }),
  });
}

/** A service of a table by name; throws where there is none. */
export function serviceOf(table: ServiceTable, name: string): Service {
  const entry = table.entries.get(name);
  if (entry === undefined)
    throw new Error(`no service ${name}: ${table.problems.map(formatProblem).join('; ')}`);
  return entry.service;
}

/** Room for as many flows as one listener may have, and as much as the program keeps unless it is told otherwise. */
export function aUdpBudget({ maxQueuedBytes = 33_554_432 } = {}): UdpBudget {
  return new UdpBudget({ maxQueuedBytes, descriptors: undefined });
}
