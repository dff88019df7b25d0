import { afterEach, expect, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { aRequest, WebBed } from './web-bed.ts';

let bed: WebBed;
afterEach(() => bed.close());

async function openCounting() {
  const counted = { young: 0 };
  const answers: Readonly<Record<string, Buffer>> = {
    '/big': Buffer.alloc(70_000_000),
    '/small': Buffer.alloc(9),
  };
  bed = await WebBed.open([{ host: 'wiki', app: ({ url = '' }, response) => response.end(answers[url]) }], {
    clock: new FakeClock(),
    parts: { collectYoung: () => counted.young++ },
  });
  return counted;
}

test('what a big body leaves behind is collected while it passes', async () => {
  const counted = await openCounting();
  await bed.exchange(aRequest('wiki.test', { path: '/big' }));
  expect(counted).toEqual({ young: 16 });
});

test('no time is spent on garbage behind a few requests', async () => {
  const counted = await openCounting();
  for (let count = 0; count < 10; count++) await bed.exchange(aRequest('wiki.test', { path: '/small' }));
  expect(counted).toEqual({ young: 0 });
});
