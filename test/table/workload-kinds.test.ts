import { describe, expect, test } from 'vitest';
import { formatProblem } from '../../src/model/problem.ts';
import type { WorkloadRef } from '../../src/model/workload.ts';
import { anEnvironment, labelsOf, PREFIX, serviceOf, tableOf } from '../support/builders.ts';

function deployment(name: string, namespace = 'shop'): WorkloadRef {
  return { kind: 'kubernetes', resource: 'deployment', namespace, name };
}

function statefulset(name: string, namespace = 'shop'): WorkloadRef {
  return { kind: 'kubernetes', resource: 'statefulset', namespace, name };
}

function swarm(name: string): WorkloadRef {
  return { kind: 'swarm', name };
}

const KUBERNETES = 'backend: kubernetes\n';

function problemsOf(table: ReturnType<typeof tableOf>): readonly string[] {
  return table.problems.map(formatProblem);
}

describe('buildTable', () => {
  test.each([
    ['swarm_service: shop_web', { kind: 'swarm', service: 'shop_web' }],
    ['deployment: web', { ...deployment('web', 'default'), service: 'web', upstream: 'endpoints' }],
    [
      'deployment: shop/web, service_name: inner, upstream: service',
      { ...deployment('web'), service: 'inner', upstream: 'service' },
    ],
    ['swarm_service: web, scale: 3', { kind: 'swarm', service: 'web', scale: 3 }],
    [
      'statefulset: shop/db, scale: 2',
      { ...statefulset('db'), service: 'db', upstream: 'endpoints', scale: 2 },
    ],
    ['statefulset: shop/db', { ...statefulset('db'), service: 'db', upstream: 'endpoints' }],
    ['container: c', { kind: 'docker', container: 'c' }],
  ])('makes the workload of {%s}', (fields, workload) => {
    const table = tableOf({ text: `services: {a: {${fields}, ports: ["1:1"]}}` });
    expect(serviceOf(table, 'a').workload).toEqual(workload);
    expect(table.problems).toEqual([]);
  });

  test.each([
    ['docker', { kind: 'docker', container: 'a' }],
    ['kubernetes', { ...deployment('a', 'default'), service: 'a', upstream: 'endpoints' }],
  ])('takes the name of a service that says nothing for one of the backend %s', (backend, workload) => {
    const table = tableOf({ text: `backend: ${backend}\nservices: {a: {ports: ["1:1"]}}` });
    expect(serviceOf(table, 'a').workload).toEqual(workload);
    const [field] = Object.keys(table.entries.get('a')?.origins ?? {});
    expect(field).toBe(backend === 'docker' ? 'container' : 'deployment');
  });

  test.each([
    ['[]', 'default'],
    ['[shop]', 'shop'],
    ['[shop, blog]', 'default'],
  ])('puts a name alone with namespaces %s into %s', (namespaces, namespace) => {
    const text = `kubernetes: {namespaces: ${namespaces}}\nservices: {a: {statefulset: db, ports: ["1:1"]}}`;
    expect(serviceOf(tableOf({ text }), 'a').workload).toMatchObject({ namespace, name: 'db' });
  });

  test('puts a name alone into the namespace of K8S_NAMESPACE', () => {
    const namespaces = {
      value: ['blog'],
      origin: { kind: 'environment', variable: 'K8S_NAMESPACE' },
    } as const;
    const text = 'kubernetes: {namespaces: [shop]}\nservices: {a: {deployment: db, ports: ["1:1"]}}';
    const table = tableOf({
      text,
      environment: anEnvironment({ settings: { 'kubernetes.namespaces': namespaces } }),
    });
    expect(serviceOf(table, 'a').workload).toMatchObject({ namespace: 'blog' });
  });

  test('merges a service of the file with the annotations of the same workload', () => {
    const text = `${KUBERNETES}kubernetes: {namespaces: [shop]}
defaults: {upstream: service}
services:
  a: {deployment: db, max_pending: 5}
  b: {statefulset: shop/db, ports: ["2:2"]}`;
    const labelled = [
      labelsOf(deployment('db'), { ports: '1:pg', 'service-name': 'pg', 'max-pending': '7' }),
      labelsOf(statefulset('db'), { upstream: 'endpoints' }),
    ];
    const table = tableOf({ text, labelled });
    expect([...table.entries.keys()]).toEqual(['a', 'b']);
    expect(serviceOf(table, 'a')).toMatchObject({
      workload: { service: 'pg', upstream: 'service' },
      listeners: [{ port: 1, targetPort: 'pg' }],
      maxPending: 5,
    });
    expect(serviceOf(table, 'b').workload).toMatchObject({ service: 'db', upstream: 'endpoints' });
    expect(table.entries.get('a')?.origins['service_name']).toMatchObject({ kind: 'label' });
    expect(table.entries.get('b')?.origins['service_name']).toEqual({ kind: 'default' });
  });

  test('merges a Swarm service of the file with its labels', () => {
    const text = 'services: {web: {swarm_service: shop_web}}';
    const table = tableOf({ text, labelled: [labelsOf(swarm('shop_web'), { ports: '1:1' })] });
    expect([...table.entries.keys()]).toEqual(['web']);
    expect(serviceOf(table, 'web').listeners).toHaveLength(1);
  });

  test('names a service of annotations alone after namespace and name', () => {
    const labelled = [
      labelsOf(deployment('db'), { ports: '1:1' }),
      labelsOf(statefulset('db', 'blog'), { ports: '2:2' }),
    ];
    const table = tableOf({ text: KUBERNETES, labelled });
    expect([...table.entries.keys()]).toEqual(['blog/db', 'shop/db']);
  });

  test('keeps the first by key of two labelled workloads of one name, whoever comes first', () => {
    const labelled = [
      labelsOf(statefulset('db'), { ports: '2:2' }),
      labelsOf(deployment('db'), { ports: '1:1' }),
    ];
    for (const order of [labelled, labelled.toReversed()]) {
      const table = tableOf({ text: KUBERNETES, labelled: order });
      expect(serviceOf(table, 'shop/db').workload).toMatchObject({ resource: 'deployment' });
      expect(problemsOf(table)).toEqual([
        `statefulset shop/db, annotation ${PREFIX}.ports error the name "shop/db" belongs to deployment shop/db, which has labels, too; rename one of them, or give this one another name in the file (statefulset: shop/db)`,
      ]);
    }
  });

  test('refuses a labelled Swarm service whose name a container of the file has', () => {
    const text = 'services: {web: {ports: ["1:1"]}}';
    const table = tableOf({ text, labelled: [labelsOf(swarm('web'), { ports: '2:2' })] });
    expect(problemsOf(table)).toEqual([
      `swarm service web, label ${PREFIX}.ports error the name "web" belongs to a service of the file for container "web" (lazy-proxy.yaml:1:12); rename one of them, or give this one another name in the file (swarm_service: web)`,
    ]);
  });

  test.each([
    ['docker', ['a', 'b']],
    ['docker\ndocker: {labels: false}', []],
    ['docker\nkubernetes: {labels: false}', ['a', 'b']],
    ['kubernetes', ['shop/c']],
    ['kubernetes\nkubernetes: {labels: false}', []],
    ['kubernetes\ndocker: {labels: false}', ['shop/c']],
  ])('counts the labels of backend: %s', (backend, names) => {
    const ports = ['1:1', '2:2', '3:3'];
    const refs = [{ kind: 'docker', name: 'a' } as const, swarm('b'), deployment('c')];
    const labelled = refs.map((ref, index) => labelsOf(ref, { ports: ports[index] ?? '' }));
    expect([...tableOf({ text: `backend: ${backend}`, labelled }).entries.keys()]).toEqual(names);
  });

  test('takes an option that has no effect for unset, wherever it stands', () => {
    const text = `defaults: {stop_timeout: 5s, upstream: service}
services:
  d: {deployment: d, stop_timeout: 6s, ports: ["1:1"]}
  s: {swarm_service: s, ports: ["2:2"]}
  c: {service_name: x, ports: ["3:3"]}
  p: {command: [x], ignore_labels: true, ports: ["4:5"]}`;
    const table = tableOf({ text });
    const stopTimeouts = ['d', 's', 'c', 'p'].map((name) => serviceOf(table, name).stopTimeoutMs);
    expect(stopTimeouts).toEqual([undefined, undefined, 5_000, 5_000]);
    const fieldsOf = (name: string) => Object.keys(table.entries.get(name)?.origins ?? {});
    expect(fieldsOf('d')).not.toContain('stop_timeout');
    expect(fieldsOf('d')).not.toContain('statefulset');
    expect(fieldsOf('c')).not.toContain('service_name');
    expect(fieldsOf('p')).not.toContain('ignore_labels');
  });
});

