import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatRequest } from '../../../../src/relay/http/message/format-request.ts';

describe('formatRequest', () => {
  test('writes a request as it is', () => {
    const text = formatRequest({ method: 'GET', target: '/a?b', headers: ['Host', 'x', 'X-Odd', '\xe4 \t'] });
    expect(text).toBe('GET /a?b HTTP/1.1\r\nHost: x\r\nX-Odd: \xe4 \t\r\n\r\n');
  });

  // In Latin-1 the last byte of these is a carriage return and a line feed.
  const SPLITTING = '\u010d\u010aX: forged';
  test.each([
    ['a method', { method: `GET /x HTTP/1.1\r\nX: y\r\n\r\nGET` }],
    ['an empty method', { method: '' }],
    ['a target', { target: `/${SPLITTING}` }],
    ['a target with a blank', { target: '/ HTTP/1.1' }],
    ['an empty target', { target: '' }],
    ['a name', { headers: ['X: y\r\nZ', 'x'] }],
    ['a value', { headers: ['X', 'y\r\nZ: x'] }],
    ['a value with a lone line feed', { headers: ['X', 'y\nZ: x'] }],
    ['a value of another alphabet', { headers: ['X', SPLITTING] }],
  ])('refuses %s that would be read as more', (_, part) => {
    expect(() => formatRequest({ method: 'GET', target: '/', headers: [], ...part })).toThrow();
  });

  test('never writes more lines than there are headers', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string(),
      fc.constantFrom('\r\n', SPLITTING, 'a'),
    );
    const header = fc.tuple(text, text);
    fc.assert(
      fc.property(text, text, fc.array(header), (method, target, headers) => {
        let written: string;
        try {
          written = formatRequest({ method, target: `/${target}`, headers: headers.flat() });
        } catch {
          return;
        }
        const sent = Buffer.from(written, 'latin1').toString('latin1');
        expect(sent.split(/\r\n|\r|\n/)).toHaveLength(headers.length + 3);
      }),
    );
  });
});
