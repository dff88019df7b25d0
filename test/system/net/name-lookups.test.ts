import type { LookupAddress } from 'node:dns';
import { beforeEach, expect, test } from 'vitest';
import { NameLookups } from '../../../src/system/net/name-lookups.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const FOUND: LookupAddress[] = [{ address: '10.0.0.1', family: 4 }];

let clock: FakeClock;
let lookups: NameLookups;
/** The names that the system is asked for now, with what answers. */
let asked: Map<string, (error: Error | null, found: LookupAddress[]) => void>;
beforeEach(() => {
  clock = new FakeClock();
  asked = new Map();
  lookups = new NameLookups({ clock, lookup: (host, callback) => asked.set(host, callback) });
});

function answer(host: string): void {
  const callback = asked.get(host);
  asked.delete(host);
  callback?.(null, FOUND);
}

const failure = (found: Promise<unknown>) => found.then(String, (error: Error) => error.message);

test('an address is its own, and nobody is asked', async () => {
  expect(await lookups.find('::1')).toEqual([{ address: '::1', family: 6 }]);
  expect(asked.size).toBe(0);
});

test('two names are looked up at once, each once, and the others in their turn', async () => {
  const found = ['a', 'a', 'b', 'c', 'c'].map((host) => lookups.find(host));
  expect([...asked.keys()]).toEqual(['a', 'b']);
  answer('a');
  expect([...asked.keys()]).toEqual(['b', 'c']);
  answer('b');
  answer('c');
  expect(await Promise.all(found)).toEqual(found.map(() => FOUND));
});

test('a name that is not answered is given up after 5 s, and one that nobody waits for is not asked for', async () => {
  const failures = ['a', 'b', 'c'].map((host) => failure(lookups.find(host)));
  await clock.advance(5_000);
  expect(await Promise.all(failures)).toEqual(
    ['a', 'b', 'c'].map((host) => `the name "${host}" could not be looked up within 5 s`),
  );
  answer('a');
  answer('b');
  expect(asked.size).toBe(0);
});

test('names that were given up have one thread together', async () => {
  const failures = ['a', 'b'].map((host) => failure(lookups.find(host)));
  await clock.advance(5_000);
  await Promise.all(failures);
  for (const host of ['a', 'b']) answer(host);
  const slow = ['a', 'b'].map((host) => failure(lookups.find(host)));
  const quick = lookups.find('c');
  expect([...asked.keys()]).toEqual(['a', 'c']);
  answer('c');
  expect(await quick).toEqual(FOUND);
  answer('a');
  answer('b');
  await Promise.all(slow);
});

test('who leaves waits no longer, and what it has asked for makes room', async () => {
  const held = ['a', 'b'].map((host) => lookups.find(host));
  const leaving = new AbortController();
  const left = failure(lookups.find('c', leaving.signal));
  leaving.abort(new Error('left'));
  expect(await left).toBe('left');
  answer('a');
  expect([...asked.keys()]).toEqual(['b']);
  answer('b');
  await Promise.all(held);
  await expect(lookups.find('d', leaving.signal)).rejects.toThrow('left');
});
