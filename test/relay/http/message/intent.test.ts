import { describe, expect, test } from 'vitest';
import { isNavigation, mayWakeBy } from '../../../../src/relay/http/message/intent.ts';

describe('mayWakeBy', () => {
  const wakePaths = [
    { prefix: '/', mayWake: true },
    { prefix: '/metrics', mayWake: false },
    { prefix: '/metrics/now', mayWake: true },
  ];
  test.each([
    ['/', true],
    ['/app', true],
    ['/metrics', false],
    ['/metrics/old', false],
    ['/metrics/now/x', true],
  ])('says of %s %j, by the longest prefix', (path, mayWake) => {
    expect(mayWakeBy(path, wakePaths)).toBe(mayWake);
    expect(mayWakeBy(path, wakePaths.toReversed())).toBe(mayWake);
  });
});

describe('isNavigation', () => {
  const FIREFOX = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
  test.each([
    ['GET', ['Accept', FIREFOX, 'Sec-Fetch-Mode', 'navigate'], true],
    ['GET', ['Accept', FIREFOX], true],
    ['GET', ['Accept', 'application/json, text/html;q=0.9'], true],
    ['GET', ['Accept', FIREFOX, 'Sec-Fetch-Mode', 'cors'], false],
    ['GET', ['Accept', '*/*'], false],
    ['GET', ['Accept', 'text/html;q=0'], false],
    ['GET', ['Accept', 'text/htmlx'], false],
    ['GET', [], false],
    ['HEAD', ['Accept', FIREFOX], false],
    ['POST', ['Accept', FIREFOX, 'Sec-Fetch-Mode', 'navigate'], false],
  ])('says of %s with %j: %j', (method, headers, expected) => {
    expect(isNavigation({ method, headers })).toBe(expected);
  });
});
