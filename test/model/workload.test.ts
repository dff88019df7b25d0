import { describe, expect, test } from 'vitest';
import {
  describeWorkloadRef,
  toWorkloadRef,
  type Workload,
  workloadKey,
  workloadRefKey,
  workloadRefName,
} from '../../src/model/workload.ts';

const own = { namespace: 'shop', name: 'db', service: 'db-ro', upstream: 'endpoints' } as const;
const CASES: readonly (readonly [Workload, string, string, string])[] = [
  [{ kind: 'docker', container: 'db' }, 'docker/db', 'db', 'container db'],
  [{ kind: 'swarm', service: 'shop_db' }, 'swarm/shop_db', 'shop_db', 'swarm service shop_db'],
  [
    { kind: 'kubernetes', resource: 'deployment', ...own },
    'kubernetes/deployment/shop/db',
    'shop/db',
    'deployment shop/db',
  ],
  [
    { kind: 'kubernetes', resource: 'statefulset', ...own },
    'kubernetes/statefulset/shop/db',
    'shop/db',
    'statefulset shop/db',
  ],
  [
    { kind: 'process', name: 'db', command: ['db'], cwd: undefined, env: {} },
    'process/db',
    'db',
    'process db',
  ],
];

describe('a workload', () => {
  test.each(CASES)('%o is known as %s, named %s and described as %s', (workload, key, name, description) => {
    const ref = toWorkloadRef(workload);
    expect([workloadKey(workload), workloadRefKey(ref)]).toEqual([key, key]);
    expect([workloadRefName(ref), describeWorkloadRef(ref)]).toEqual([name, description]);
  });
});
