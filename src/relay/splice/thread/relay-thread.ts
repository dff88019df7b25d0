/**
 * Entry of the relay thread. Input: connected sockets, and listening sockets whose clients it connects itself, both from
 * `splice-relay.ts`. Output: bytes moved both ways until both directions have ended, and a report of each end. The thread
 * runs one loop and never returns to Node's event loop.
 */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../../system/clock.ts';
import type { Shortage } from '../../../system/descriptors.ts';
import { createLibc } from '../../native/libc.ts';
import { loadKoffi } from '../../native/load-koffi.ts';
import { watchShortage } from '../../native/watch-shortage.ts';
import type { ThreadCommand, ThreadStart } from '../thread-protocol.ts';
import { PipePool } from './pipe-pool.ts';
import { RelayLoop } from './relay-loop.ts';

/** A payload up to this size is copied: cheaper than two more pipe operations. */
const BUFFER_BYTES = 65_536;
const PIPE_BYTES = 1_048_576;
const BYTES_PER_TURN = 1_048_576;

void runToEnd(workerData as ThreadStart);

async function runToEnd(start: ThreadStart): Promise<void> {
  const { ended } = start.shared;
  try {
    await runThread(start);
  } finally {
    Atomics.store(ended, 0, 1);
    Atomics.notify(ended, 0);
  }
}

/** A failure ends the thread, which the main thread notices. */
async function runThread(start: ThreadStart): Promise<void> {
  const { epoll, bell, shared, counts, maxDescriptor, expected, port } = start;
  const load = await loadKoffi();
  if (load.kind === 'unavailable') throw new Error(load.reason);
  const short = new Set<Shortage>();
  const libc = watchShortage(createLibc(load.koffi), (shortage) => void short.add(shortage));
  const pipes = new PipePool(libc, {
    ...{ registry: shared.pipes, counts, maxDescriptor, wantedBytes: PIPE_BYTES },
  });
  new RelayLoop({
    ...{ libc, epoll, bell, shared, counts, maxDescriptor, expected, short },
    pump: { kernel: libc, pipes, buffer: new Uint8Array(BUFFER_BYTES), bytesPerTurn: BYTES_PER_TURN },
    nextCommand: () => receiveMessageOnPort(port)?.message as ThreadCommand | undefined,
    report: (report) => port.postMessage(report),
    clock: systemClock,
  }).run();
  pipes.trim();
  port.close();
}
