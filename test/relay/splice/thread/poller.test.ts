import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EPOLLIN } from '../../../../src/relay/native/epoll-events.ts';
import { ENOSPC } from '../../../../src/relay/native/errno.ts';
import { createLibc, type Libc } from '../../../../src/relay/native/libc.ts';
import { loadKoffi } from '../../../../src/relay/native/load-koffi.ts';
import { Poller } from '../../../../src/relay/splice/thread/poller.ts';

describe.runIf(process.platform === 'linux')('Poller', () => {
  let libc: Libc;
  let epoll: number;
  let poller: Poller;
  /** A pipe that holds a byte. */
  let readEnd: number;
  let kept: number[];
  let refused: number[];
  let told: number[];

  beforeEach(async () => {
    const load = await loadKoffi();
    if (load.kind === 'unavailable') throw new Error(load.reason);
    libc = createLibc(load.koffi);
    const ends = new Int32Array(2);
    epoll = libc.epollCreate();
    libc.pipe(ends);
    readEnd = ends[0] ?? -1;
    libc.write(ends[1] ?? -1, new Uint8Array(1));
    kept = [epoll, ...ends];
    refused = [];
    told = [];
    poller = create(libc);
  });
  afterEach(() => {
    for (const fd of kept) libc.close(fd);
  });

  const create = (kernel: Libc) =>
    new Poller(kernel, { epoll, onRefused: (errno) => void refused.push(errno) });
  const wait = () => poller.wait(0, (token) => void told.push(token));

  test.each(['orderly', 'reset'] as const)(
    'tells nothing of what was closed (%s) and lives on elsewhere',
    (how) => {
      const copy = libc.dup(readEnd);
      expect(poller.watch(copy, { events: EPOLLIN, token: 7 })).toBe(true);
      wait();
      poller.close(copy, how);
      wait();
      expect(told).toEqual([7]);
    },
  );

  test('watches a descriptor whose number had another one of the same file before', () => {
    const first = libc.dup(readEnd);
    poller.watch(first, { events: EPOLLIN, token: 7 });
    poller.close(first, 'orderly');
    const second = libc.dup(readEnd);
    kept.push(second);
    expect(second).toBe(first);
    expect(poller.watch(second, { events: EPOLLIN, token: 8 })).toBe(true);
    wait();
    expect([told, refused]).toEqual([[8], []]);
  });

  test('gives what it knows already the new token', () => {
    poller.watch(readEnd, { events: EPOLLIN, token: 7 });
    expect(poller.watch(readEnd, { events: EPOLLIN, token: 8 })).toBe(true);
    wait();
    expect([told, refused]).toEqual([[8], []]);
  });

  test('says why the kernel refuses', () => {
    poller = create({ ...libc, epollAdd: () => -ENOSPC });
    expect(poller.watch(readEnd, { events: EPOLLIN, token: 7 })).toBe(false);
    expect(refused).toEqual([ENOSPC]);
  });
});
