import { describe, expect, test } from 'vitest';
import { ApiRefusal } from '../../../src/status/api/problem-answer.ts';
import { findRoute, type Route } from '../../../src/status/api/router.ts';

const ROUTES: readonly Route<string>[] = [
  { method: 'GET', path: '/api/services', operation: 'list' },
  { method: 'GET', path: '/api/services/{name}', operation: 'show' },
  { method: 'POST', path: '/api/services/{name}/wake', operation: 'wake' },
];

const find = (url: string, method = 'GET') => {
  try {
    const { operation, params } = findRoute(ROUTES, { method, url });
    return [operation, ...Object.values(params)];
  } catch (error) {
    return error instanceof ApiRefusal ? error.status : error;
  }
};

describe('findRoute', () => {
  test.each([
    ['/api/services', ['list']],
    ['/api/services?x=/api/other', ['list']],
    ['/api/services/db', ['show', 'db']],
    ['/api/services/shop%2Fdb', ['show', 'shop/db']],
    ['/api/services/shop%2fdb', ['show', 'shop/db']],
    ['/api/services/%252F', ['show', '%2F']],
    ['/api/services/__proto__', ['show', '__proto__']],
    ['/api/services/..', ['show', '..']],
    ['/api/services/%e4%b8%ad', ['show', '中']],
  ])('finds what answers %s', (url, expected) => {
    expect(find(url)).toEqual(expected);
  });

  test.each([
    ['/api/services/', 404],
    ['/api//services', 404],
    ['/API/services', 404],
    ['/api/services/shop/db', 404],
    ['/api/services/../services', 404],
    ['/api/services/db/wake', 405],
    ['/api/services/%', 400],
    ['/api/services/%ff', 400],
    ['', 404],
  ])('refuses %s with %i', (url, status) => {
    expect(find(url)).toBe(status);
  });

  test('takes HEAD for GET, and nothing else for anything', () => {
    expect(find('/api/services', 'HEAD')).toEqual(['list']);
    expect(find('/api/services/db/wake', 'POST')).toEqual(['wake', 'db']);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'get'])
      expect(find('/api/services', method)).toBe(405);
  });

  test('decodes the names in the query once', () => {
    const { query } = findRoute(ROUTES, { method: 'GET', url: '/api/services?service=shop%2Fdb&a=b?c' });
    expect([query.get('service'), query.get('a')]).toEqual(['shop/db', 'b?c']);
  });

  test('tells a name with a slash how it is written', () => {
    expect(() => findRoute(ROUTES, { method: 'GET', url: '/api/services/shop/db/x' })).toThrow('%2F');
  });
});
