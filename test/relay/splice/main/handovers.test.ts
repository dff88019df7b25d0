import { afterEach, beforeEach, expect, test } from 'vitest';
import { Handovers } from '../../../../src/relay/splice/main/handovers.ts';
import type { RelayThreadHandle } from '../../../../src/relay/splice/main/relay-thread-handle.ts';
import { Sockets } from '../../../support/sockets.ts';

/** The first descriptor that connections may not have. */
const BOUND = 700;

let sockets: Sockets;
beforeEach(() => {
  sockets = new Sockets();
});
afterEach(() => sockets.close());

test.each([
  ['the first', [700, 100]],
  ['the second', [100, 700]],
])('a connection stays where it is when %s of its descriptors is for others', async (_, made) => {
  const closed: number[] = [];
  const given = [...made];
  const libc = {
    readTcpInfo: () => -1,
    dup: () => given.shift() ?? -1,
    close(fd: number) {
      closed.push(fd);
      return 0;
    },
  };
  let posts = 0;
  const thread = { post: () => void posts++ } as unknown as RelayThreadHandle;
  const handovers = new Handovers(thread, { libc, maxDescriptor: BOUND });
  const [left, right] = [await sockets.pair(), await sockets.pair()];
  const pair = { client: left.far, upstream: right.near, keepAliveMs: 0 };
  expect(handovers.join(pair, () => {})).toBeUndefined();
  expect([closed, posts, handovers.count]).toEqual([made, 0, 0]);
  expect([left.far.destroyed, right.near.destroyed]).toEqual([false, false]);
});
