import { beforeEach, describe, expect, test } from 'vitest';
import { Descriptors, shortageOf } from '../../src/system/descriptors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';

describe('Descriptors', () => {
  let clock: FakeClock;
  let logger: ReturnType<typeof createRecordingLogger>;

  beforeEach(() => {
    clock = new FakeClock();
    logger = createRecordingLogger();
  });
  const create = (limit: number) => new Descriptors({ limit, clock, logger });

  test.each([
    [80, 40],
    [256, 192],
    [1_024, 896],
    [1_048_576, 917_504],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  ])('keep a reserve of a limit of %d: clients get those below %d', (limit, bound) => {
    expect(create(limit).bound).toBe(bound);
  });

  test('have room for who needs two, and for whom Node hides the number', () => {
    const descriptors = create(128);
    expect([62, 63, undefined].map((fd) => descriptors.hasRoomFor(fd))).toEqual([true, false, true]);
  });

  test('keep one for each who has been let in, until it has it', () => {
    const descriptors = create(128);
    const [first, second] = [descriptors.expectOne(), descriptors.expectOne()];
    expect([60, 61].map((fd) => descriptors.hasRoomFor(fd))).toEqual([true, false]);
    first();
    first();
    expect([61, 62].map((fd) => descriptors.hasRoomFor(fd))).toEqual([true, false]);
    second();
    expect(descriptors.hasRoomFor(62)).toBe(true);
  });

  test('are crowded from three quarters of the limit on, and full where the reserve begins', () => {
    const descriptors = create(1_024);
    expect([descriptors.crowded, descriptors.bound]).toEqual([768, 896]);
    // Its own, and the one that it needs beside it.
    expect([766, 767, undefined].map((fd) => descriptors.lastFor({ fd }))).toEqual([767, 768, 0]);
  });

  test('know the next one where nobody has it yet', () => {
    const [poor, rich] = [create(4), create(1_000_000)];
    expect(poor.lastFor('next')).toBeGreaterThanOrEqual(poor.bound);
    expect(rich.lastFor('next')).toBeLessThan(rich.crowded);
  });

  test('tell of a shortage once in ten seconds, with the limit and how to raise it', async () => {
    const descriptors = create(80);
    for (let count = 0; count < 5; count++) descriptors.tell('a client was closed');
    descriptors.tell('a client was closed', 'ENFILE');
    await clock.advance(10_000);
    descriptors.tell('another client was closed');
    const advice = 'raise it (ulimit -n, LimitNOFILE= in systemd, ulimits: nofile in Compose)';
    expect(logger.lines.map(({ message }) => message)).toEqual([
      `too few file descriptors; the limit is 80, ${advice}: a client was closed`,
      'the machine has no file descriptors left; raise fs.file-max (sysctl): a client was closed',
      `too few file descriptors; the limit is 80, ${advice}: another client was closed (and 4 times before)`,
    ]);
  });
});

test.each([
  [Object.assign(new Error('x'), { code: 'EMFILE' }), 'EMFILE'],
  [Object.assign(new Error('x'), { code: 'ENOMEM' }), 'ENOMEM'],
  [Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), undefined],
  ['EMFILE', undefined],
])('a shortage is known by its code: %s', (error, shortage) => {
  expect(shortageOf(error)).toBe(shortage);
});
