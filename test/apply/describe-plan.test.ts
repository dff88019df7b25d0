import { describe, expect, test } from 'vitest';
import { describePlan } from '../../src/apply/describe-plan.ts';
import type { Change } from '../../src/model/change.ts';
import { DEFAULT_FRONT_POLICY, NO_WEB } from '../../src/model/web.ts';
import { aListener, aService } from '../support/builders.ts';

describe('describePlan', () => {
  const service = aService();
  const listener = aListener({ port: 5432 });
  const front = { address: '::1', port: 443, tls: true };
  const wiki = aService({ name: 'wiki', web: { ...NO_WEB, hosts: ['a.lan', '*.lan'], tlsHosts: ['b.lan'] } });

  test.each<[string, Change]>([
    ['service db added', { kind: 'add-service', service }],
    ['service db changed', { kind: 'update-service', service, previous: service }],
    ['service db removed', { kind: 'remove-service', service }],
    ['listener *:5432/tcp opened for db', { kind: 'open-listener', service, listener }],
    ['listener *:5432/tcp stays open for db', { kind: 'rebind-listener', service, listener }],
    ['schedule of db set', { kind: 'set-schedule', service }],
    ['schedule of db cleared', { kind: 'clear-schedule', service }],
    ['front door [::1]:443/https opened', { kind: 'open-front', front }],
    ['front door [::1]:443/https closed', { kind: 'close-front', front }],
    ['terms of the front doors set', { kind: 'set-front-policy', policy: DEFAULT_FRONT_POLICY }],
    ['hosts of wiki set: a.lan, *.lan, b.lan', { kind: 'set-routes', service: wiki }],
    [
      'hosts of wiki stay: a.lan, *.lan, b.lan',
      { kind: 'set-routes', service: { ...wiki, web: { ...wiki.web, apiKeys: ['k'] } }, previous: wiki },
    ],
    [
      'hosts of wiki set: a.lan, *.lan, b.lan',
      { kind: 'set-routes', service: wiki, previous: { ...wiki, web: { ...wiki.web, hosts: ['a.lan'] } } },
    ],
    ['hosts of wiki cleared', { kind: 'clear-routes', service: wiki }],
    ['listener *:5432/tcp closed', { kind: 'close-listener', listener }],
    [
      'listener [::1]:53/udp closed',
      { kind: 'close-listener', listener: aListener({ protocol: 'udp', address: '::1', port: 53 }) },
    ],
  ])('says "%s"', (text, change) => {
    expect(describePlan([change])).toBe(text);
  });

  test('says of a front door that it is not open yet', () => {
    const text = describePlan([{ kind: 'open-front', front }], () => false);
    expect(text).toBe('front door [::1]:443/https not yet opened');
  });

  test('says that nothing changed when the plan is empty', () => {
    expect(describePlan([])).toBe('nothing changed');
  });

  const many = (count: number): Change[] =>
    Array.from({ length: count }, () => ({ kind: 'add-service', service }) as const);

  test('names all changes when they are 8', () => {
    expect(describePlan(many(8))).toBe(Array(8).fill('service db added').join('; '));
  });

  test('counts the rest when there are more than 8 changes', () => {
    expect(describePlan(many(11))).toBe(`${Array(8).fill('service db added').join('; ')}; and 3 more`);
  });
});
