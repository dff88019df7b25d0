import { describe, expect, test } from 'vitest';
import { HostTable, parseHost } from '../../../../src/relay/http/message/host-table.ts';

describe('parseHost', () => {
  test.each([
    ['wiki.home.arpa', 'wiki.home.arpa', undefined],
    ['Wiki.Home.ARPA.', 'wiki.home.arpa', undefined],
    ['wiki.home.arpa:8080', 'wiki.home.arpa', 8_080],
    ['wiki.home.arpa.:80', 'wiki.home.arpa', 80],
    ['wiki:', 'wiki', undefined],
    ['192.168.0.5:80', '192.168.0.5', 80],
    ['[::1]', '[::1]', undefined],
    ['[2001:DB8::1]:443', '[2001:db8::1]', 443],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example', undefined],
    ['under_score.lan', 'under_score.lan', undefined],
  ])('reads %j', (text, host, port) => {
    expect(parseHost(text)).toEqual({ host, port });
  });

  test.each([
    '',
    '.',
    ':80',
    'a b',
    'a/b',
    'a@b',
    'a\\b',
    'a?b',
    'a#b',
    '::1',
    '[::1',
    '[x]',
    'a:65536',
    'a:x',
    'bücher',
  ])('finds that %j is no host', (text) => {
    expect(parseHost(text)).toBeUndefined();
  });
});

describe('HostTable', () => {
  const table = new HostTable<string>();
  table.set('wiki.lan', 'exact');
  table.set('*.wiki.lan', 'below');
  table.set('*.deep.wiki.lan', 'deeper');
  table.set('*.lan', 'all');

  test.each([
    ['wiki.lan', 'exact'],
    ['a.wiki.lan', 'below'],
    ['a.b.wiki.lan', 'below'],
    ['deep.wiki.lan', 'below'],
    ['a.deep.wiki.lan', 'deeper'],
    ['other.lan', 'all'],
    ['lan', undefined],
    ['wiki.lan.evil', undefined],
    ['xwiki.lan', 'all'],
    ['', undefined],
    ['[::1]', undefined],
  ])('finds for %j %j', (host, value) => {
    expect(table.find(host)).toBe(value);
  });

  test('leaves a host to whoever has it by now', () => {
    const moved = new HostTable<string>();
    moved.set('a.lan', 'first');
    moved.set('a.lan', 'second');
    moved.delete('a.lan', 'first');
    expect(moved.find('a.lan')).toBe('second');
    moved.delete('a.lan', 'second');
    expect(moved.find('a.lan')).toBeUndefined();
  });
});
