import { expect, test } from 'vitest';
import { LookPoller } from '../../../src/backends/engine/look-poller.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

test('LookPoller waits for a look to end before it arms the next one, and none after it was forgotten', async () => {
  const clock = new FakeClock();
  const ends: (() => void)[] = [];
  const poller = new LookPoller({ clock, look: () => new Promise((resolve) => ends.push(resolve)) });
  poller.follow('db', 1_000);
  await clock.advance(100);
  expect(clock.pending).toBe(0);
  ends[0]?.();
  await settle();
  expect(clock.delaysMs).toEqual([200]);
  await clock.advance(200);
  poller.forget('db');
  ends[1]?.();
  await settle();
  expect(clock.pending).toBe(0);
});

test('LookPoller begins with short waits again when it is hastened, or follows at another pace', async () => {
  const clock = new FakeClock();
  const poller = new LookPoller({ clock, look: async () => {} });
  poller.hasten('db');
  expect(clock.pending).toBe(0);
  poller.follow('db', 30_000);
  await clock.advance(3_200);
  expect(clock.delaysMs).toEqual([3_100]);
  poller.hasten('db');
  expect(clock.delaysMs).toEqual([100]);
  await clock.advance(100);
  expect(clock.delaysMs).toEqual([200]);
  poller.close();
  expect(clock.pending).toBe(0);
});
