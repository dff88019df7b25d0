import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isSameData } from '../../src/model/same-data.ts';

const data = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(undefined, null, true, false, 0, 1, -0, Number.NaN, '', 'a', '0'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', '0', 'length'), tie('value'), { noNullPrototype: true }),
  ),
})).value;

test('isSameData tells of plain data what isDeepStrictEqual does', () => {
  fc.assert(
    fc.property(data, data, (a, b) => isSameData(a, b) === isDeepStrictEqual(a, b)),
    {
      numRuns: 2_000,
    },
  );
});

test('isSameData finds a copy the same', () => {
  fc.assert(fc.property(data, (value) => isSameData(value, structuredClone(value))));
});

test('isSameData tells a key that is undefined from one that is not there', () => {
  expect(isSameData({ a: undefined }, {})).toBe(false);
  expect(isSameData({ a: undefined }, { b: undefined })).toBe(false);
});
