import { describe, expect, it } from 'vitest';
import { createFileParser } from '../../src/config/file.ts';
import { formatProblem } from '../../src/model/problem.ts';
import { aFile, serviceOf, tableOf } from '../support/builders.ts';

const parse = createFileParser();

function problemsOf(text: string): readonly string[] {
  return parse({ text, file: 'lazy-proxy.yaml' }).problems.map(formatProblem);
}

/** Each line of the text, then what is said about it. */
const MISTAKES: readonly (readonly [name: string, text: string, problems: readonly string[]])[] = [
  [
    'a target that is no number',
    'services:\n  db:\n    ports: ["80:http"]',
    ['3:13 error ports[0]: "80:http" is not [address:]listen:target'],
  ],
  [
    'a bare port',
    'services:\n  db:\n    ports: [5432]',
    ['3:13 error ports[0]: 5432 is not [address:]listen:target; write "5432:5432"'],
  ],
  [
    'a port outside the range',
    'services:\n  db:\n    ports: ["70000:1", "1:0"]',
    [
      '3:13 error ports[0]: "70000:1": port 70000 is outside 1–65535',
      '3:24 error ports[1]: "1:0": port 0 is outside 1–65535',
    ],
  ],
  [
    'ranges of unequal length',
    'services:\n  db:\n    ports: ["9000-9009:8000-8008"]',
    [
      '3:13 error ports[0]: "9000-9009:8000-8008": 10 listen ports and 9 target ports; both ranges must have the same length',
    ],
  ],
  [
    'an unknown key',
    'services:\n  db:\n    idle_timout: 5m',
    ['3:5 error idle_timout: unknown key; did you mean "idle_timeout"?'],
  ],
  ['an unknown top-level key', 'service: {}', ['1:1 error service: unknown key; did you mean "services"?']],
  [
    'an unknown key like no other',
    'docker:\n  zzz: 1',
    ['2:3 error docker.zzz: unknown key; known are socket, labels, label_prefix, join_networks'],
  ],
  [
    'a service field among the defaults',
    'defaults:\n  ports: ["80:80"]',
    ['2:3 error defaults.ports: belongs to a service, not to defaults'],
  ],
  [
    'a duplicate key',
    'services:\n  db:\n    ports: []\n    ports: []',
    ['4:5 error the key "ports" is given twice; keep one of them'],
  ],
  [
    'a duplicate service',
    'services:\n  db: {}\n  db: {}',
    ['3:3 error the key "db" is given twice; keep one of them'],
  ],
  [
    'a duplicate name in a list',
    'services:\n  - name: db\n  - name: db',
    ['3:11 error name: "db" is the name of another service already (lazy-proxy.yaml:2:11)'],
  ],
  ['an entry without name', 'services:\n  - ports: []', ['2:5 error name: is missing']],
  [
    'a name inside the mapping form',
    'services:\n  db:\n    name: db',
    ['3:5 error name: the key above is the name already; remove this line'],
  ],
  [
    'a bad range of addresses',
    'services:\n  db:\n    allow_list: [10.0.0.0/33, 010.0.0.1, 0x7f.1/8]',
    [
      '3:18 error allow_list[0]: "10.0.0.0/33" is not an IP address or CIDR range such as 192.168.0.0/16',
      '3:31 error allow_list[1]: "010.0.0.1" is not an IP address or CIDR range such as 192.168.0.0/16',
      '3:42 error allow_list[2]: "0x7f.1/8" is not an IP address or CIDR range such as 192.168.0.0/16',
    ],
  ],
  [
    'a cron expression of six fields',
    'services:\n  db:\n    cron_start: "0 0 8 * * 1"',
    [
      '3:17 error cron_start: "0 0 8 * * 1" has 6 fields, not five fields: minute hour day-of-month month day-of-week, such as "30 8 * * 1-5"',
    ],
  ],
  [
    'a cron expression that never fires',
    'services:\n  db:\n    cron_stop: "0 0 31 2 *"',
    ['3:16 error cron_stop: "0 0 31 2 *" is not a cron expression: invalid explicit day of month definition'],
  ],
  [
    'an unknown time zone',
    'services:\n  db:\n    timezone: Mars/Phobos',
    ['3:15 error timezone: "Mars/Phobos" is not a known time zone such as Europe/Paris or UTC'],
  ],
  [
    'a cycle',
    'services:\n  a:\n    dependants: [b]\n  b:\n    dependants: [a]',
    ['5:18 error dependants[0]: a → b → a is a cycle; remove one of the links'],
  ],
  [
    'a service that depends on itself by its container',
    'services:\n  a:\n    container: c\n    dependants: [c]',
    ['4:18 error dependants[0]: a → a is a cycle; remove one of the links'],
  ],
  [
    'an unknown dependant',
    'services:\n  worker: {}\n  a:\n    dependants: [wroker]',
    [
      '4:18 warning dependants[0]: "wroker" is no service of this file; a container of this name is meant; did you mean "worker"?',
    ],
  ],
  [
    'two services on one port',
    'services:\n  a:\n    ports: ["80:1"]\n  b:\n    ports: ["127.0.0.1:80:1"]',
    [
      '5:13 error ports[0]: "127.0.0.1:80:1" listens on tcp 127.0.0.1:80, which service "a" does already (lazy-proxy.yaml:3:13)',
    ],
  ],
  [
    'one service twice on one port',
    'services:\n  a:\n    ports: ["80-82:1-3", "81:5"]',
    [
      '3:26 error ports[1]: "81:5" listens on tcp *:81, which this service does already (lazy-proxy.yaml:3:13)',
    ],
  ],
  [
    'two services for one container',
    'services:\n  a: {}\n  b:\n    container: a',
    [
      '4:16 error container: "a" is the container of service "a" already (lazy-proxy.yaml:2:3); put both into one service',
    ],
  ],
  [
    'container and command together',
    'services:\n  a:\n    container: x\n    command: [node]',
    ['4:5 error command: given beside container; a service is either a container or a local process'],
  ],
  [
    'both spellings of a duration',
    'services:\n  a:\n    idle_timeout_secs: 3\n    idle_timeout: 3',
    ['3:5 error idle_timeout_secs: given beside idle_timeout; keep one of them'],
  ],
  [
    'a bad duration',
    'defaults:\n  idle_timeout: 5 minutes',
    [
      '2:17 error defaults.idle_timeout: "5 minutes" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"',
    ],
  ],
  [
    'a negative duration',
    'services:\n  a:\n    stop_timeout: -1',
    [
      '3:19 error stop_timeout: -1 is negative; it must be a duration such as 90 (seconds), "90s", "1h30m" or "500ms"',
    ],
  ],
  [
    'a start budget of nothing',
    'services:\n  a:\n    start_timeout: 0',
    [
      '3:20 error start_timeout: 0 is not more than 0; it must be a duration such as 90 (seconds), "90s", "1h30m" or "500ms"',
    ],
  ],
  [
    'a key without value',
    'services:\n  a:\n    idle_timeout:\n    ports: []',
    [
      '3:5 error idle_timeout: has no value; write a duration such as 90 (seconds), "90s", "1h30m" or "500ms", or remove the key',
    ],
  ],
  [
    'services without value',
    'services:',
    ['1:1 error services: has no value; write {} if no service is meant'],
  ],
  [
    'a service without value',
    'services:\n  a:',
    ['2:3 error services.a: has no value; write {} for a container without settings of its own'],
  ],
  [
    'a webhook that is no URL',
    'services: {a: {webhook_url: "ftp://x"}}',
    ['1:29 error webhook_url: "ftp://x" is not an http:// or https:// URL'],
  ],
  [
    'an option for a process on a container',
    'services:\n  a:\n    cwd: /srv',
    ['3:5 warning cwd: has no effect without command'],
  ],
  [
    'a UDP option on a service of TCP alone',
    'services:\n  a:\n    ports: ["1:1"]\n    udp_queue_age: 1s',
    ['4:5 warning udp_queue_age: has no effect without udp_ports'],
  ],
  ['a list where the file should be', '- a', ['1:1 error the file is a list, not a mapping']],
  ['an alias without anchor', 'services: *x', ['1:11 error *x has no anchor; write &x at an earlier value']],
  [
    'broken YAML',
    'services: [',
    [
      '1:12 error not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  ],
  ['an empty file', '', ['1:1 error the file is empty; write "services: {}" if no service is meant']],
  [
    'a file of comments',
    '# x\n\n',
    ['1:1 error the file is empty; write "services: {}" if no service is meant'],
  ],
];

describe('parseConfigFile', () => {
  it.each(MISTAKES)('reports %s', (_name, text, expected) => {
    expect(problemsOf(text)).toEqual(expected.map((line) => `lazy-proxy.yaml:${line}`));
  });

  it('reports all mistakes at once, by position, when there are many', () => {
    const text = MISTAKES.slice(0, 3)
      .map(([, part], index) => part.replace('services:\n  db:', `  db${index}:`))
      .join('\n');
    expect(problemsOf(`services:\n${text}\nstatuss: 1`)).toEqual([
      'lazy-proxy.yaml:3:13 error ports[0]: "80:http" is not [address:]listen:target',
      'lazy-proxy.yaml:5:13 error ports[0]: 5432 is not [address:]listen:target; write "5432:5432"',
      'lazy-proxy.yaml:7:13 error ports[0]: "70000:1": port 70000 is outside 1–65535',
      'lazy-proxy.yaml:7:24 error ports[1]: "1:0": port 0 is outside 1–65535',
      'lazy-proxy.yaml:8:1 error statuss: unknown key; did you mean "status"?',
    ]);
  });

  it('refuses the whole file when one service is wrong', () => {
    expect(parse({ text: 'services: {a: {ports: ["1"]}, b: {}}', file: 'f' }).config).toBeUndefined();
  });

  it('gives a configuration beside warnings', () => {
    const { config, problems } = parse({ text: 'services: {a: {cwd: /x}}', file: 'f' });
    expect(config?.services.map(({ name }) => name)).toEqual(['a']);
    expect(problems).toHaveLength(1);
  });

  it('points into the anchor when an aliased or merged value is wrong', () => {
    const text = [
      'x-base: &base',
      '  idle_timeout: nope',
      'x-list: &list ["1.2.3"]',
      'services:',
      '  a: {<<: *base, allow_list: *list}',
      '  b:',
      '    <<: [*base]',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      expect.stringContaining('lazy-proxy.yaml:2:17 error idle_timeout: "nope"'),
      expect.stringContaining('lazy-proxy.yaml:3:16 error allow_list[0]: "1.2.3"'),
    ]);
  });

  it('lets own keys win over merged ones, and earlier merges over later ones', () => {
    const text = [
      'x-a: &a {idle_timeout: 1, max_pending: 1, start_timeout: 1}',
      'x-b: &b {idle_timeout: 2, max_pending: 2, stop_timeout: 2}',
      'services:',
      '  s:',
      '    max_pending: 3',
      '    <<: [*a, *b]',
    ].join('\n');
    const service = aFile(text).services[0];
    expect(service?.draft.max_pending).toEqual({
      value: 3,
      origin: { kind: 'file', file: 'lazy-proxy.yaml', line: 5, column: 18 },
    });
    expect(service?.draft.idle_timeout?.origin).toMatchObject({ line: 1, column: 24 });
    expect(service?.draft.stop_timeout).toMatchObject({ value: 2_000, origin: { line: 2 } });
  });

  it('leaves top-level keys that begin with x- alone', () => {
    expect(problemsOf('x-anything: [1, {a: 2}]\nservices: {}')).toEqual([]);
  });

  it('takes many uses of one anchor', () => {
    const services = Array.from(
      { length: 3_000 },
      (_, index) => `  s${index}: {<<: *base, ports: ["${index + 1}:80"]}`,
    );
    expect(aFile(`x-base: &base {idle_timeout: 5}\nservices:\n${services.join('\n')}`).services).toHaveLength(
      3_000,
    );
  });

  it('refuses an alias bomb', () => {
    const levels = Array.from({ length: 12 }, (_, level) =>
      level === 0
        ? 'x-0: &a0 [1]'
        : `x-${level}: &a${level} [${Array(10)
            .fill(`*a${level - 1}`)
            .join(', ')}]`,
    );
    expect(problemsOf(levels.join('\n'))).toEqual([
      'lazy-proxy.yaml:1:1 error its aliases unfold to more than 5000000 values',
    ]);
  });

  it('gives up on an anchor that merges itself', () => {
    expect(problemsOf('services: {a: &a {<<: *a}}')).toEqual([
      "lazy-proxy.yaml:1:23 error <<: a mapping can't be merged into itself",
    ]);
    expect(problemsOf('x-a: &a [*a]')).toEqual([
      'lazy-proxy.yaml:1:10 error an alias to what it stands in has no end',
    ]);
  });

  it('says so when what is merged is no mapping, and when nesting has no end in sight', () => {
    expect(problemsOf('services: {a: {<<: 3}}')).toEqual([
      'lazy-proxy.yaml:1:20 error <<: only a mapping, an alias to one, or a list of these can be merged',
    ]);
    expect(problemsOf('['.repeat(100_000))).not.toEqual([]);
  });

  it("reads the Go project's file unchanged", () => {
    const text = [
      'services:',
      '  - name: "my-container"',
      '    ports:',
      '      - "9000:80"',
      '    udp_ports:',
      '      - "5353:53"',
      '    allow_list: ["192.168.0.0/24"]',
      '    block_list: ["10.0.0.1"]',
      '    idle_timeout_secs: 60',
      '    start_timeout_secs: 30',
      '    webhook_url: "https://example.com/hook"',
      '    dependants: ["other-service"]',
      '    cron_start: "0 9 * * 1-5"',
      '    cron_stop:  "0 17 * * 1-5"',
      '    http_healthcheck: "http://{{container}}:8080/health"',
      '  - name: other-service',
      '    ports: ["9001:80"]',
    ].join('\n');
    expect(problemsOf(text)).toEqual([]);
    const service = serviceOf(tableOf({ text }), 'my-container');
    expect(service).toMatchObject({
      workload: { kind: 'docker', container: 'my-container' },
      listeners: [
        { protocol: 'tcp', address: '', port: 9000, targetPort: 80 },
        { protocol: 'udp', address: '', port: 5353, targetPort: 53 },
      ],
      idleTimeoutMs: 60_000,
      startTimeoutMs: 30_000,
      dependants: ['other-service'],
      cronStart: '0 9 * * 1-5',
    });
  });

  it("takes a relative cwd from the file's folder", () => {
    const cwdIn = (cwd: string) =>
      parse({ text: `services: {a: {command: [x], cwd: ${cwd}}}`, file: 'f', folder: '/srv' }).config
        ?.services[0]?.draft.cwd?.value;
    expect([cwdIn('./app'), cwdIn('/opt')]).toEqual(['/srv/app', '/opt']);
  });

  it('reads the settings', () => {
    const text = 'status: off\ndocker: {socket: /x, labels: false, label_prefix: a.b, join_networks: false}';
    expect(aFile(text).settings).toMatchObject({
      status: { value: 'off', origin: { line: 1, column: 9 } },
      docker_socket: { value: '/x' },
      docker_labels: { value: false },
      docker_label_prefix: { value: 'a.b' },
      docker_join_networks: { value: false },
    });
    expect(aFile('status: {listen: "[::1]:81"}').settings.status?.value).toEqual({
      address: '::1',
      port: 81,
    });
  });
});
