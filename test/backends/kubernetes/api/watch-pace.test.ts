import { expect, test } from 'vitest';
import { type WatchEnd, WatchPace } from '../../../../src/backends/kubernetes/api/watch-pace.ts';

const STEADY: WatchEnd = { opened: true, steady: true, gone: false, starting: false };
const SHORT: WatchEnd = { opened: true, steady: false, gone: false, starting: false };
const GONE: WatchEnd = { opened: false, steady: false, gone: true, starting: false };
const FAILED: WatchEnd = { opened: false, steady: false, gone: false, starting: false };
const STARTING: WatchEnd = { ...FAILED, starting: true };

test.each<[string, readonly WatchEnd[], readonly number[]]>([
  ['a watch that was in order is resumed at once', [STEADY, STEADY, STEADY], [0, 0, 0]],
  [
    'a watch that never stands for long is resumed at once the first time',
    [SHORT, SHORT, SHORT],
    [0, 100, 200],
  ],
  ['a version that is too old is listed anew at once the first time', [GONE, GONE, GONE], [0, 100, 200]],
  ['a version that is too old behind the end of a watch is no failure', [SHORT, GONE], [0, 0]],
  [
    'failures wait twice as long each time, at most 5 s',
    [FAILED, FAILED, FAILED, FAILED, FAILED, FAILED, FAILED, FAILED],
    [100, 200, 400, 800, 1600, 3200, 5000, 5000],
  ],
  ['a watch that was in order ends the waiting', [FAILED, FAILED, STEADY, FAILED], [100, 200, 0, 100]],
  [
    'a server that has come back is asked again soon, until it has started',
    [FAILED, FAILED, FAILED, STARTING, STARTING, STARTING, STEADY],
    [100, 200, 400, 100, 200, 400, 0],
  ],
])('%s', (_, ends, delaysMs) => {
  const pace = new WatchPace();
  expect(ends.map((end) => pace.next(end))).toEqual(delaysMs);
});
