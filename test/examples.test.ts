import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseDocument, parse as parseYaml } from 'yaml';
import { validate } from '../src/cli/validate.ts';
import { parseEnvironment } from '../src/config/environment.ts';
import { createFileParser } from '../src/config/file.ts';
import { parseLabels } from '../src/config/labels.ts';
import { formatProblem } from '../src/model/problem.ts';
import type { ServiceTable } from '../src/model/table.ts';
import { workloadName } from '../src/model/workload.ts';
import { listOutsideRoutes } from '../src/status/api/providers/outside-routes.ts';
import { EXIT_UNUSABLE } from '../src/system/exit-codes.ts';
import { buildTable } from '../src/table/build-table.ts';
import { DEFAULT_LABEL_PREFIXES, listOwnLabels } from '../src/model/label-names.ts';

const ROOT = 'examples';
const IMAGE = 'lazy-proxy';
const CONFIG_FOLDER = '/etc/lazy-proxy';
/** What is published on every address of the machine, by example. */
const FOR_THE_NETWORK: Readonly<Record<string, readonly string[]>> = {
  'caddy-in-front': ['80:80', '443:443'],
  // One of the two is started.
  ingress: ['80:80', '80:80'],
  minecraft: ['25565:25565'],
  pihole: ['53:53/udp', '53:53/tcp'],
  syslog: ['5514:5514/udp'],
  tls: ['80:80', '443:443'],
};
/** Where an image is told its password: a variable, or the flag before it. */
const PASSWORDS: Readonly<Record<string, string>> = {
  postgres: 'POSTGRES_PASSWORD',
  redis: '--requirepass',
  'pihole/pihole': 'FTLCONF_webserver_api_password',
  'dockurr/samba': 'PASS',
};
const SOCKET = '/var/run/docker.sock:/var/run/docker.sock';

/** What of Compose the examples use. */
interface ComposeService {
  readonly image?: string;
  readonly container_name?: string;
  readonly restart?: string;
  readonly network_mode?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly labels?: Readonly<Record<string, unknown>> | readonly string[];
  readonly ports?: readonly string[];
  readonly expose?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[];
}
interface ComposeFile {
  readonly name?: string;
  readonly services: Readonly<Record<string, ComposeService>>;
}

const parse = createFileParser();
const folders = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).map((file) => path.join(ROOT, file));
const yamlFiles = files.filter((file) => /\.ya?ml$/.test(file));
const configFiles = yamlFiles.filter((file) => path.basename(file) === 'lazy-proxy.yaml');
const composeFolders = folders.filter((folder) => existsSync(path.join(ROOT, folder, 'compose.yaml')));

function read(...parts: readonly string[]): string {
  return readFileSync(path.join(...parts), 'utf8');
}

function problemsOf(file: string): readonly string[] {
  return parse({ text: read(file), file }).problems.map(formatProblem);
}

function readCompose(folder: string): ComposeFile {
  return parseYaml(read(ROOT, folder, 'compose.yaml')) as ComposeFile;
}

/** Services that are served, or could be: neither the proxy nor what belongs to it. */
function isProxy({ image }: ComposeService): boolean {
  return image === IMAGE;
}

function proxyOf(compose: ComposeFile): ComposeService {
  const proxies = Object.values(compose.services).filter(isProxy);
  expect(proxies).toHaveLength(1);
  return proxies[0] as ComposeService;
}

function containerName({ name = '' }: ComposeFile, service: string, spec: ComposeService): string {
  return spec.container_name ?? `${name}-${service}-1`;
}

function containersOf(compose: ComposeFile): readonly string[] {
  return Object.entries(compose.services).map(([service, spec]) => containerName(compose, service, spec));
}

/** As Compose gives them to the engine: `key=value` in a list, strings in a mapping. */
function labelsOf({ labels = {} }: ComposeService): Readonly<Record<string, string>> {
  if (!Array.isArray(labels)) {
    const entries = Object.entries(labels);
    for (const [label, text] of entries) expect(typeof text, `${label} is quoted`).toBe('string');
    return Object.fromEntries(entries) as Record<string, string>;
  }
  const pairs = (labels as readonly string[]).map((line): [string, string] => {
    const at = line.indexOf('=');
    return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
  });
  return Object.fromEntries(pairs);
}

