import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createPolicy } from '../../../src/lifecycle/workload/workload-policy.ts';
import type { Service } from '../../../src/model/service.ts';
import { aListener, aService } from '../../support/builders.ts';

const onWeb = (overrides: Partial<Service>) =>
  aService({ workload: { kind: 'docker', container: 'web' }, ...overrides });

describe('createPolicy', () => {
  test('gives the only service of a workload what it asks for', () => {
    const service = aService({ stopTimeoutMs: 3_000, cronStart: '0 8 * * *' });
    const { services, ...policy } = createPolicy([service]);
    expect(service).toMatchObject(policy);
    expect(services).toEqual([service]);
  });

  test.each([
    ['idleTimeoutMs', 0, 5_000, 5_000],
    ['startTimeoutMs', 30_000, 2_000, 30_000],
    ['stopTimeoutMs', undefined, 0, 0],
    ['stopTimeoutMs', 7_000, 9_000, 9_000],
    ['stopTimeoutMs', undefined, undefined, undefined],
  ] as const)('takes the longest %s of all: of %s and %s it is %s', (setting, one, other, longest) => {
    const services = [onWeb({ name: 'a', [setting]: one }), onWeb({ name: 'b', [setting]: other })];
    expect(createPolicy(services)[setting]).toBe(longest);
    expect(createPolicy(services.toReversed())[setting]).toBe(longest);
  });

  test('has the listeners of all', () => {
    const [tcp, udp] = [aListener({ port: 1 }), aListener({ protocol: 'udp', port: 2 })];
    const services = [onWeb({ name: 'b', listeners: [udp] }), onWeb({ name: 'a', listeners: [tcp] })];
    expect(createPolicy(services).listeners).toEqual([tcp, udp]);
  });

  test('is named after the service that has the name of the workload, else after the first by name', () => {
    const named = (...names: string[]) => createPolicy(names.map((name) => onWeb({ name }))).name;
    expect([named('b', 'web', 'a'), named('b', 'a')]).toEqual(['web', 'a']);
    const workload = {
      ...({ kind: 'kubernetes', resource: 'deployment', service: 'db', upstream: 'endpoints' } as const),
      ...{ namespace: 'shop', name: 'db' },
    };
    const services = ['a', 'shop/db'].map((name) => aService({ name, workload }));
    expect(createPolicy(services).name).toBe('shop/db');
  });

  test('does not depend on the order of the services', () => {
    const service = fc.record({
      name: fc.constantFrom('web', 'a', 'b', 'c', 'd'),
      idleTimeoutMs: fc.nat(3),
      startTimeoutMs: fc.nat(3),
      stopTimeoutMs: fc.option(fc.nat(3), { nil: undefined }),
    });
    const services = fc.uniqueArray(service, { minLength: 1, selector: ({ name }) => name });
    fc.assert(
      fc.property(services, (all) => {
        const some = all.map(onWeb);
        expect(createPolicy(some)).toEqual(createPolicy(some.toReversed()));
      }),
    );
  });
});
