import { expect, test } from 'vitest';
import {
  ColdStart,
  isPassing,
  KubeRefusal,
  KubeUnreachable,
} from '../../../../src/backends/kubernetes/api/kube-errors.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const LOST = new KubeUnreachable('connect ECONNREFUSED');
const FORBIDDEN = new KubeRefusal('deployments.apps is forbidden', { status: 403 });

function setUp() {
  const clock = new FakeClock();
  return { clock, coldStart: new ColdStart(clock) };
}

test.each([401, 403])('a refusal with %s passes where the server was away a moment ago', async (status) => {
  const { clock, coldStart } = setUp();
  coldStart.judge(LOST);
  await clock.advance(9_000);
  const judged = coldStart.judge(new KubeRefusal('not you', { status }));
  expect(isPassing(judged)).toBe(true);
  expect(judged).toMatchObject({ message: expect.stringContaining('not you') });
});

test('a refusal stands where the server was never away', () => {
  expect(setUp().coldStart.judge(FORBIDDEN)).toBe(FORBIDDEN);
});

test('a refusal stands where the server came back long ago', async () => {
  const { clock, coldStart } = setUp();
  coldStart.judge(LOST);
  await clock.advance(5_000);
  coldStart.judge(FORBIDDEN);
  await clock.advance(5_000);
  expect(coldStart.judge(FORBIDDEN)).toBe(FORBIDDEN);
});

test.each([404, 409, 410])('a refusal with %s is none of who asks, and always stands', (status) => {
  const { coldStart } = setUp();
  coldStart.judge(LOST);
  const refusal = new KubeRefusal('no', { status });
  expect(coldStart.judge(refusal)).toBe(refusal);
});
