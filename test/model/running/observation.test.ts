import { describe, expect, test } from 'vitest';
import { findPortProblem, MISSING, type Observation } from '../../../src/model/running/observation.ts';

const mapped: Observation = { ...MISSING, ports: { 'tcp/80': [], 'tcp/http': [], 'udp/53': [] } };

describe('findPortProblem', () => {
  test.each([
    ['tcp', 80],
    ['tcp', 'http'],
    ['udp', 53],
  ] as const)('has nothing against the mapped port %s/%s', (protocol, port) => {
    expect(findPortProblem(mapped, { protocol, port })).toBeUndefined();
  });

  test.each([
    ['tcp', 53],
    ['udp', 80],
    ['udp', 'http'],
    ['tcp', 'toString'],
  ] as const)('says that %s/%s is not mapped, and what is', (protocol, port) => {
    expect(findPortProblem(mapped, { protocol, port })).toBe(
      `there is no target port ${protocol}/${port}; there is tcp/80, tcp/http, udp/53`,
    );
  });

  test('names whose ports they are where the observation says so', () => {
    const observation = { ...mapped, portsOf: 'Service shop/db' };
    expect(findPortProblem(observation, { protocol: 'tcp', port: 81 })).toBe(
      'there is no target port tcp/81 in Service shop/db; there is tcp/80, tcp/http, udp/53',
    );
  });

  test('has nothing against any port where ports are not mapped', () => {
    expect(findPortProblem(MISSING, { protocol: 'tcp', port: 1 })).toBeUndefined();
  });

  test('says first what stands against all ports', () => {
    const problem = 'Service shop/db does not exist';
    expect(findPortProblem({ ...mapped, problem }, { protocol: 'tcp', port: 80 })).toBe(problem);
  });
});
