import { describe, expect, test } from 'vitest';
import {
  isKubernetesWorkload,
  isPortName,
  parseKubernetesLabel,
  parseNamespaces,
} from '../../../src/config/values/kubernetes-names.ts';
import { formatPorts, parsePort } from '../../../src/config/values/ports.ts';

describe('isPortName', () => {
  test.each(['http', 'a', '8080-tcp', '1a', 'a--b', 'a'.repeat(63)])('takes %j', (name) => {
    expect(isPortName(name)).toBe(true);
  });

  test.each(['', '80', '1-2', 'HTTP', 'http_alt', 'a.b', '-a', 'a-', 'a b', 'a'.repeat(64)])(
    'refuses %j',
    (name) => {
      expect(isPortName(name)).toBe(false);
    },
  );
});

describe('isKubernetesWorkload', () => {
  test.each(['db', 'shop/db', '7', 'a.b', 'n/a.b-c', `${'n'.repeat(63)}/${'a.'.repeat(126)}a`])(
    'takes %j',
    (name) => {
      expect(isKubernetesWorkload(name)).toBe(true);
    },
  );

  test.each([
    '',
    '/',
    'shop/',
    '/db',
    'a.b/c',
    'a/b/c',
    'DB',
    'a_b',
    'a..b',
    `${'n'.repeat(64)}/a`,
    `${'a.'.repeat(127)}a`,
  ])('refuses %j', (name) => {
    expect(isKubernetesWorkload(name)).toBe(false);
  });
});

describe('parseNamespaces', () => {
  test.each([
    ['shop', ['shop']],
    [' shop , blog,,shop ', ['shop', 'blog']],
  ])('reads %j', (text, value) => {
    expect(parseNamespaces(text)).toEqual({ ok: true, value });
  });

  test('refuses all of them for one that is none', () => {
    expect(parseNamespaces(',')).toMatchObject({ ok: false, message: '"," names no namespace' });
    expect(parseNamespaces('shop,*')).toMatchObject({ ok: false });
    expect(parseNamespaces('shop blog')).toMatchObject({ ok: false });
  });
});

describe('parseKubernetesLabel', () => {
  test('refuses what is no text', () => {
    expect(parseKubernetesLabel(8)).toMatchObject({ ok: false, code: 'wrong-type' });
    expect(parseKubernetesLabel(['a'])).toMatchObject({ ok: false, code: 'invalid-value' });
  });
});

describe('parsePort', () => {
  const names = { portNames: true };

  test.each([
    ['80:http', '', 80, 'http'],
    ['127.0.0.1:80:8080-tcp', '127.0.0.1', 80, '8080-tcp'],
    ['[::1]:80:http', '::1', 80, 'http'],
  ])('reads %j with a name for a target', (text, address, port, targetPort) => {
    const parsed = parsePort(text, 'tcp', names);
    expect(parsed).toEqual({ ok: true, value: [{ protocol: 'tcp', address, port, targetPort }] });
    expect(parsed.ok && formatPorts(parsed.value)).toEqual([text]);
  });

  test.each([
    '80:',
    ':http',
    'http:80',
    'x:80:http',
    '80:http:80',
    '80:http-',
    '80:ht tp',
    '80:http/tcp',
    '0:http',
  ])('refuses %j, also where names are allowed', (text) => {
    expect(parsePort(text, 'tcp', names).ok).toBe(false);
  });

  test('never makes a range of neighbours with names', () => {
    const listeners = ['80:a', '81:a', '82:82', '83:83'].flatMap((text) => {
      const parsed = parsePort(text, 'tcp', names);
      return parsed.ok ? parsed.value : [];
    });
    expect(formatPorts(listeners)).toEqual(['80:a', '81:a', '82-83:82-83']);
  });
});
