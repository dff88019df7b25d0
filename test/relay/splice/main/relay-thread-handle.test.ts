import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { createClientCounts } from '../../../../src/relay/access/client-counts.ts';
import { createLibc } from '../../../../src/relay/native/libc.ts';
import { loadKoffi } from '../../../../src/relay/native/load-koffi.ts';
import { RelayThreadHandle } from '../../../../src/relay/splice/main/relay-thread-handle.ts';
import { THREAD_FILE } from '../../../support/relay-thread-file.ts';

test.runIf(process.platform === 'linux')(
  'the process ends only after its thread has, also where that is still loading',
  async () => {
    const load = await loadKoffi();
    if (load.kind === 'unavailable') throw new Error(load.reason);
    const before = process.listeners('exit');
    const died = new EventTarget();
    const handle = new RelayThreadHandle({
      ...{ libc: createLibc(load.koffi), file: THREAD_FILE, counts: createClientCounts(0) },
      ...{ maxDescriptor: Number.POSITIVE_INFINITY, expected: new Int32Array(1) },
      onReport: () => {},
      onDied: () => died.dispatchEvent(new Event('died')),
    });
    const gone = once(died, 'died');
    onTestFinished(async () => void (await gone));
    const [atExit] = process.listeners('exit').filter((listener) => !before.includes(listener));
    expect(handle.shared.ended[0]).toBe(0);
    atExit?.call(process, 0);
    expect(handle.shared.ended[0]).toBe(1);
  },
);

test.runIf(process.platform === 'linux')('nothing is written for a thread that is gone', async () => {
  const load = await loadKoffi();
  if (load.kind === 'unavailable') throw new Error(load.reason);
  const libc = createLibc(load.koffi);
  const closed = new Set<number>();
  const late: number[] = [];
  const gone = new EventTarget();
  const handle = new RelayThreadHandle({
    libc: {
      ...libc,
      close(fd) {
        if (closed.add(fd).size === 2) queueMicrotask(() => gone.dispatchEvent(new Event('gone')));
        return libc.close(fd);
      },
      write(fd, bytes) {
        if (!closed.has(fd)) return libc.write(fd, bytes);
        return late.push(fd);
      },
    },
    ...{ file: THREAD_FILE, counts: createClientCounts(0), maxDescriptor: Number.POSITIVE_INFINITY },
    ...{ expected: new Int32Array(1), onReport: () => {}, onDied: () => {} },
  });
  const end = once(gone, 'gone');
  handle.stop();
  await end;
  handle.post({ kind: 'destroy', slot: 0 });
  await new Promise(setImmediate);
  expect(late).toEqual([]);
});
