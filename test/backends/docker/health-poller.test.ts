import { expect, test } from 'vitest';
import { HealthPoller } from '../../../src/backends/docker/health-poller.ts';
import type { Observation } from '../../../src/model/running/observation.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const STARTING: Observation = { state: 'running', id: 'c1', hosts: [], health: 'starting' };

function setUp() {
  const clock = new FakeClock();
  const looks: number[] = [];
  const beganMs = clock.monotonicMs();
  const look = async () => {
    looks.push(clock.monotonicMs() - beganMs);
  };
  const poller = new HealthPoller({ clock, look });
  const hear = (action: string, last: Observation | undefined) =>
    poller.heard({ type: 'container', action, id: 'c1', attributes: {} }, { name: 'db', last });
  return { clock, looks, poller, hear };
}

test('HealthPoller looks ever more seldom after a check has begun, until its outcome was seen', async () => {
  const { clock, looks, poller, hear } = setUp();
  hear('health_status', STARTING);
  await clock.advance(3_000);
  expect(looks).toEqual([100, 300, 700, 1_500, 2_500]);
  poller.observed('db', STARTING);
  expect(clock.pending).toBe(1);
  poller.observed('db', { ...STARTING, health: 'healthy' });
  expect(clock.pending).toBe(0);
});

test.each([
  ['tells the outcome itself', 'health_status: healthy', STARTING],
  ['tells of a check of a healthy container', 'health_status', { ...STARTING, health: 'healthy' } as const],
  ['tells of something else', 'start', STARTING],
  ['tells of a container that nobody watches', 'health_status', undefined],
])('HealthPoller does nothing when the engine %s', (_, action, last) => {
  const { clock, hear } = setUp();
  hear(action, last);
  expect(clock.pending).toBe(0);
});

test('HealthPoller ends with the run, and with close()', () => {
  const { clock, poller, hear } = setUp();
  hear('health_status', STARTING);
  poller.observed('db', { ...STARTING, state: 'stopped' });
  expect(clock.pending).toBe(0);
  hear('health_status', STARTING);
  poller.close();
  expect(clock.pending).toBe(0);
});
