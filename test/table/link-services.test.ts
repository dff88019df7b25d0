import { describe, expect, test } from 'vitest';
import { type ComposedContainer, readComposeOrder } from '../../src/config/rules/compose-order.ts';
import { formatProblem } from '../../src/model/problem.ts';
import type { Service } from '../../src/model/service.ts';
import { aFile, labelsOf, PREFIX, serviceOf, tableOf } from '../support/builders.ts';

/** `web → app healthy, app → db started`. */
function showLinks({ name, dependsOn }: Service): string {
  return dependsOn.map((one) => `${one.of ?? name} → ${one.name} ${one.condition}`).join(', ');
}

function composed(
  services: Readonly<Record<string, string>>,
  project = 'shop',
): readonly ComposedContainer[] {
  return Object.entries(services).map(([service, dependsOn]) => ({
    ...{ name: `${project}-${service}-1`, project, service, dependsOn },
  }));
}

const SHOP = composed({ web: 'app:service_healthy:false', app: 'db:service_started:true', db: '' });

describe('linkServices', () => {
  const orderOf = (containers: readonly ComposedContainer[]) => () => readComposeOrder(containers);
  const problemsOf = (table: ReturnType<typeof tableOf>) => table.problems.map(formatProblem);

  test('makes dependencies name services where they name their containers, and keeps other names', () => {
    const text =
      'services: {web: {ports: ["1:1"], depends_on: {pg: healthy, cache: started}}, db: {container: pg}}';
    const table = tableOf({ text });
    expect(showLinks(serviceOf(table, 'web'))).toBe('web → db healthy, web → cache started');
    expect(problemsOf(table)).toEqual([]);
  });

  test('takes what a container needs from what Compose has written, and what that needs in turn', () => {
    const labelled = [labelsOf('shop-web-1', { ports: '1:1', 'depends-on': 'compose' })];
    const table = tableOf({ labelled, compose: orderOf(SHOP) });
    expect(showLinks(serviceOf(table, 'shop-web-1'))).toBe(
      'shop-web-1 → shop-app-1 healthy, shop-app-1 → shop-db-1 started',
    );
    expect(problemsOf(table)).toEqual([]);
  });

  test('leaves it to a service that says itself what it needs', () => {
    const labelled = [
      labelsOf('shop-web-1', { ports: '1:1', 'depends-on': 'compose' }),
      labelsOf('shop-app-1', { 'depends-on': '' }),
    ];
    const table = tableOf({ labelled, compose: orderOf(SHOP) });
    expect(showLinks(serviceOf(table, 'shop-web-1'))).toBe('shop-web-1 → shop-app-1 healthy');
  });

  test.each([
    ['all containers of a service', { web: 'app' }, 'web → app'],
    ['a label of an older Compose', { web: 'db', db: '' }, 'shop-web-1 → shop-db-1 started'],
    [
      'a condition that is not known',
      { web: 'db:service_blessed:true', db: '' },
      'shop-web-1 → shop-db-1 started',
    ],
    [
      'one that has to be completed',
      { web: 'db:service_completed_successfully:false', db: '' },
      'shop-web-1 → shop-db-1 completed',
    ],
  ])('reads %s', (what, services, expected) => {
    const replicas = what.startsWith('all')
      ? [1, 2].map((number) => ({
          name: `shop-app-${number}`,
          project: 'shop',
          service: 'app',
          dependsOn: '',
        }))
      : [];
    const labelled = [labelsOf('shop-web-1', { ports: '1:1', 'depends-on': 'compose' })];
    const table = tableOf({ labelled, compose: orderOf([...composed(services), ...replicas]) });
    const found = showLinks(serviceOf(table, 'shop-web-1'));
    expect(found).toBe(
      replicas.length === 0 ? expected : 'shop-web-1 → shop-app-1 started, shop-web-1 → shop-app-2 started',
    );
  });

  test('knows containers of the same project alone', () => {
    const labelled = [labelsOf('shop-web-1', { ports: '1:1', 'depends-on': 'compose' })];
    const other = composed({ app: '' }, 'blog');
    const own = composed({ web: 'app:service_started:false' });
    const table = tableOf({ labelled, compose: orderOf([...own, ...other]) });
    expect(serviceOf(table, 'shop-web-1').dependsOn).toEqual([]);
    expect(problemsOf(table)).toEqual([
      `container shop-web-1, label ${PREFIX}.depends-on warning depends-on: its project has no container of app, which it needs as Compose says; it starts without`,
    ]);
  });

  test('warns of a container that Compose has not made, unless nobody has asked', () => {
    const text = 'services: {web: {ports: ["1:1"], depends_on: compose}}';
    expect(problemsOf(tableOf({ text, compose: orderOf([]) }))).toEqual([
      'lazy-proxy.yaml:1:46 warning depends_on: container "web" does not exist, or Compose has not made it, so nothing says what it needs',
    ]);
    expect(problemsOf(tableOf({ text }))).toEqual([]);
    expect(problemsOf(tableOf({ text, compose: () => undefined }))).toEqual([]);
  });

  test('survives a label that makes every container need every other one', () => {
    const names = Array.from({ length: 60 }, (_, index) => `s${index}`);
    const services = Object.fromEntries(names.map((name) => [name, names.join(',')]));
    const labelled = [labelsOf('shop-s0-1', { ports: '1:1', 'depends-on': 'compose' })];
    const table = tableOf({ labelled, compose: orderOf(composed(services)) });
    expect(table.problems.length).toBeGreaterThan(0);
    expect(table.problems.filter(({ code }) => code === 'dependency-cycle').length).toBeGreaterThan(10);
  });

  describe('for dependencies by label', () => {
    const linked = (text: string, depends: string) => {
      const table = tableOf({ text, labelled: [labelsOf('web', { ports: '1:1', 'depends-on': depends })] });
      return { links: showLinks(serviceOf(table, 'web')), problems: problemsOf(table) };
    };
    const prefix = `container web, label ${PREFIX}.depends-on`;

    test('reaches a service of the file that is open to labels, and no other', () => {
      const open = 'services: {db: {ports: ["2:2"], dependant_of_labels: true}}';
      expect(linked(open, 'db:healthy')).toEqual({ links: 'web → db healthy', problems: [] });
      expect(linked('services: {db: {ports: ["2:2"]}}', 'db')).toEqual({
        links: '',
        problems: [
          `${prefix} warning depends-on: service "db" of the file isn't open to hubs by label; write dependant_of_labels: true there if it is to be`,
        ],
      });
    });

    test('refuses what has not opted in', () => {
      expect(linked('services: {}', 'db').problems).toEqual([
        `${prefix} warning depends-on: "db" does not exist or has not opted in, so a service by label can't reach it; give it the label ${PREFIX}.enabled=true, or name the dependencies in the file`,
      ]);
    });
  });

  test('leaves out the proxy itself, and what can have no exit status', () => {
    const text = 'services: {web: {ports: ["1:1"], depends_on: [me]}}';
    expect(problemsOf(tableOf({ text, own: [{ kind: 'docker', name: 'me' }] }))).toEqual([
      'lazy-proxy.yaml:1:46 error depends_on: the proxy itself runs in container me; it is left out',
    ]);
    const labelled = [
      labelsOf({ kind: 'swarm', name: 'web' }, { ports: '1:1', 'depends-on': 'job:completed' }),
      labelsOf({ kind: 'swarm', name: 'job' }, { ports: '2:2' }),
    ];
    expect(problemsOf(tableOf({ labelled }))).toEqual([
      `swarm service web, label ${PREFIX}.depends-on error depends-on: "job" is no container and no process, so it has no exit status and is never completed; write healthy or started; it is left out`,
    ]);
  });

  test('does not tell of a service that nothing wakes where one depends on it', () => {
    const text = 'services: {web: {ports: ["1:1"], depends_on: [db]}, db: {}}';
    expect(tableOf({ text }).problems).toEqual([]);
    expect(aFile(text).services).toHaveLength(2);
  });
});