function readLabels(compose: ComposeFile) {
  return Object.entries(compose.services)
    .map(([service, spec]) =>
      parseLabels(
        { ref: { kind: 'docker', name: containerName(compose, service, spec) }, labels: labelsOf(spec) },
        { prefixes: DEFAULT_LABEL_PREFIXES },
      ),
    )
    .filter(({ kind }) => kind !== 'ignored');
}

/** The table that the proxy of an example would have. */
function tableOf(folder: string): ServiceTable {
  const compose = readCompose(folder);
  const file = configFiles.find((name) => name.startsWith(path.join(ROOT, folder, path.sep)));
  const values = Object.entries(proxyOf(compose).environment ?? {}).map(([key, value]) => [
    key,
    String(value),
  ]);
  const { environment, problems } = parseEnvironment(Object.fromEntries(values));
  expect(problems.map(formatProblem)).toEqual([]);
  return buildTable({
    file: file === undefined ? undefined : parse({ text: read(file), file }).config,
    labelled: readLabels(compose),
    environment,
    flags: {},
    holders: new Map(),
  });
}

function listPorts(range: string): readonly number[] {
  const [first = 0, last = first] = range.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Ports of a container that others reach, as `80/tcp`. */
function reachablePorts({ ports = [], expose = [] }: ComposeService): readonly string[] {
  return [...ports, ...expose].flatMap((text) => {
    const [mapping = '', protocol = 'tcp'] = text.split('/');
    return listPorts(mapping.split(':').at(-1) ?? '').map((port) => `${port}/${protocol}`);
  });
}

describe('lazy-proxy.yaml.example', () => {
  test('is valid', () => {
    expect(problemsOf('lazy-proxy.yaml.example')).toEqual([]);
  });
});

describe('examples', () => {
  test('are all there', () => {
    expect(folders.length).toBeGreaterThan(15);
    expect(composeFolders).toEqual(
      folders.filter(
        (folder) => !['github-actions', 'kubernetes', 'monitoring', 'quickstart', 'systemd'].includes(folder),
      ),
    );
  });

  test('are all in the table of README.md, in one row each', () => {
    const rows = read(ROOT, 'README.md').matchAll(/^\| \[([^\]]+)\]\(\1\/README\.md\) +\|/gm);
    expect([...rows].map(([, folder]) => folder).toSorted()).toEqual(folders.toSorted());
  });

  test.each(folders)('%s has a README with a title, commands and links that lead somewhere', (folder) => {
    const text = read(ROOT, folder, 'README.md');
    expect(text).toMatch(/^# \S/);
    expect(text).toMatch(/^```sh$/m);
    for (const [, target = ''] of text.matchAll(/\]\(([^)]+)\)/g))
      expect(existsSync(path.join(ROOT, folder, target)), target).toBe(true);
  });

  test.each(yamlFiles)('%s is YAML without mistakes', (file) => {
    const document = parseDocument(read(file));
    expect([...document.errors, ...document.warnings]).toEqual([]);
  });

  test.each(yamlFiles)('%s names the schema beside it, where it is a configuration file', (file) => {
    const schema = /^# yaml-language-server: \$schema=(.+)$/m.exec(read(file))?.[1];
    expect(schema).toBe(configFiles.includes(file) ? './lazy-proxy.schema.json' : undefined);
  });

  test.each(configFiles)('%s has a README that tells how its schema is written', (file) => {
    const [folder = '', ...rest] = path.dirname(path.relative(ROOT, file)).split(path.sep);
    const place = [...rest, 'lazy-proxy.schema.json'].join('/');
    expect(read(ROOT, folder, 'README.md')).toContain(`lazy-proxy schema > ${place}`);
  });

  test.each(folders)('%s leads nowhere outside of its own folder', (folder) => {
    const inside = files.filter((file) => file.startsWith(path.join(ROOT, folder, path.sep)));
    for (const file of inside) {
      if (statSync(file).isDirectory()) continue;
      expect(read(file), file).not.toMatch(/(?:^|[\s"'(=])\.\.\//);
    }
  });

  test.each(configFiles)('%s is valid', (file) => {
    expect(problemsOf(file)).toEqual([]);
  });
});

describe.each(composeFolders)('examples/%s', (folder) => {
  const compose = readCompose(folder);

  test('has a name, and images of a version', () => {
    expect(compose.name).toMatch(/^lazy-[a-z-]+$/);
    for (const [service, { image = '' }] of Object.entries(compose.services))
      if (image !== IMAGE) expect(image, service).toMatch(/^[^:]+:(?!latest$)[^:]*\d[^:]*$/);
  });

  test('is what Compose takes today', () => {
    // `version` is obsolete, and Compose says so each time; `links` belong to networks that nobody makes any more.
    for (const key of Object.keys(compose))
      expect(['name', 'services', 'networks', 'volumes']).toContain(key);
    for (const spec of Object.values(compose.services)) expect(Object.keys(spec)).not.toContain('links');
  });

  test('says in the line of the image how it is built', () => {
    const line = read(ROOT, folder, 'compose.yaml').match(/^ +image: lazy-proxy .*$/m)?.[0];
    expect(line).toContain('# built once, in the repository of lazy-proxy: docker build -t lazy-proxy .');
  });

  test('publishes on every address only what is meant for the network', () => {
    const published = Object.values(compose.services).flatMap(({ ports = [] }) => ports);
    const open = published.filter((port) => !port.startsWith('127.0.0.1:'));
    expect(open).toEqual(FOR_THE_NETWORK[folder] ?? []);
  });

  test('sets the passwords of what asks for one', () => {
    for (const [service, { image = '', environment = {}, command = [] }] of Object.entries(
      compose.services,
    )) {
      const wanted = Object.entries(PASSWORDS).find(([name]) => image.startsWith(`${name}:`))?.[1];
      if (wanted === undefined) continue;
      const given = environment[wanted] ?? command[command.indexOf(wanted) + 1];
      expect(given, service).toBe('change-me');
    }
  });

  test('gives the proxy an engine, and its configuration as a folder', () => {
    const { environment = {}, volumes = [], restart } = proxyOf(compose);
    expect(restart).toBe('unless-stopped');
    expect(volumes.includes(SOCKET)).toBe(environment['DOCKER_HOST'] === undefined);
    const hasFile = existsSync(path.join(ROOT, folder, 'config/lazy-proxy.yaml'));
    expect(volumes.includes(`./config:${CONFIG_FOLDER}:ro`)).toBe(hasFile);
  });

  test('mounts files of its own that exist', () => {
    const sources = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      volumes.map((volume) => volume.split(':')[0] ?? '').filter((source) => source.startsWith('./')),
    );
    for (const source of sources) expect(existsSync(path.join(ROOT, folder, source)), source).toBe(true);
  });

  test('has labels without mistakes', () => {
    const readings = readLabels(compose);
    expect(readings.flatMap(({ problems }) => problems.map(formatProblem))).toEqual([]);
    expect(readings.filter(({ kind }) => kind !== 'accepted')).toEqual([]);
    // A label that doesn't opt in, or a forgotten `enabled`, would pass unseen.
    const labelled = Object.values(compose.services).filter(
      (service) => listOwnLabels(labelsOf(service), DEFAULT_LABEL_PREFIXES).length > 0,
    );
    expect(readings).toHaveLength(labelled.length);
  });

  test('makes a table without conflicts', () => {
    const table = tableOf(folder);
    expect(table.entries.size).toBeGreaterThan(0);
    expect(table.conflicts).toEqual([]);
    expect(table.problems.map(formatProblem)).toEqual([]);
  });

  test('has the containers and dependants that it names', () => {
    const containers = containersOf(compose);
    const table = tableOf(folder);
    for (const { service } of table.entries.values()) {
      expect(containers).toContain(workloadName(service.workload));
      const known = [...containers, ...table.entries.keys()];
      expect(known).toEqual(expect.arrayContaining([...service.dependants]));
    }
  });

  test('lets the proxy be reached on every port that it listens on', () => {
    const proxy = proxyOf(compose);
    if (proxy.network_mode === 'host') return;
    const { entries, fronts } = tableOf(folder);
    const listeners = [...entries.values()].flatMap(({ service }) => service.listeners);
    const wanted = [
      ...listeners.map(({ port, protocol }) => `${port}/${protocol}`),
      ...fronts.map(({ port }) => `${port}/tcp`),
    ];
    expect(reachablePorts(proxy).toSorted()).toEqual([...wanted, '8080/tcp'].toSorted());
  });

  test('lets the engine wake nothing that sleeps', () => {
    const containers = [...tableOf(folder).entries.values()].map(({ service }) => service);
    const asleep = new Set(
      containers.flatMap(({ workload, dependants }) => [workloadName(workload), ...dependants]),
    );
    for (const [service, spec] of Object.entries(compose.services)) {
      if (!asleep.has(containerName(compose, service, spec))) continue;
      expect(['no', 'unless-stopped'], service).toContain(spec.restart);
    }
  });

  test('starts in its README what does not wait for a client', () => {
    const readme = read(ROOT, folder, 'README.md');
    const started = /docker compose create && docker compose up -d (.+)/.exec(readme)?.[1]?.split(' ') ?? [];
    expect(started).toContain('proxy');
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(started));
  });
});

describe('examples/ingress', () => {
  const compose = readCompose('ingress');
  const routes = listOutsideRoutes(tableOf('ingress'), { traefik: true });

  test('tells Traefik and Caddy every host, at the front door', () => {
    expect(routes).toEqual({
      http: ['one.localhost', 'two.localhost', '*.two.localhost'].map((host) => ({
        ...{ host, port: 8_000, tls: false },
      })),
      sni: [],
    });
  });

  test('has both ask where the proxy answers', () => {
    const caddy = JSON.parse(read(ROOT, 'ingress/caddy.json'));
    const urls = [
      caddy.admin.config.load.url,
      /endpoint=(\S+)/.exec((compose.services['traefik']?.command ?? []).join(' '))?.[1] ?? '',
    ].map((url: string) => new URL(url));
    expect(urls.map(({ host, pathname }) => `${host}${pathname}`)).toEqual([
      'proxy:8080/caddy',
      'proxy:8080/traefik',
    ]);
  });

  test('has annotations without mistakes for Kubernetes', () => {
    const [deployment, service, ingress] = ['deployment', 'service', 'ingress'].map((name) =>
      parseYaml(read(ROOT, `ingress/kubernetes/${name}.yaml`)),
    );
    const { name, namespace, annotations } = deployment.metadata;
    const ref = { kind: 'kubernetes', resource: 'deployment', namespace, name } as const;
    const reading = parseLabels({ ref, labels: annotations }, { prefixes: DEFAULT_LABEL_PREFIXES });
    expect(reading.problems).toEqual([]);
    const table = buildTable({
      ...{
        labelled: [reading],
        environment: parseEnvironment({ LAZY_PROXY_BACKEND: 'kubernetes' }).environment,
      },
      ...{
        file: parse({ text: 'http: { listen: "8000" }', file: 'x' }).config,
        flags: {},
        holders: new Map(),
      },
    });
    expect(table.problems).toEqual([]);
    const [entry] = [...table.entries.values()];
    const { hosts, port } = entry?.service.web ?? {};
    expect(service.spec.ports.map((one: { readonly name: string }) => one.name)).toContain(port);
    expect(ingress.spec.rules.map((rule: { readonly host: string }) => rule.host)).toEqual(hosts);
  });
});

describe('examples/proxy-socket-proxy', () => {
  const CALLS = [
    ['GET', '/_ping'],
    ['GET', '/events'],
    ['GET', '/containers/json'],
    ['GET', '/containers/my_db.1/json'],
    ['GET', '/containers/my_db.1/logs'],
    ['GET', '/containers/my_db.1/stats'],
    ['POST', '/containers/0123abc/start'],
    ['POST', '/containers/0123abc/stop'],
    ['POST', '/containers/0123abc/unpause'],
  ] as const;
  const strict = parseYaml(read(ROOT, 'proxy-socket-proxy/compose.strict.yaml')) as ComposeFile;
  const [name = '', filter = {}] = Object.entries(strict.services)[0] ?? [];

  /** The filter puts `^` and `$` around a pattern. */
  function lets(method: string, call: string): boolean {
    const patterns = (filter.command ?? []).flatMap(
      (argument) => new RegExp(`^-allow${method}=(.*)$`).exec(argument)?.[1] ?? [],
    );
    return patterns.some((pattern) => new RegExp(`^${pattern}$`).test(call));
  }

  test.each(CALLS)('lets %s %s through', (method, call) => {
    expect(lets(method, call)).toBe(true);
  });

  test.each([
    ['POST', '/containers/create'],
    ['POST', '/containers/0123abc/exec'],
    ['POST', '/containers/0123abc/kill'],
    ['GET', '/containers/0123abc/archive'],
    ['GET', '/images/json'],
  ])('keeps %s %s out', (method, call) => {
    expect(lets(method, call)).toBe(false);
  });

  test('names a service of compose.yaml, which the proxy talks to', () => {
    const compose = readCompose('proxy-socket-proxy');
    expect(Object.keys(compose.services)).toContain(name);
    expect(proxyOf(compose).environment?.['DOCKER_HOST']).toBe(`tcp://${name}:2375`);
  });

  test('has every call that the engine client makes', () => {
    const source = read('src/backends/engine/engine-client.ts');
    const variable = ['$', '{action}'].join('');
    const actions = [...source.matchAll(/containerPath\(\w+, '([a-z]+)'\)/g)].map(
      ([, action = '']) => action,
    );
    const paths = [...source.matchAll(/['`](\/[a-z_]+(?:\$\{[^}]*\}|[^'`\s])*)['`]/g)].flatMap(
      ([, call = '']) =>
        call.endsWith(variable) ? actions.map((action) => call.replace(variable, action)) : [call],
    );
    // The example names these in comments: only some settings, or fields, need them.
    const restCalls = paths.filter((call) => /(\/pause|exec.*)$/.test(call));
    const networkCalls = paths.filter((call) => call.startsWith('/networks/'));
    const imageCalls = paths.filter((call) => call.startsWith('/images/'));
    const others = paths.filter((call) => ![...networkCalls, ...imageCalls, ...restCalls].includes(call));
    expect([networkCalls.length, imageCalls.length, restCalls.length]).toEqual([3, 1, 4]);
    expect(others.map((call) => call.replace(/\$\{.*?\}(?=\/)/, 'x')).toSorted()).toEqual(
      CALLS.map(([, call]) => call.replace(/(?<=^\/containers\/)[^/]+(?=\/)/, 'x')).toSorted(),
    );
  });
});

describe('examples/systemd', () => {
  const file = path.join(ROOT, 'systemd/lazy-proxy.service');
  /** The values of each key of the unit. */
  const keys = new Map<string, string[]>();
  for (const [, key = '', value = ''] of read(file).matchAll(/^(\w+)=(.*)$/gm))
    keys.set(key, [...(keys.get(key) ?? []), value]);

  test('starts the program with the file that its README installs', () => {
    const [start = ''] = keys.get('ExecStart') ?? [];
    expect(start).toBe('lazy-proxy run --config /etc/lazy-proxy/lazy-proxy.yaml');
    expect(read(ROOT, 'systemd/README.md')).toContain('/etc/lazy-proxy/lazy-proxy.yaml\n');
  });

  test('knows the exit status of a mistake, and the time that open connections get', () => {
    expect(keys.get('RestartPreventExitStatus')).toEqual([String(EXIT_UNUSABLE)]);
    expect(Number.parseInt(keys.get('TimeoutStopSec')?.[0] ?? '', 10) * 1_000).toBeGreaterThan(8_000);
  });

  test.skipIf(!existsSync('/usr/bin/systemd-analyze'))('is a unit that systemd takes', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'lazy-proxy-unit-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const unit = path.join(folder, 'lazy-proxy.service');
    // The program isn't installed here, and systemd looks whether it is.
    writeFileSync(unit, read(file).replace('ExecStart=lazy-proxy', `ExecStart=${process.execPath}`));
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
    // It complains of unknown keys and values, and all the same ends with 0.
    const lines = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('lazy-proxy.service'));
    expect({ status, lines }).toEqual({ status: 0, lines: [] });
  });
});

describe('examples/github-actions', () => {
  const folder = path.join(ROOT, 'github-actions');

  test('runs a command that succeeds', async () => {
    const workflow = parseYaml(read(folder, 'validate.yml')) as {
      readonly on: object;
      readonly jobs: { readonly validate: { readonly steps: readonly { readonly run?: string }[] } };
    };
    expect(Object.keys(workflow.on)).toContain('pull_request');
    const runs = workflow.jobs.validate.steps.map(({ run = '' }) => run.trim());
    const [, format, file = ''] = /lazy-proxy validate --format (\w+) (\S+)$/.exec(runs.at(-1) ?? '') ?? [];
    expect(format).toBe('github');
    const lines: string[] = [];
    const stdout = (line: string) => void lines.push(line);
    expect(await validate([file], { format: 'github', stdout, cwd: path.resolve(folder) })).toBe(0);
    expect(read(folder, 'README.md')).toContain(`\`${lines.join('\n')}\``);
  });
});
