/** The shipped form: what is in it, what is not, and that it lacks nothing. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findSchemaValidator, type SchemaValidator } from '../../../src/config/checks/schema-validator.ts';
import { PROGRAM, runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

const DIST = path.dirname(PROGRAM);
const KIB = 1024;

/** The packages whose code is in a bundle. */
function packagesIn(file: string): readonly string[] {
  const { sources } = JSON.parse(readFileSync(path.join(DIST, `${file}.map`), 'utf8')) as {
    readonly sources: readonly string[];
  };
  const names = sources.map((source) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1]);
  // A package's own map may name files that only its makers have.
  const isInstalled = (name: string) => existsSync(path.join('node_modules', name, 'package.json'));
  return [...new Set(names.filter((name) => name !== undefined))].filter(isInstalled);
}

describe('the dashboard', () => {
  const FOLDER = path.join(DIST, 'dashboard');

  test('has at most 90 KB, compressed, with everything', () => {
    const sizes = readdirSync(FOLDER).map((name) => statSync(path.join(FOLDER, name)).size);
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(90_000);
  });

  test('names the licence of what it is made of', () => {
    const text = readFileSync(path.join(DIST, 'THIRD-PARTY-LICENCES.txt'), 'utf8');
    expect(text).toMatch(/^# preact \d/m);
  });
});

describe('the bundle', () => {
  test.each([
    // It grows with the program; what that costs in memory is measured by `npm run bench -- idle`.
    ['main.js', 1_080],
    ['sources/config-process.js', 180],
    ['config/file.js', 180],
    ['proxy/open-api.js', 100],
    ['proxy/open-metrics.js', 50],
    // Of the Kubernetes client what reads a kubeconfig, without its classes for every kind of object.
    ['backends/kubernetes/api/kubeconfig-access.js', 300],
    ['relay/http/open-web.js', 110],
    ['relay/tls/certificates.js', 20],
    // With what writes certificates: loaded where the proxy makes some.
    ['relay/tls/authority/made-certificates.js', 300],
    ['packages/yaml.js', 200],
    ['packages/cron-parser.js', 200],
    ['packages/schema-validator.js', 310],
  ])('%s has at most %i KiB', (file, kib) => {
    expect(statSync(path.join(DIST, file)).size).toBeLessThan(kib * KIB);
  });

  test('main.js leaves out what is loaded later, and what is never used', () => {
    const heavy = [
      ...['yaml', 'ajv', 'cron-parser', 'luxon', 'thread-stream', 'tar-fs', 'readable-stream'],
      ...['ssh2', '@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs', '@kubernetes/client-node', 'koffi'],
      ...['prom-client', 'preact', '@peculiar/asn1-x509', '@peculiar/asn1-schema'],
    ];
    const found = packagesIn('main.js');
    expect(found).toContain('dockerode');
    expect(found.filter((name) => heavy.includes(name))).toEqual([]);
  });

  test('is written in ASCII alone', () => {
    // One other character, as in a regular expression, makes V8 hold a whole file at two bytes a character.
    const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /\.js$/.test(file),
    );
    const isWider = (file: string) => /[^\0-\x7f]/.test(readFileSync(path.join(DIST, file), 'utf8'));
    expect(files.filter((file) => !file.startsWith('dashboard/') && isWider(file))).toEqual([]);
  });

  test('holds of ajv only what its generated code calls', () => {
    const validator = readFileSync(path.join(DIST, 'packages/schema-validator.js.map'), 'utf8');
    const { sources } = JSON.parse(validator) as { readonly sources: readonly string[] };
    const files = sources.filter((source) => source.includes('node_modules'));
    expect(files.filter((file) => !file.includes('/runtime/'))).toEqual([]);
  });

  test('names the licence of every package in it', () => {
    const text = readFileSync(path.join(DIST, 'THIRD-PARTY-LICENCES.txt'), 'utf8');
    const named = [...text.matchAll(/^# (\S+) \d/gm)].map(([, name]) => name);
    const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' });
    const bundles = files.filter((file) => file.endsWith('.js.map')).map((file) => file.slice(0, -4));
    expect(bundles.length).toBeGreaterThan(5);
    expect(named).toEqual(expect.arrayContaining(bundles.flatMap(packagesIn)));
  });
});

describe('the generated validator', () => {
  const load = createRequire(import.meta.url);
  const { validate } = load(path.join(DIST, 'packages/schema-validator.js')) as {
    readonly validate: SchemaValidator;
  };
  const compiled = findSchemaValidator();

  test.each([
    [{ services: {} }],
    [undefined],
    [{ services: { a: { ports: [1, { b: 2 }], idle_timout: '5m' }, 'b c': null } }],
    [{ docker: { socket: 'x' }, status: { listen: [] }, backend: 'podman', y: 1, 'x-y': 1 }],
    [{ defaults: { idle_timeout: '5', cron_start: 3 }, kubernetes: { namespaces: [''] }, services: [] }],
  ])('says of %j what the compiler of the source says', (root) => {
    expect(validate(root)).toBe(compiled(root));
    expect(validate.errors).toEqual(compiled.errors);
  });
});

describe('the program as a bundle', () => {
  test('names the source in the stack of what nobody caught', async () => {
    // Output that can't be written is no error of the program's any more; this one is.
    const preload = 'JSON.stringify = () => { throw new Error("broken"); };';
    const folder = await createFolder({ 'preload.cjs': preload });
    const NODE_OPTIONS = `--require ${path.join(folder, 'preload.cjs')}`;
    const { status, stderr } = await runProgram(['validate', '--format', 'json', 'gone.yaml'], {
      env: { NODE_OPTIONS },
    });
    expect(status).not.toBe(0);
    const source = readFileSync('src/cli/validate.ts', 'utf8').split('\n');
    const [, place, line] = /(\/src\/cli\/validate\.ts):(\d+):\d+/.exec(stderr) ?? [];
    expect(place, stderr).toBeDefined();
    expect(source[Number(line) - 1]).toContain('JSON.stringify');
    expect(Math.max(...stderr.split('\n').map(({ length }) => length))).toBeLessThan(300);
  });

  test('refuses an engine behind ssh in its own words', async () => {
    const folder = await createFolder();
    const env = { DOCKER_HOST: 'ssh://me@127.0.0.1:1', STATUS_PORT: '0', LOG_FORMAT: 'json' };
    const { status, stdout } = await runProgram([], { cwd: folder, env });
    expect(status).toBe(2);
    expect(stdout).toContain(`as the engine's address`);
  });
});
