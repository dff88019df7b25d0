import { expect, test } from 'vitest';
import { compareVersions } from '../../../../src/backends/kubernetes/api/resource-version.ts';

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