describe('buildTable, for the dependants of a Kubernetes hub,', () => {
  const text = `${KUBERNETES}services:
  db: {deployment: blog/other, ports: ["1:1"], dependant_of_labels: true}
  queue: {statefulset: shop/mq, ports: ["2:2"], dependant_of_labels: true}
  mail: {deployment: blog/smtp, ports: ["3:3"], dependant_of_labels: true}`;
  const linked = (dependants: string) => {
    const labelled = [
      labelsOf(deployment('hub'), { ports: '9:9', dependants }),
      labelsOf(deployment('smtp'), {}),
    ];
    const table = tableOf({ text, labelled });
    return {
      dependants: serviceOf(table, 'shop/hub').dependants,
      problems: problemsOf(table).filter((problem) => !problem.includes('nothing wakes it')),
    };
  };

  test.each([
    ['a service of the name before a workload', 'db', ['db']],
    ['a workload of its namespace', 'mq', ['queue']],
    ['a workload of another namespace', 'blog/smtp', ['mail']],
    ['a workload of another namespace never without it', 'smtp', ['shop/smtp']],
    ['each once', 'mq,shop/mq,queue', ['queue']],
  ])('takes %s', (_name, dependants, expected) => {
    expect(linked(dependants)).toEqual({ dependants: expected, problems: [] });
  });

  test('takes an unmanaged workload of another namespace where the file names it', () => {
    const file = `${text}\n  hub: {deployment: shop/hub, ports: ["9:9"], dependants: [infra/x, y]}`;
    const table = tableOf({ text: file });
    expect(serviceOf(table, 'hub').dependants).toEqual(['infra/x', 'shop/y']);
  });

  test('leaves out what has not opted in where an annotation names it', () => {
    expect(linked('infra/x,queue')).toEqual({
      dependants: ['queue'],
      problems: [
        `deployment shop/hub, annotation ${PREFIX}.dependants warning dependants: "infra/x" does not exist or has not opted in, so a hub by label can't reach it; give it the annotation ${PREFIX}.enabled=true, or name the dependants in the file`,
      ],
    });
  });

  test('leaves out what can be no Deployment', () => {
    expect(linked('My_DB,queue')).toEqual({
      dependants: ['queue'],
      problems: [
        `deployment shop/hub, annotation ${PREFIX}.dependants error dependants: "shop/My_DB" is no service, and can't be the name of a Deployment; it is left out`,
      ],
    });
  });
});

describe('buildTable, for the dependants of a container,', () => {
  test('prefers a container to a Swarm service of the same name, and finds the one without a rival', () => {
    const text = `services:
  one: {swarm_service: x, ports: ["1:1"]}
  two: {container: x, ports: ["2:2"]}
  three: {swarm_service: y, ports: ["3:3"]}
  hub: {container: h, ports: ["4:4"], dependants: [x, y, z]}
  swarm: {swarm_service: h, ports: ["5:5"], dependants: [x]}`;
    const table = tableOf({ text });
    expect(serviceOf(table, 'hub').dependants).toEqual(['two', 'three', 'z']);
    expect(serviceOf(table, 'swarm').dependants).toEqual(['one']);
  });

  test('leaves out what can be no container', () => {
    const text = 'services: {hub: {ports: ["1:1"], dependants: [shop/db]}}';
    const table = tableOf({ text });
    expect(serviceOf(table, 'hub').dependants).toEqual([]);
    expect(problemsOf(table)).toEqual([
      `lazy-proxy.yaml:1:46 error dependants: "shop/db" is no service, and can't be the name of a container; it is left out`,
    ]);
  });
});
