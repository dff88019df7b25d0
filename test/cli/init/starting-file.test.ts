import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ContainerSurvey, SurveyedContainer } from '../../../src/backends/docker/survey-containers.ts';
import { writeStartingFile } from '../../../src/cli/init/starting-file.ts';
import { type Environment, parseEnvironment } from '../../../src/config/environment.ts';
import { createFileParser, type ParseConfigFile } from '../../../src/config/file.ts';
import { resolveSettings } from '../../../src/config/resolve-settings.ts';

type Container = Partial<Omit<SurveyedContainer, 'published'>> & { readonly name: string };
type Port = SurveyedContainer['published'][number];

/** `5432:5432`, `127.0.0.1:53:53/udp`, `:80` = the engine chooses. */
function published(...texts: string[]): readonly Port[] {
  return texts.map((text) => {
    const [, address = '', port = '', target, protocol] =
      /^(?:(\[[^\]]+\]|[\d.]+):)?(\d*):(\d+)(?:\/(udp))?$/.exec(text) ?? [];
    return {
      protocol: protocol === 'udp' ? 'udp' : 'tcp',
      address: address.replace(/^\[|\]$/g, ''),
      port: port === '' ? undefined : Number(port),
      targetPort: Number(target),
    };
  });
}

function container({
  ports = [],
  ...own
}: Container & { readonly ports?: readonly string[] }): SurveyedContainer {
  return {
    ...{ labels: {}, isRunning: true, exposed: [], foreignPorts: [], network: { kind: 'own' } },
    ...{ isRemovedAtStop: false, isProxy: false, published: published(...ports) },
    ...own,
  };
}

function compose(service: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const own = Object.entries({ project: 'shop', service, ...more });
  return Object.fromEntries(own.map(([key, value]) => [`com.docker.compose.${key}`, value]));
}

interface Where {
  readonly env?: Readonly<Record<string, string>>;
  readonly isInContainer?: boolean;
}

const parsers = new Map<string, ParseConfigFile>();

/** Each compiles the schema. */
function parserFor(environment: Environment): ParseConfigFile {
  const key = JSON.stringify(environment);
  const parser =
    parsers.get(key) ?? createFileParser({ environment: { ...environment, detected: {} }, flags: {} });
  parsers.set(key, parser);
  return parser;
}

function write(
  containers: readonly SurveyedContainer[] | undefined,
  { env = {}, isInContainer = false }: Where = {},
) {
  const { environment } = parseEnvironment(env);
  const survey: ContainerSurvey | undefined = containers && { containers, left: 0, isInContainer };
  const parse = parserFor(environment);
  const made = writeStartingFile({
    survey,
    settings: resolveSettings({ environment, flags: {}, file: undefined }).settings,
    idleTimeoutMs: 120_000,
    findProblems: (text) => parse({ text, file: 'lazy-proxy.yaml' }).problems,
  });
  const { config, problems } = parse({ text: made.text, file: 'lazy-proxy.yaml' });
  const services = new Map(config?.services.map(({ name, draft }) => [name, draft]));
  const listenersOf = (name: string) =>
    ['ports', 'udp_ports'].flatMap(
      (field) => services.get(name)?.[field as 'ports' | 'udp_ports']?.value ?? [],
    );
  return { ...made, config, problems, services, listenersOf };
}

