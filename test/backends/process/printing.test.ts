import { expect, onTestFinished, test } from 'vitest';
import { startProcess } from '../../../src/backends/process/process-run.ts';
import { systemClock } from '../../../src/system/clock.ts';

test('a process that prints without end is read only as fast as its lines can be told', async () => {
  let lines = 0;
  const run = await startProcess(
    { kind: 'process', name: 'loud', command: ['yes'], env: {}, cwd: undefined },
    { env: { PATH: process.env['PATH'] }, clock: systemClock, printed: () => void lines++ },
  );
  onTestFinished(() => run.destroy());
  const beganMs = performance.now();
  let latestMs = 0;
  while (performance.now() - beganMs < 1_000) {
    const askedMs = performance.now();
    await systemClock.sleep(5);
    latestMs = Math.max(latestMs, performance.now() - askedMs);
  }
  const allowed = 500 * Math.ceil((performance.now() - beganMs) / 100 + 2);
  expect(lines).toBeGreaterThan(500);
  expect(lines).toBeLessThanOrEqual(allowed);
  expect(latestMs).toBeLessThan(500);
});
