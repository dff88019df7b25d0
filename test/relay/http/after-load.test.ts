import { afterEach, expect, test } from 'vitest';
import { exposeGarbageCollector } from '../../../src/system/collect-garbage.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { aRequest, WebBed } from './web-bed.ts';

let bed: WebBed;
afterEach(() => bed.close());

async function openCounting() {
  const [clock, counted] = [new FakeClock(), { collections: 0, young: 0 }];
  const answers: Readonly<Record<string, Buffer>> = {
    '/big': Buffer.alloc(70_000_000),
    '/small': Buffer.alloc(9),
  };
  bed = await WebBed.open([{ host: 'wiki', app: ({ url = '' }, response) => response.end(answers[url]) }], {
    clock,
    parts: { collectGarbage: (what) => (what === 'all' ? counted.collections++ : counted.young++) },
  });
  return { clock, counted };
}

test('garbage is collected when a big load is over, once', async () => {
  const { clock, counted } = await openCounting();
  await bed.exchange(aRequest('wiki.test', { path: '/big' }));
  await clock.advance(3_000);
  expect(counted.collections).toBe(0);
  await clock.advance(10_000);
  expect(counted.collections).toBe(1);
  await bed.exchange(aRequest('wiki.test', { path: '/small' }));
  await clock.advance(10_000);
  expect(counted.collections).toBe(1);
});

test('what a big body leaves behind is collected while it passes', async () => {
  const { counted } = await openCounting();
  await bed.exchange(aRequest('wiki.test', { path: '/big' }));
  expect(counted).toEqual({ collections: 0, young: 16 });
});

test('no time is spent on garbage behind a few requests', async () => {
  const { clock, counted } = await openCounting();
  for (let count = 0; count < 10; count++) await bed.exchange(aRequest('wiki.test', { path: '/small' }));
  await clock.advance(10_000);
  expect(counted).toEqual({ collections: 0, young: 0 });
});

test('collecting frees what nobody refers to any more', () => {
  const references = Array.from({ length: 10 }, () => new WeakRef(new Array(100_000).fill(0)));
  return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    exposeGarbageCollector()();
    expect(references.some((reference) => reference.deref() === undefined)).toBe(true);
  });
});
