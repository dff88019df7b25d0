import { expect, test } from 'vitest';
import { compareVersions, ObjectCache } from '../../../../src/backends/kubernetes/api/object-cache.ts';

test('a list tells deletions first, then what is new or changed, and nothing else', () => {
  const cache = new ObjectCache<string>();
  const listed = ['same', 'changed', 'gone'].map((key) => ({ key, version: '1', value: `${key} 1` }));
  expect(cache.replace(listed, '5').map(({ key }) => key)).toEqual(['same', 'changed', 'gone']);
  const changes = cache.replace(
    [
      { key: 'new', version: '8', value: 'new 8' },
      { key: 'changed', version: '7', value: 'changed 7' },
      { key: 'same', version: '1', value: 'same 1, read again' },
    ],
    '9',
  );
  expect(changes).toEqual([
    { key: 'gone', before: 'gone 1', after: undefined },
    { key: 'new', before: undefined, after: 'new 8' },
    { key: 'changed', before: 'changed 1', after: 'changed 7' },
  ]);
  expect(new Map(cache.all()).size).toBe(3);
});

test('a list counts although its versions are lower than what was known', () => {
  const cache = new ObjectCache<string>();
  cache.replace([{ key: 'db', version: '900', value: 'lost' }], '900');
  cache.expire();
  expect(cache.version).toBeUndefined();
  expect(cache.get('db')).toBe('lost');
  cache.replace([{ key: 'db', version: '12', value: 'restored' }], '20');
  expect([cache.get('db'), cache.version]).toEqual(['restored', '20']);
  expect(cache.put({ key: 'db', version: '21', value: 'changed' })?.after).toBe('changed');
});

test('what is not newer than the last change changes nothing', () => {
  const cache = new ObjectCache<string>();
  cache.replace([], '10');
  expect(cache.put({ key: 'db', version: '10', value: 'old' })).toBeUndefined();
  expect(cache.put({ key: 'db', version: '11', value: 'new' })).toBeDefined();
  expect(cache.remove('db', '9')).toBeUndefined();
  cache.advance('15');
  expect(cache.remove('db', '14')).toBeUndefined();
  expect(cache.get('db')).toBe('new');
  expect(cache.version).toBe('15');
});

test('versions that are no numbers are taken as they come', () => {
  const cache = new ObjectCache<string>();
  cache.replace([], 'a');
  expect(cache.put({ key: 'db', version: 'c', value: '1' })).toBeDefined();
  expect(cache.put({ key: 'db', version: 'b', value: '2' })).toBeDefined();
  expect(cache.put({ key: 'db', version: 'b', value: '2' })).toBeUndefined();
});

test.each([
  ['5', '5', 0],
  ['9', '10', -1],
  ['10', '9', 1],
  ['18446744073709551614', '18446744073709551615', -1],
  ['abc', 'abc', 0],
  ['abc', 'abd', undefined],
  ['', '5', undefined],
  ['05', '6', undefined],
])('compareVersions takes %s and %s for %s', (a, b, order) => {
  const compared = compareVersions(a, b);
  expect(compared === undefined ? undefined : Math.sign(compared)).toBe(order);
});
