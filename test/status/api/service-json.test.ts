import { expect, test } from 'vitest';
import { MISSING, type Observation } from '../../../src/model/observation.ts';
import type { Workload } from '../../../src/model/workload.ts';
import type { WorkloadReport } from '../../../src/model/workload-report.ts';
import { renderService } from '../../../src/status/api/service-json.ts';
import { aService } from '../../support/builders.ts';

const KUBERNETES: Workload = {
  ...{ kind: 'kubernetes', resource: 'deployment', namespace: 'shop', name: 'db', service: 'db' },
  upstream: 'endpoints',
};

function projectOf(workload: Workload, observation: Observation): string | undefined {
  const report = { observation, times: {}, sleeps: {}, keepers: [], wakes: [], sinceMs: 0, lastActiveMs: 0 };
  const view = {
    service: aService({ workload }),
    report: report as unknown as WorkloadReport,
    ...{ listeners: [], schedule: {}, timeline: () => [], sharers: { names: [], listeners: [] } },
  };
  return renderService(view, {}).project;
}

test.each([
  ['a container', { kind: 'docker', container: 'web' } as const, { ...MISSING, project: 'media' }, 'media'],
  ['a container of none', { kind: 'docker', container: 'web' } as const, MISSING, undefined],
  ['a Deployment, though it is not there yet', KUBERNETES, MISSING, 'shop'],
])('a service belongs to the project of %s', (_, workload, observation, project) => {
  expect(projectOf(workload, observation)).toBe(project);
});
