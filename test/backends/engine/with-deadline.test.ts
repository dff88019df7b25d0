import { expect, test } from 'vitest';
import { EngineUnreachable } from '../../../src/backends/engine/errors.ts';
import { withDeadline } from '../../../src/backends/engine/with-deadline.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Heeds no signal. */
const forEver = () => new Promise<never>(() => {});

test('whoever waits is free when the deadline passes and the work never settles', async () => {
  const clock = new FakeClock();
  const waited = withDeadline(forEver, { clock, timeoutMs: 1_000 });
  const given = expect(waited).rejects.toEqual(new EngineUnreachable('no answer within 1 s'));
  await clock.advance(1_000);
  await given;
  expect(clock.pending).toBe(0);
});

test('whoever waits is free when the parent aborts and the work never settles', async () => {
  const clock = new FakeClock();
  const parent = new AbortController();
  const waited = withDeadline(forEver, { clock, timeoutMs: 1_000, parent: parent.signal });
  const given = expect(waited).rejects.toThrow('nobody waits any more');
  parent.abort(new Error('nobody waits any more'));
  await given;
  expect(clock.pending).toBe(0);
});
