import { expect, test } from 'vitest';
import {
  countDescriptors,
  countShared,
  createClientCounts,
} from '../../../../src/relay/access/client-counts.ts';
import { PipePool } from '../../../../src/relay/splice/thread/pipe-pool.ts';

test('a pipe takes no descriptor that clients have to share', () => {
  const closed: number[] = [];
  let next = 765;
  const kernel = {
    pipe(ends: Int32Array) {
      ends.set([next++, next++]);
      return 0;
    },
    setPipeSize: (_fd: number, bytes: number) => bytes,
    close(fd: number) {
      closed.push(fd);
      return 0;
    },
  };
  const counts = createClientCounts(7);
  const registry = new Int32Array(8);
  const pool = new PipePool(kernel, { registry, counts, maxDescriptor: 768, wantedBytes: 65_536 });
  const pipe = pool.take();
  expect(pipe).toEqual({ readEnd: 765, writeEnd: 766, capacity: 65_536 });
  expect(pool.take()).toBeUndefined();
  expect([closed, countDescriptors(counts), [...registry.slice(0, 4)]]).toEqual([
    [767, 768],
    2,
    [765, 766, 0, 0],
  ]);
});

test('no pipe is made where clients are promised the last descriptors', () => {
  let made = 0;
  const kernel = {
    pipe() {
      made++;
      return 0;
    },
    setPipeSize: (_fd: number, bytes: number) => bytes,
    close: () => 0,
  };
  const counts = createClientCounts(7);
  countShared(counts, 767);
  const registry = new Int32Array(8);
  const pool = new PipePool(kernel, { registry, counts, maxDescriptor: 768, wantedBytes: 65_536 });
  expect(pool.take()).toBeUndefined();
  expect(made).toBe(0);
});

test('a pipe that is discarded is closed, and counts for nobody any more', () => {
  const closed: number[] = [];
  const kernel = {
    pipe(ends: Int32Array) {
      ends.set([20, 21]);
      return 0;
    },
    setPipeSize: (_fd: number, bytes: number) => bytes,
    close(fd: number) {
      closed.push(fd);
      return 0;
    },
  };
  const counts = createClientCounts(7);
  const registry = new Int32Array(2);
  const pool = new PipePool(kernel, { registry, counts, maxDescriptor: 768, wantedBytes: 65_536 });
  const pipe = pool.take();
  if (pipe === undefined) throw new Error('there is no pipe');
  expect(countDescriptors(counts)).toBe(2);
  pool.discard(pipe);
  expect([closed, countDescriptors(counts), [...registry]]).toEqual([[20, 21], 0, [0, 0]]);
});
