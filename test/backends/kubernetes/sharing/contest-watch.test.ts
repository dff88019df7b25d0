import { expect, onTestFinished, test } from 'vitest';
import { ContestWatch } from '../../../../src/backends/kubernetes/sharing/contest-watch.ts';
import { selectWorkload, type WorkloadRecord } from '../../../../src/backends/kubernetes/workload-record.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { createRecordingLogger } from '../../../support/recording-logger.ts';

const REF = { kind: 'kubernetes', resource: 'deployment', namespace: 'shop', name: 'db' } as const;
const KEY = 'kubernetes/deployment/shop/db';
const HOUR_MS = 60 * 60_000;

/** A workload that something else has set back so often that it is left awake. */
function setUp() {
  const clock = new FakeClock();
  const logger = createRecordingLogger();
  let contested: ReadonlySet<string> = new Set();
  const watch = new ContestWatch({ clock, logger, contested: (keys) => (contested = keys) });
  onTestFinished(() => watch.close());
  const undo = () => {
    watch.slept(REF);
    watch.changed(record(2), record(0, 'lazy-proxy'));
    watch.changed(record(0, 'lazy-proxy'), record(2));
  };
  undo();
  undo();
  expect([...contested]).toEqual([KEY]);
  return { clock, logger, watch, undo, contested: () => [...contested] };
}

function record(replicas: number, manager = 'argocd', generation = 1): WorkloadRecord {
  const metadata = { namespace: 'shop', name: 'db', generation };
  const selected = selectWorkload('deployment', { metadata, spec: { replicas } });
  return { ...selected, replicasManagers: [manager] };
}

test('a contested workload may be put to sleep again after an hour, and is contested when that is undone', async () => {
  const { clock, undo, contested } = setUp();
  await clock.advance(HOUR_MS - 1);
  expect(contested()).toEqual([KEY]);
  await clock.advance(1);
  expect(contested()).toEqual([]);
  expect(clock.pending).toBe(0);
  undo();
  expect(contested()).toEqual([KEY]);
  await clock.advance(HOUR_MS);
  expect(contested()).toEqual([]);
});

test('a contested workload may be put to sleep again when its spec is changed, but not its replicas alone', () => {
  const { watch, contested, clock } = setUp();
  watch.changed(record(2), record(3, 'argocd', 2));
  expect(contested()).toEqual([KEY]);
  watch.changed(record(3), record(3));
  expect(contested()).toEqual([KEY]);
  watch.changed(record(3), record(3, 'argocd', 2));
  expect(contested()).toEqual([]);
  expect(clock.pending).toBe(0);
});

test('the log says how a contested workload is resumed', () => {
  const { logger } = setUp();
  expect(JSON.stringify(logger.lines)).toContain('kubectl -n shop scale deployment/db --replicas=0');
});
