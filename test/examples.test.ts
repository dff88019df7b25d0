import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseDocument, parse as parseYaml } from 'yaml';
import { validate } from '../src/cli/validate.ts';
import { parseEnvironment } from '../src/config/environment.ts';
import { createFileParser } from '../src/config/file.ts';
import { parseLabels } from '../src/config/labels.ts';
import { formatProblem } from '../src/model/problem.ts';
import type { ServiceTable } from '../src/model/table.ts';
import { workloadName } from '../src/model/workload.ts';
import { buildTable } from '../src/table/build-table.ts';
import { DEFAULT_LABEL_PREFIXES, listOwnLabels } from '../src/model/label-names.ts';

const ROOT = 'examples';
const IMAGE = 'lazy-proxy';
const CONFIG_FOLDER = '/etc/lazy-proxy';
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
      folders.filter((folder) => !['github-actions', 'kubernetes', 'quickstart'].includes(folder)),
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

  test.each(yamlFiles)('%s names a schema that exists, where it names one', (file) => {
    const schema = /^# yaml-language-server: \$schema=(.+)$/m.exec(read(file))?.[1];
    expect(schema !== undefined).toBe(configFiles.includes(file));
    if (schema !== undefined) expect(existsSync(path.join(path.dirname(file), schema)), schema).toBe(true);
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
    const listeners = [...tableOf(folder).entries.values()].flatMap(({ service }) => service.listeners);
    const wanted = listeners.map(({ port, protocol }) => `${port}/${protocol}`);
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
    // The example names these in comments: only some settings need them.
    const networkCalls = paths.filter((call) => call.startsWith('/networks/'));
    const imageCalls = paths.filter((call) => call.startsWith('/images/'));
    const others = paths.filter((call) => ![...networkCalls, ...imageCalls].includes(call));
    expect([networkCalls.length, imageCalls.length]).toEqual([3, 1]);
    expect(others.map((call) => call.replace(/\$\{.*?\}(?=\/)/, 'x')).toSorted()).toEqual(
      CALLS.map(([, call]) => call.replace(/(?<=^\/containers\/)[^/]+(?=\/)/, 'x')).toSorted(),
    );
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
