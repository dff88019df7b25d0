import { expect, test } from 'vitest';
import { ScaleAnswers } from '../../../src/backends/kubernetes/cluster-view.ts';
import type { WorkloadRecord } from '../../../src/backends/kubernetes/workload-record.ts';
import { toWorkloadRef } from '../../../src/model/workload.ts';
import { DB } from './backend-fixture.ts';

const REF = toWorkloadRef(DB);
const AWAKE: WorkloadRecord = {
  resource: 'deployment',
  namespace: 'shop',
  name: 'db',
  resourceVersion: '9',
  replicas: 2,
  replicasManagers: [],
  isObserved: true,
  currentReplicas: 0,
  readyReplicas: 0,
  trouble: undefined,
  generation: 1,
  losesVolumes: false,
  labels: {},
  annotations: {},
};

function answered(): ScaleAnswers {
  const answers = new ScaleAnswers();
  answers.put(REF, { resourceVersion: '10', replicas: 0 });
  return answers;
}

test('an answer stands until the watch brings something as new', () => {
  const answers = answered();
  expect(answers.apply(REF, AWAKE)).toEqual({
    ...AWAKE,
    resourceVersion: '10',
    replicas: 0,
    isObserved: false,
  });
  const newer = { ...AWAKE, resourceVersion: '10', replicas: 0 };
  expect(answers.apply(REF, newer)).toBe(newer);
});

test('an answer does not come back when it was overtaken', () => {
  const answers = answered();
  answers.apply(REF, { ...AWAKE, resourceVersion: '11' });
  expect(answers.apply(REF, AWAKE)).toBe(AWAKE);
});

test('an answer does not outlive its workload', () => {
  const answers = answered();
  expect(answers.apply(REF, undefined)).toBeUndefined();
  expect(answers.apply(REF, AWAKE)).toBe(AWAKE);
});

test('an answer that changes nothing leaves what its controller has seen', () => {
  const answers = new ScaleAnswers();
  answers.put(REF, { resourceVersion: '10', replicas: 2 });
  expect(answers.apply(REF, AWAKE)?.isObserved).toBe(true);
});