describe('the file to begin with', () => {
  test('serves what is published, at the same ports', () => {
    const { text, problems, services, listenersOf } = write([
      container({ name: 'web', ports: ['8000:80', '127.0.0.1:8443:443'] }),
      container({
        name: 'dns',
        ports: ['[::1]:53:53/udp', '0.0.0.0:5353:53', '[::]:5353:53'],
        isRunning: false,
      }),
    ]);
    expect(problems).toEqual([]);
    expect([...services.keys()]).toEqual(['web', 'dns'].toSorted());
    expect(listenersOf('web')).toEqual([
      { protocol: 'tcp', address: '', port: 8000, targetPort: 80 },
      { protocol: 'tcp', address: '127.0.0.1', port: 8443, targetPort: 443 },
    ]);
    expect(listenersOf('dns')).toEqual([
      { protocol: 'tcp', address: '', port: 5353, targetPort: 53 },
      { protocol: 'udp', address: '::1', port: 53, targetPort: 53 },
    ]);
    expect(text).toContain('take `ports:` out\n');
  });

  test('quotes names that YAML takes for something else', () => {
    const names = ['true', 'No', '12', '1e3', '0x10', '1_000', 'y', 'a.b-c_d'];
    const all = names.map((name, index) => container({ name, ports: [`${index + 1}:1`] }));
    expect(write(all).served.toSorted()).toEqual(names.toSorted());
  });

  test('writes neighbouring ports as a range', () => {
    const ports = Array.from({ length: 101 }, (_, index) => `${10_000 + index}:${10_000 + index}/udp`);
    expect(write([container({ name: 'media', ports })]).text).toContain(
      'udp_ports: ["10000-10100:10000-10100"]',
    );
  });

  test('gives a port that two want to who runs, and says so at the other', () => {
    const { text, services, problems } = write([
      container({ name: 'a', ports: ['80:8080'], isRunning: false }),
      container({ name: 'b', ports: ['80:80'] }),
      container({ name: 'c', ports: ['127.0.0.1:80:1', '81:81'] }),
    ]);
    expect(problems).toEqual([]);
    expect([...services.keys()]).toEqual(['b', 'c']);
    expect(text).toContain('Port 80/tcp is taken by b already: choose another one for its port 8080.');
    expect(text).toContain('  # a:\n  #   ports: ["80:8080"]\n');
    expect(text).toContain('Port 80/tcp is taken by b already: choose another one for its port 1.');
  });

  test('moves the status server where its usual port is taken', () => {
    const { text, config, statusPort } = write([
      container({ name: 'web', ports: ['8080:80'] }),
      container({
        name: 'api',
        labels: { 'lazy-proxy.enabled': 'true', 'lazy-proxy.ports': '8081:80' },
      }),
    ]);
    expect(statusPort).toBe(8082);
    expect(config?.settings.status?.value).toEqual({ address: '0.0.0.0', port: 8082 });
    expect(text).toContain('8080 is taken');
  });

  test('makes a comment of what can not stand beside the environment, and says why', () => {
    const { text, services } = write([container({ name: 'web', ports: ['9000:80'] })], {
      env: { STATUS_PORT: '9000' },
    });
    expect(services.size).toBe(0);
    expect(text).toMatch(/# Not served: .*the status server does already/);
    expect(text).toContain('  # web:\n  #   ports: ["9000:80"]\n');
  });

  test('leaves to labels what they serve, and gives their ports to nobody', () => {
    const labels = { 'lazy-proxy.enabled': 'true', 'lazy-proxy.ports': '8000:80' };
    const { text, services, labelled } = write([
      container({ name: 'api', labels }),
      container({
        name: 'old',
        labels: {
          'lazy-tcp-proxy.enabled': 'true',
          'lazy-tcp-proxy.prots': '1:1',
          'lazy-tcp-proxy.ports': 'x',
        },
      }),
      container({ name: 'web', ports: ['8000:80'] }),
    ]);
    expect(labelled).toEqual(['api', 'old']);
    expect(services.size).toBe(0);
    expect(text).toContain('# - api: its labels say how it is served');
    // The mistake that refuses it, not what is only warned of.
    expect(text).toContain(
      '# - old: its labels opt in, but have a mistake: label lazy-tcp-proxy.ports: ports[0]: "x" is not',
    );
    expect(text).toContain('Port 8000/tcp is taken by api already');
  });

  test.each<[Omit<Container, 'name'>, string]>([
    [{ isProxy: true }, 'it is the proxy itself'],
    [{ isRemovedAtStop: true }, '(--rm)'],
    [{ network: { kind: 'host' } }, "the machine's own network"],
    [{ network: { kind: 'container', of: 'vpn' } }, 'the network of another container (vpn)'],
    [{ labels: compose('web', { oneoff: 'True' }) }, 'docker compose run'],
    [{ labels: { 'com.docker.swarm.service.name': 'shop_web' } }, 'swarm_service: shop_web'],
  ])('leaves out %j, and says why', (own, reason) => {
    const { text, services } = write([container({ name: 'web', ports: ['8000:80'], ...own })]);
    expect(services.size).toBe(0);
    expect(text).toMatch(/^# Left out:\n# - web: /m);
    expect(text).toContain(reason);
  });

  test('proposes what only other containers reach, as a comment', () => {
    const { text, services, proposed } = write([
      container({ name: 'cache', exposed: [{ protocol: 'tcp', port: 6379 }] }),
    ]);
    expect(services.size).toBe(0);
    expect(proposed).toEqual(['cache']);
    expect(text).toContain('  # cache:\n  #   ports: ["6379:6379"]\n');
  });

  test('takes the order from Compose for what it serves, and proposes that for the rest', () => {
    const depends_on = 'db:service_healthy:false,cache:service_started:true,gone:x';
    const { text, services } = write([
      container({ name: 'shop-web-1', ports: ['80:80'], labels: compose('web', { depends_on }) }),
      container({ name: 'shop-db-1', ports: ['5432:5432'], labels: compose('db') }),
      container({ name: 'shop-cache-1', exposed: [{ protocol: 'tcp', port: 1 }], labels: compose('cache') }),
    ]);
    expect(services.get('shop-web-1')?.depends_on?.value).toEqual([
      { name: 'shop-db-1', condition: 'healthy' },
    ]);
    expect(text).toContain("    # What it needs beside that, and this file doesn't serve: shop-cache-1.\n");
    expect(text).toContain('    # depends_on: compose # ');
    expect(text).toContain('service web of the Compose project shop');
  });

  test('writes no cycle of dependencies, though labels have one', () => {
    const { services, problems } = write([
      container({ name: 'a', ports: ['1:1'], labels: compose('a', { depends_on: 'b' }) }),
      container({ name: 'b', ports: ['2:2'], labels: compose('b', { depends_on: 'a' }) }),
    ]);
    expect(problems).toEqual([]);
    expect([...services.values()].filter(({ depends_on }) => depends_on !== undefined)).toHaveLength(1);
  });

  test("in a container leaves addresses to the proxy's own ports", () => {
    const { text, listenersOf } = write([container({ name: 'db', ports: ['127.0.0.1:5432:5433'] })], {
      isInContainer: true,
    });
    expect(listenersOf('db')).toEqual([{ protocol: 'tcp', address: '', port: 5432, targetPort: 5433 }]);
    expect(text).toContain('#      ports:\n#        - "127.0.0.1:5432:5432"\n');
  });

  test('names the container where the key would be a Deployment', () => {
    const { services } = write([container({ name: 'db', ports: ['1:1'] })], {
      env: { LAZY_PROXY_BACKEND: 'kubernetes' },
    });
    expect(services.get('db')?.container?.value).toBe('db');
  });

  test('has examples that can be used where no engine answers', () => {
    const { text, problems } = write(undefined);
    expect(problems).toEqual([]);
    const [head = '', examples = ''] = text.split(/ \{\} #.*\n/);
    const used = examples.replace(/^ {2}# (?=[ a-z])/gm, '  ').replace(/^ {2}#$/gm, '');
    const { config, problems: others } = createFileParser()({ text: `${head}\n${used}`, file: 'x' });
    expect(others).toEqual([]);
    expect(config?.services.map(({ name }) => name)).toEqual(['web', 'db', 'syslog', 'hello']);
  });
});

describe('what it writes', () => {
  const odd = fc.constantFrom(
    ...[
      'true',
      'null',
      'no',
      '1e3',
      '0x10',
      '12',
      '1_000',
      '-a',
      '',
      '<<',
      '~',
      'a b',
      'a: b',
      'x-y',
      '#',
      '\n',
    ],
    ...[
      'services',
      '\u202e',
      '\u2028# x',
      "'",
      '"',
      '{{container}}',
      'A'.repeat(300),
      '2001-01-01',
      '.inf',
      'n',
    ],
  );
  const name = fc.oneof(
    odd,
    fc.string({ unit: 'grapheme', maxLength: 12 }),
    fc.stringMatching(/^[\w.-]{1,9}$/),
  );
  const text = fc.oneof(odd, fc.string({ unit: 'binary', maxLength: 20 }));
  const port = fc.oneof(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 8_078, max: 8_084 }));
  const publishedPort = fc.record({
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    address: fc.constantFrom(
      '',
      '0.0.0.0',
      '::',
      '127.0.0.1',
      '::1',
      'fe80::1%eth0',
      '::ffff:1.2.3.4',
      'bad',
    ),
    port: fc.option(port, { nil: undefined }),
    targetPort: port,
  });
  const labels = fc.dictionary(
    fc.constantFrom(
      ...['project', 'service', 'depends_on', 'oneoff', 'project.config_files'].map(
        (key) => `com.docker.compose.${key}`,
      ),
      ...['enabled', 'ports', 'udp-ports'].map((key) => `lazy-proxy.${key}`),
      'com.docker.swarm.service.name',
    ),
    fc.oneof(text, fc.constantFrom('true', '8080:80', 'a', 'b', 'a:x,b:y', 'b:x,a:y')),
  );
  const any = fc.record({
    ...{ name: fc.oneof(name, fc.constantFrom('a', 'b', 'c')), labels, isRunning: fc.boolean() },
    published: fc.array(publishedPort, { maxLength: 6 }),
    exposed: fc.array(fc.record({ protocol: fc.constantFrom('tcp' as const, 'udp' as const), port }), {
      maxLength: 3,
    }),
    foreignPorts: fc.array(text, { maxLength: 2 }),
    network: fc.oneof(
      { weight: 5, arbitrary: fc.constant({ kind: 'own' as const }) },
      fc.record({ kind: fc.constant('container' as const), of: text }),
    ),
    isRemovedAtStop: fc.constant(false),
    isProxy: fc.constant(false),
  });
  const where = fc.record({
    isInContainer: fc.boolean(),
    env: fc.constantFrom<Readonly<Record<string, string>>>(
      {},
      { STATUS_PORT: '8081' },
      { LAZY_PROXY_BACKEND: 'kubernetes' },
      { DOCKER_HOST: 'tcp://127.0.0.1:1' },
    ),
  });

  test('is valid whatever the engine has, and each container with a usable name is in it', () => {
    const containers = fc.uniqueArray(any, { selector: ({ name }) => name, maxLength: 8 });
    fc.assert(
      fc.property(containers, where, (all, place) => {
        const { problems, services, served, listeners } = write(all, place);
        expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
        expect([...services.keys()].toSorted()).toEqual(served.toSorted());
        const drafts = [...services.values()];
        const count = (field: 'ports' | 'udp_ports') =>
          drafts.reduce((sum, draft) => sum + (draft[field]?.value.length ?? 0), 0);
        expect(count('ports') + count('udp_ports')).toBe(listeners);
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});
