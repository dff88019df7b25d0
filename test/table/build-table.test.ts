import { describe, expect, test } from 'vitest';
import { type LabelReading, parseLabels } from '../../src/config/labels.ts';
import { formatProblem } from '../../src/model/problem.ts';
import type { ServiceTable } from '../../src/model/table.ts';
import { NO_WEB } from '../../src/model/web.ts';
import { anEnvironment, labelsOf, PREFIX, serviceOf, tableOf } from '../support/builders.ts';
import { cpuTimeOf } from '../support/cpu-time.ts';

function problemsOf(table: ServiceTable): readonly string[] {
  return table.problems.map(formatProblem);
}

const envIdle = anEnvironment({
  defaults: {
    idle_timeout: { value: 9_000, origin: { kind: 'environment', variable: 'IDLE_TIMEOUT_SECS' } },
  },
});

describe('buildTable', () => {
  test.each([
    [
      'the file',
      'defaults: {idle_timeout: 3}\nservices: {db: {idle_timeout: 1}}',
      { 'idle-timeout': '2' },
      1_000,
      'file',
    ],
    ['a label', 'defaults: {idle_timeout: 3}\nservices: {db: {}}', { 'idle-timeout': '2' }, 2_000, 'label'],
    ['the defaults', 'defaults: {idle_timeout: 3}\nservices: {db: {}}', {}, 3_000, 'file'],
    ['the environment', 'services: {db: {}}', {}, 9_000, 'environment'],
  ])('takes a field from %s when no layer above sets it', (_name, text, labels, idleTimeoutMs, kind) => {
    const table = tableOf({
      text,
      labelled: [labelsOf('db', labels as Record<string, string>)],
      environment: envIdle,
    });
    expect(serviceOf(table, 'db').idleTimeoutMs).toBe(idleTimeoutMs);
    expect(table.entries.get('db')?.origins['idle_timeout']?.kind).toBe(kind);
  });

  test('takes the built-in values when nothing is set', () => {
    const table = tableOf({ labelled: [labelsOf('db', { ports: '80:80' })] });
    expect(serviceOf(table, 'db')).toEqual({
      name: 'db',
      workload: { kind: 'docker', container: 'db' },
      listeners: [{ protocol: 'tcp', address: '', port: 80, targetPort: 80 }],
      availability: 'on_demand',
      awake: [],
      allowList: [],
      blockList: [],
      wakeList: [],
      wakeOn: 'connect',
      proxyProtocol: 'off',
      acceptProxyProtocol: false,
      idleTimeoutMs: 120_000,
      startTimeoutMs: 30_000,
      stopTimeoutMs: undefined,
      rest: {
        ...{ idleWhen: 'no_connections', ignoreBelow: { bytes: 0, per: 'min' }, busyCheck: undefined },
        way: 'stop',
        pauseAfterMs: undefined,
        stopSignal: undefined,
        minAwakeMs: 0,
      },
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
      group: undefined,
      memoryBytes: undefined,
      dependsOn: [],
      dependsOnBy: 'file',
      dependantOfLabels: true,
      isOfFile: false,
      cronStart: undefined,
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
    });
    expect(table.entries.get('db')?.origins['max_pending']).toEqual({ kind: 'default' });
  });

  test('lets an empty schedule of the file beat that of a label', () => {
    const table = tableOf({
      text: 'services: {a: {ports: ["1:1"], cron_start: ""}}',
      labelled: [labelsOf('a', { 'cron-start': '@daily', 'cron-stop': '@hourly' })],
    });
    expect(serviceOf(table, 'a')).toMatchObject({ cronStart: undefined, cronStop: '0 * * * *' });
  });

  test('lets an explicit 0 or empty value beat a lower layer', () => {
    const text = [
      'defaults: {idle_timeout: 3, webhook_url: "http://c", block_list: [1.1.1.1]}',
      'services: {db: {idle_timeout: 0, stop_timeout: 0, allow_list: [], block_list: [], webhook_url: "", ports: [], dependants: []}}',
    ].join('\n');
    const labels = {
      'idle-timeout': '5',
      'stop-timeout': '5',
      'allow-list': '10.0.0.1',
      'block-list': '10.0.0.2',
      'webhook-url': 'http://b',
      ports: '80:80',
      dependants: 'x',
    };
    expect(
      serviceOf(tableOf({ text, labelled: [labelsOf('db', labels)], environment: envIdle }), 'db'),
    ).toMatchObject({
      idleTimeoutMs: 0,
      stopTimeoutMs: 0,
      allowList: [],
      blockList: [],
      webhookUrl: undefined,
      listeners: [],
      dependants: [],
    });
  });

  test('keeps of each URL whether a label or the file has it', () => {
    const labels = {
      ports: '80:80',
      'webhook-url': 'http://b/',
      'http-healthcheck': 'http://{{container}}/',
    };
    const labelled = [labelsOf('db', labels)];
    const defaults = 'defaults: {webhook_url: "http://a/"}';
    expect(serviceOf(tableOf({ text: defaults, labelled }), 'db')).toMatchObject({
      webhookUrl: { url: 'http://b/', from: 'label' },
      httpHealthcheck: { url: 'http://{{container}}/', from: 'label' },
    });
    const text = 'services: {db: {webhook_url: "http://b/"}}';
    expect(serviceOf(tableOf({ text, labelled }), 'db').webhookUrl).toEqual({
      url: 'http://b/',
      from: 'file',
    });
    const without = [labelsOf('db', { ports: '80:80' })];
    expect(serviceOf(tableOf({ text: defaults, labelled: without }), 'db').webhookUrl).toEqual({
      url: 'http://a/',
      from: 'file',
    });
  });

  test('lets an explicit 0 or blank list of a label beat the defaults', () => {
    const text = 'defaults: {idle_timeout: 3, block_list: [1.1.1.1]}';
    const labelled = [labelsOf('db', { ports: '80:80', 'idle-timeout-secs': '0', 'block-list': '' })];
    expect(serviceOf(tableOf({ text, labelled }), 'db')).toMatchObject({ idleTimeoutMs: 0, blockList: [] });
  });

  test('matches labels by container name', () => {
    const text = 'services: {db: {container: my-postgres, ports: ["1:1"]}}';
    const table = tableOf({
      text,
      labelled: [labelsOf('my-postgres', { ports: '2:2', 'max-pending': '7' })],
    });
    expect([...table.entries.keys()]).toEqual(['db']);
    expect(serviceOf(table, 'db')).toMatchObject({ maxPending: 7, listeners: [{ port: 1 }] });
  });

  test.each([
    ['ignore_labels', 'services: {db: {ignore_labels: true, ports: ["1:1"]}}'],
    ['docker.labels', 'docker: {labels: false}\nservices: {db: {ports: ["1:1"]}}'],
  ])('leaves labels out, also broken ones, with %s', (_name, text) => {
    const table = tableOf({ text, labelled: [labelsOf('db', { 'max-pending': 'x' })] });
    expect(serviceOf(table, 'db').maxPending).toBe(1_024);
    expect(table.problems).toEqual([]);
  });

  test('refuses only the container whose labels are broken', () => {
    const text = 'services: {db: {ports: ["1:1"]}}';
    const labelled = [
      labelsOf('db', { 'allow-list': 'everybody' }),
      labelsOf('web', { ports: '2' }),
      labelsOf('good', { ports: '3:3' }),
    ];
    const table = tableOf({ text, labelled });
    expect([...table.entries.keys()]).toEqual(['good']);
    expect(table.problems.map(({ origin }) => origin)).toEqual([
      { kind: 'label', workload: { kind: 'docker', name: 'db' }, label: `${PREFIX}.allow-list` },
      { kind: 'label', workload: { kind: 'docker', name: 'web' }, label: `${PREFIX}.ports` },
    ]);
  });

  test('refuses a labelled container whose name belongs to another service of the file', () => {
    const text = 'services: {db: {container: other, ports: ["1:1"]}, run: {command: [x], ports: ["2:3"]}}';
    const table = tableOf({
      text,
      labelled: [labelsOf('db', { ports: '3:3' }), labelsOf('run', { ports: '4:4' })],
    });
    expect(serviceOf(table, 'db').workload).toEqual({ kind: 'docker', container: 'other' });
    expect(problemsOf(table)).toEqual([
      `container db, label ${PREFIX}.ports error the name "db" belongs to a service of the file for container "other" (lazy-proxy.yaml:1:12); rename one of them, or give this one another name in the file (container: db)`,
      `container run, label ${PREFIX}.ports error the name "run" belongs to a service of the file for a local process (lazy-proxy.yaml:1:52); rename one of them, or give this one another name in the file (container: run)`,
    ]);
  });

  test('makes a local process of a command', () => {
    const text =
      'services: {run: {command: [node, a.js], cwd: /srv, env: {PORT: 80, DEBUG: true}, ports: ["2:3"]}}';
    expect(serviceOf(tableOf({ text }), 'run').workload).toEqual({
      kind: 'process',
      name: 'run',
      command: ['node', 'a.js'],
      cwd: '/srv',
      env: { PORT: '80', DEBUG: 'true' },
    });
  });

  test('makes dependants name services where they name their containers', () => {
    const hub = 'hub: {ports: ["2:2"], dependants: [pg, db, unmanaged]}';
    const table = tableOf({ text: `services: {db: {container: pg, ports: ["1:1"]}, ${hub}}` });
    expect(serviceOf(table, 'hub').dependants).toEqual(['db', 'unmanaged']);
  });

  describe('for a hub whose dependants are named by a label', () => {
    const linked = (text: string, others: readonly LabelReading[] = []) => {
      const hub = labelsOf('hub', { ports: '2:2', dependants: 'pg' });
      const table = tableOf({ text, labelled: [hub, ...others] });
      return { dependants: serviceOf(table, 'hub').dependants, problems: problemsOf(table) };
    };
    const open = { problems: [] };
    const prefix = `container hub, label ${PREFIX}.dependants warning dependants:`;
    const shut = {
      dependants: [],
      problems: [
        `${prefix} service "db" of the file isn't open to hubs by label; write dependant_of_labels: true there if it is to be`,
      ],
    };

    test('takes a container that has opted in by a label itself', () => {
      expect(linked('services: {}', [labelsOf('pg', { ports: '1:1' })])).toEqual({
        ...open,
        dependants: ['pg'],
      });
      const text = 'services: {db: {container: pg, ports: ["1:1"]}}';
      expect(linked(text, [labelsOf('pg', {})])).toEqual({ ...open, dependants: ['db'] });
    });

    test('takes a service of the file that says so', () => {
      const text = 'services: {db: {container: pg, ports: ["1:1"], dependant_of_labels: true}}';
      expect(linked(text)).toEqual({ ...open, dependants: ['db'] });
    });

    test('leaves out any other service of the file', () => {
      expect(linked('services: {db: {container: pg, ports: ["1:1"]}}')).toEqual(shut);
      const closed = 'services: {db: {container: pg, ports: ["1:1"], dependant_of_labels: false}}';
      expect(linked(closed, [labelsOf('pg', {})])).toEqual(shut);
      const deaf = 'services: {db: {container: pg, ports: ["1:1"], ignore_labels: true}}';
      expect(linked(deaf, [labelsOf('pg', {})])).toEqual(shut);
    });

    test('leaves out what no service stands for, and tells how to have it', () => {
      expect(linked('services: {}')).toEqual({
        dependants: [],
        problems: [
          `${prefix} "pg" does not exist or has not opted in, so a hub by label can't reach it; give it the label ${PREFIX}.enabled=true, or name the dependants in the file`,
        ],
      });
    });

    test('does the same where the hub is in the file, but its dependants are in its labels', () => {
      const text = 'services: {hub: {ports: ["2:2"]}, db: {container: pg, ports: ["1:1"]}}';
      expect(linked(text)).toEqual(shut);
    });
  });

  describe('for what the proxy itself runs in', () => {
    const own = [
      { kind: 'docker', name: 'me' },
      { kind: 'swarm', name: 'stack_me' },
      { kind: 'kubernetes', resource: 'deployment', namespace: 'own', name: 'me' },
    ] as const;

    test('takes no service, neither of the file nor of labels', () => {
      const text =
        'services: {a: {container: me, ports: ["1:1"]}, b: {swarm_service: stack_me, ports: ["2:2"]}}';
      const table = tableOf({ text, own });
      expect([...table.entries.keys()]).toEqual([]);
      expect(problemsOf(table)).toEqual([
        `lazy-proxy.yaml:1:27 error service "a": the proxy itself runs in container me; it can't be a service of its own`,
        `lazy-proxy.yaml:1:67 error service "b": the proxy itself runs in swarm service stack_me; it can't be a service of its own`,
      ]);
      const labelled = tableOf({ labelled: [labelsOf('me', { ports: '1:1' })], own });
      expect([...labelled.entries.keys()]).toEqual([]);
      expect(labelled.problems).toHaveLength(1);
    });

    test('takes no Deployment, neither as a service nor as a dependant', () => {
      const text =
        'services: {a: {deployment: own/me, ports: ["1:1"]}, hub: {deployment: own/hub, ports: ["2:2"], dependants: [a, me, own/me, x]}}';
      const table = tableOf({ text, own });
      expect([...table.entries.keys()]).toEqual(['hub']);
      expect(serviceOf(table, 'hub').dependants).toEqual(['own/x']);
      const told = problemsOf(table);
      expect(told).toHaveLength(2);
      expect(told.every((line) => line.includes('the proxy itself runs in deployment own/me'))).toBe(true);
    });

    test('takes no dependant, under whatever name', () => {
      const text =
        'services: {a: {container: me, ports: ["1:1"]}, hub: {ports: ["2:2"], dependants: [a, me, x]}}';
      const table = tableOf({ text, own, labelled: [labelsOf('x', {})] });
      expect(serviceOf(table, 'hub').dependants).toEqual(['x']);
      expect(problemsOf(table)).toHaveLength(2);
      expect(problemsOf(table)[0]).toContain(
        'dependants: the proxy itself runs in container me; it is left out',
      );
    });
  });

  test('leaves out the link that closes a cycle', () => {
    const labelled = [
      labelsOf('a', { ports: '1:1', dependants: 'b' }),
      labelsOf('b', { dependants: 'c' }),
      labelsOf('c', { dependants: 'a' }),
    ];
    const table = tableOf({ labelled });
    expect(['a', 'b', 'c'].map((name) => serviceOf(table, name).dependants)).toEqual([['b'], ['c'], []]);
    expect(problemsOf(table)).toEqual([
      `container c, label ${PREFIX}.dependants error dependants: a → b → c → a is a cycle; the link from "c" to "a" is left out`,
    ]);
  });

  test('names the whole label that opts in, under whatever prefix, where no other label says anything', () => {
    expect(problemsOf(tableOf({ labelled: [labelsOf('a', {})] }))).toEqual([
      `container a, label ${PREFIX}.enabled warning service "a" has no port and no schedule, and no other service starts it, so nothing wakes it`,
    ]);
    const underOther = parseLabels(
      { ref: { kind: 'docker', name: 'a' }, labels: { 'lp.enabled': 'true' } },
      { prefixes: [PREFIX, 'lp'] },
    );
    const taken = tableOf({
      text: 'services: {a: {command: [x], ports: ["80:81"]}}',
      labelled: [underOther],
    });
    expect(problemsOf(taken)[0]).toMatch(/^container a, label lp\.enabled error the name "a" belongs to/);
  });

  test('warns of a service that nothing wakes', () => {
    const text =
      'services: {hub: {ports: ["1:1"], dependants: [kept]}, kept: {}, timed: {cron_start: "* * * * *"}, dead: {}}';
    expect(problemsOf(tableOf({ text }))).toEqual([
      `lazy-proxy.yaml:1:99 warning service "dead" has no port and no schedule, and no other service starts it, so nothing wakes it`,
    ]);
    // What wakes one of them wakes the workload of all.
    for (const waker of ['ports: ["1:1"]', 'hosts: [a.lan]', 'awake: ["08:00-09:00"]']) {
      const shared = `http: {listen: "80"}\nservices: {a: {container: c, ${waker}}, b: {container: c}}`;
      expect(problemsOf(tableOf({ text: shared })).filter((line) => line.includes('nothing wakes'))).toEqual(
        [],
      );
    }
  });

  test.each([
    [
      { 'udp-ports': '53:53', 'tcp-keepalive': '9s' },
      'tcp-keepalive: has no effect without ports, http-ports, hosts or tls-hosts',
    ],
    [{ 'udp-ports': '53:53', tls: 'true' }, 'tls: has no effect without ports or http-ports'],
    [{ ports: '80:80', 'http-port': '8080' }, 'http-port: has no effect without hosts'],
    [{ ports: '80:80', 'waiting-page': 'off' }, 'waiting-page: has no effect without hosts or http-ports'],
    [{ ports: '80:80', 'wake-paths': '/a' }, 'wake-paths: has no effect without hosts or http-ports'],
    [
      { ports: '80:80', 'traefik-hosts': 'a.lan:80,b.lan:81' },
      'traefik-hosts: gives b.lan port 81, which is no listen port under ports or http-ports of this service; Traefik is not told of it',
    ],
    [{ ports: '80:80', 'udp-flow-timeout': '9s' }, 'udp-flow-timeout: has no effect without udp-ports'],
    [
      { ports: '80:80', 'udp-flow-timeout-secs': '9' },
      'udp-flow-timeout-secs: has no effect without udp-ports',
    ],
    [
      { ports: '80:80', 'http-healthcheck-status': '204' },
      'http-healthcheck-status: has no effect without http-healthcheck',
    ],
    [
      { ports: '80:80', 'max-connections': '5', 'max-connections-per-address': '6' },
      'max-connections-per-address: has no effect, because it is more than max-connections, which is 5',
    ],
    [
      { ports: '80:80', availability: 'cron' },
      'availability: is "schedule" without awake, cron-start or cron-stop, so neither clients nor a schedule start it; give one of them',
    ],
    [
      { ports: '80:80', availability: 'manual', 'cron-stop': '0 8 * * *' },
      'cron-stop: has no effect beside availability: manual',
    ],
    [
      { ports: '80:80', availability: 'manual', 'idle-timeout-secs': '9' },
      'idle-timeout-secs: has no effect beside availability: manual',
    ],
  ])('warns of labels without effect: %j', (labels, message) => {
    const label = message.slice(0, message.indexOf(':'));
    expect(problemsOf(tableOf({ labelled: [labelsOf('db', labels as Record<string, string>)] }))).toEqual([
      `container db, label ${PREFIX}.${label} warning ${message}`,
    ]);
  });

  test.each([
    ['services: { db: { cron_start: "0 8 * * *" } }', 'cron'],
    ['services: { db: { availability: on_demand } }', 'cron'],
    ['services: { db: { availability: schedule, cron_stop: "0 8 * * *" } }', 'manual'],
  ])('warns of no availability that fits together with %s', (text, availability) => {
    const labelled = [labelsOf('db', { ports: '80:80', availability })];
    expect(problemsOf(tableOf({ text, labelled }))).toEqual([]);
  });

  test('warns of a manual service that only its schedule would wake', () => {
    const text = 'services: {timed: {availability: manual, cron_start: "* * * * *"}}';
    expect(problemsOf(tableOf({ text }))).toEqual([
      `lazy-proxy.yaml:1:12 warning service "timed" has no port and no schedule, and no other service starts it, so nothing wakes it`,
    ]);
  });

  test.each([
    ['services: { db: { http_healthcheck: "http://{{container}}/" } }'],
    ['defaults: { http_healthcheck: "http://{{container}}/" }'],
  ])('warns of no label that is of use together with %s', (text) => {
    const labelled = [labelsOf('db', { ports: '80:80', 'http-healthcheck-status': '204' })];
    expect(problemsOf(tableOf({ text, labelled }))).toEqual([]);
  });

  test('is frozen and sorted by name', () => {
    const table = tableOf({ text: 'services: {b: {ports: ["1:1"]}, a: {ports: ["2:2"]}}' });
    expect([...table.entries.keys()]).toEqual(['a', 'b']);
    const entry = table.entries.get('a');
    for (const part of [
      table,
      table.problems,
      entry,
      entry?.service,
      entry?.service.listeners[0],
      entry?.service.udp,
      entry?.origins,
    ]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test('takes well under a second for ten thousand services', () => {
    const labelled = Array.from({ length: 10_000 }, (_, index) =>
      labelsOf(`s${index}`, {
        ports: `127.0.${index >> 8}.${index & 255}:80:80,${index + 1_000}:1`,
        dependants: index === 0 ? '' : `s${index - 1}`,
      }),
    );
    // One of them wants 8080.
    const flags = { statusPort: 0 };
    // The best of three: the garbage of others is collected, too.
    const tookMs = [1, 2, 3].map(() => cpuTimeOf(() => void tableOf({ labelled, flags })));
    expect(Math.min(...tookMs)).toBeLessThan(1_000);
    const table = tableOf({ labelled, flags });
    expect(table.entries.size).toBe(10_000);
    expect(table.conflicts).toEqual([]);
  });
});
