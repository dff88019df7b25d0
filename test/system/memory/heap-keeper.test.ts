import { expect, onTestFinished, test } from 'vitest';
import { exposeGarbageCollector } from '../../../src/system/memory/collect-garbage.ts';
import { HeapKeeper } from '../../../src/system/memory/heap-keeper.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MIB = 2 ** 20;

/** Counts what is done, in order; what JavaScript has and when V8 collects is set by hand. */
function open() {
  const [clock, done, heap] = [new FakeClock(), [] as string[], { total: 20 * MIB, used: 14 * MIB }];
  const growth: string[] = [];
  let onCollected: (() => void) | undefined;
  const keeper = new HeapKeeper({
    clock,
    trim: () => done.push('trim'),
    heap: {
      measure: () => ({ ...heap }),
      collect: (what) => {
        done.push(what);
        if (what === 'all') heap.total -= 30 * MIB;
      },
      hold: () => growth.push('held'),
      release: () => growth.push('released'),
      watch: (callback) => {
        onCollected = callback;
        return () => {
          onCollected = undefined;
        };
      },
    },
  });
  const serve = (clients: number) => {
    for (let count = 0; count < clients; count++) keeper.note();
  };
  const collect = (times: number) => {
    for (let count = 0; count < times; count++) onCollected?.();
  };
  return { clock, done, growth, heap, keeper, serve, collect };
}

/** What the start has left is given back. */
async function openBegun() {
  const opened = open();
  opened.heap.total += 30 * MIB;
  opened.keeper.begin();
  await opened.clock.advance(15_000);
  opened.done.length = 0;
  return opened;
}

test('memory is given back when a load is over, once', async () => {
  const { clock, done, heap, serve } = open();
  serve(1);
  heap.total += 80 * MIB;
  for (let second = 0; second < 10; second++) {
    serve(1_000);
    await clock.advance(1_000);
  }
  expect(done).toEqual([]);
  await clock.advance(15_000);
  expect(done).toEqual(['all', 'young', 'trim']);
  expect(clock.pending).toBe(0);
  serve(1);
  await clock.advance(15_000);
  expect(done).toEqual(['all', 'young', 'trim']);
  expect(clock.pending).toBe(0);
});

test('memory is given back although a few clients come again and again', async () => {
  const { clock, done, heap, serve } = open();
  serve(1_000);
  heap.total += 80 * MIB;
  for (let second = 0; second < 15; second++) {
    serve(1);
    await clock.advance(1_000);
  }
  expect(done).toEqual(['all', 'young', 'trim']);
});

test('what the start has left is given back', async () => {
  const { clock, done, heap, keeper } = open();
  heap.total += 30 * MIB;
  keeper.begin();
  await clock.advance(15_000);
  expect(done).toEqual(['all', 'young', 'trim']);
  expect(clock.pending).toBe(0);
});

test('what one client has used from the start on is given back when it ends', async () => {
  const { clock, done, heap, serve } = await openBegun();
  heap.total += 80 * MIB;
  serve(1);
  await clock.advance(15_000);
  expect(done).toEqual(['all', 'young', 'trim']);
});

test('no time is spent where JavaScript has hardly more than before', async () => {
  const { clock, done, heap, serve } = open();
  serve(1_000);
  heap.total += 7 * MIB;
  await clock.advance(20_000);
  expect(done).toEqual([]);
  expect(clock.pending).toBe(0);
});

test('only what is young is collected where so much is in use that all would take long', async () => {
  const { clock, done, heap, serve } = open();
  heap.used = 33 * MIB;
  serve(1_000);
  heap.total += 80 * MIB;
  await clock.advance(20_000);
  expect(done).toEqual(['young', 'young', 'trim']);
});

test('the next load is waited for when it begins in between', async () => {
  const { clock, done, heap, serve } = open();
  serve(1_000);
  heap.total += 80 * MIB;
  await clock.advance(8_000);
  expect(done).toEqual(['all']);
  serve(1_000);
  await clock.advance(5_000);
  expect(done).toEqual(['all']);
  await clock.advance(20_000);
  expect(done).toEqual(['all', 'all', 'young', 'trim']);
});

test('nothing is done once it is closed', async () => {
  const { clock, done, heap, serve, keeper } = open();
  serve(1_000);
  heap.total += 80 * MIB;
  keeper.close();
  serve(1_000);
  expect(clock.pending).toBe(0);
  expect(done).toEqual([]);
});

test('the young generation may grow under load alone', async () => {
  const { clock, growth, keeper, collect } = open();
  keeper.begin();
  expect(growth).toEqual(['held']);
  collect(20);
  expect(growth.at(-1)).toBe('released');
  for (let second = 0; second < 10; second++) {
    collect(2);
    await clock.advance(1_000);
  }
  expect(growth.at(-1)).toBe('released');
  await clock.advance(6_000);
  expect(growth.at(-1)).toBe('held');
});

test('what collects garbage some times a second is no load', async () => {
  const { clock, growth, keeper, collect } = open();
  keeper.begin();
  for (let second = 0; second < 10; second++) {
    collect(19);
    await clock.advance(1_000);
  }
  expect(growth).not.toContain('released');
});

test('the young generation is held again after each of its collections, since a new thread lets it grow', () => {
  const { growth, keeper, collect } = open();
  keeper.begin();
  collect(2);
  expect(growth).toEqual(['held', 'held', 'held']);
});

test('memory is given back where garbage was collected and no client has ended', async () => {
  const { clock, done, heap, collect } = await openBegun();
  heap.total += 80 * MIB;
  collect(1);
  await clock.advance(15_000);
  expect(done).toEqual(['all', 'young', 'trim']);
  expect(clock.pending).toBe(0);
});

test('collections are not heard of any more once it is closed', () => {
  const { clock, growth, keeper, collect } = open();
  keeper.begin();
  keeper.close();
  collect(20);
  expect(growth).toEqual(['held', 'released']);
  expect(clock.pending).toBe(0);
});

test('V8 itself tells of its collections', async () => {
  const clock = new FakeClock();
  const keeper = new HeapKeeper({ clock, trim: () => {} });
  onTestFinished(() => keeper.close());
  keeper.begin();
  await clock.advance(15_000);
  expect(clock.pending).toBe(0);
  let garbage: object[] = [];
  await expect
    .poll(() => {
      garbage = Array.from({ length: 10_000 }, () => ({}));
      return clock.pending;
    })
    .toBe(1);
  expect(garbage).toHaveLength(10_000);
});

test('collecting frees what nobody refers to any more', () => {
  const references = Array.from({ length: 10 }, () => new WeakRef(new Array(100_000).fill(0)));
  return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    exposeGarbageCollector()();
    expect(references.some((reference) => reference.deref() === undefined)).toBe(true);
  });
});
