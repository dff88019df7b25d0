import { expect, test } from 'vitest';
import { AfterLoad } from '../../src/system/after-load.ts';
import { exposeGarbageCollector } from '../../src/system/collect-garbage.ts';
import { FakeClock } from '../support/fake-clock.ts';

const MIB = 2 ** 20;

/** Counts what is done, in order; what JavaScript has is set by hand. */
function open() {
  const [clock, done, heap] = [new FakeClock(), [] as string[], { total: 20 * MIB, used: 14 * MIB }];
  const afterLoad = new AfterLoad({
    clock,
    trim: () => done.push('trim'),
    collect: (what) => {
      done.push(what);
      if (what === 'all') heap.total -= 30 * MIB;
    },
    measure: () => ({ ...heap }),
  });
  const serve = (clients: number) => {
    for (let count = 0; count < clients; count++) afterLoad.note();
  };
  return { clock, done, heap, afterLoad, serve };
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

test('what one client has used from the start on is given back when it ends', async () => {
  const { clock, done, heap, afterLoad, serve } = open();
  afterLoad.begin();
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
  const { clock, done, heap, serve, afterLoad } = open();
  serve(1_000);
  heap.total += 80 * MIB;
  afterLoad.close();
  serve(1_000);
  expect(clock.pending).toBe(0);
  expect(done).toEqual([]);
});

test('collecting frees what nobody refers to any more', () => {
  const references = Array.from({ length: 10 }, () => new WeakRef(new Array(100_000).fill(0)));
  return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    exposeGarbageCollector()();
    expect(references.some((reference) => reference.deref() === undefined)).toBe(true);
  });
});
