import { expect, test } from 'vitest';
import { countDescriptors, createClientCounts } from '../../../../src/relay/access/client-counts.ts';
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
