import { describe, expect, test } from 'vitest';
import { AddressIndex } from '../../../../src/relay/native/datagrams/address-index.ts';
import { encodeAddress, PEER_WORDS } from '../../../../src/relay/native/datagrams/datagram-address.ts';

const at = (address: string, port: number, local = 0) => {
  const words = new Uint32Array(PEER_WORDS);
  words.set(encodeAddress({ address, port }) ?? []);
  words[PEER_WORDS - 2] = local;
  return words;
};

describe('AddressIndex', () => {
  test('finds a value by address and port together, wherever the words stand', () => {
    const index = new AddressIndex<string>(7);
    index.set(at('10.0.0.1', 1), 'a');
    index.set(at('10.0.0.1', 2), 'b');
    index.set(at('::ffff:10.0.0.1', 2), 'c');
    const words = new Uint32Array(2 * PEER_WORDS);
    words.set(at('10.0.0.1', 2), PEER_WORDS);
    expect(index.get(words, PEER_WORDS)).toBe('b');
    expect(index.get(at('10.0.0.1', 1), 0)).toBe('a');
    expect(index.get(at('::ffff:10.0.0.1', 2), 0)).toBe('c');
    expect(index.get(at('10.0.0.2', 1), 0)).toBeUndefined();
  });

  test('tells the local addresses apart that a client asks', () => {
    const index = new AddressIndex<string>(7);
    index.set(at('10.0.0.1', 1, 1), 'a');
    index.set(at('10.0.0.1', 1, 2), 'b');
    expect([1, 2, 3].map((local) => index.get(at('10.0.0.1', 1, local), 0))).toEqual(['a', 'b', undefined]);
  });

  test('replaces, and forgets', () => {
    const index = new AddressIndex<string>(7);
    index.set(at('::1', 1), 'a');
    index.set(at('::1', 1), 'b');
    expect(index.get(at('::1', 1), 0)).toBe('b');
    index.delete(at('::1', 1));
    index.delete(at('::1', 1));
    expect(index.get(at('::1', 1), 0)).toBeUndefined();
  });

  test('tells apart those whose hashes are the same', () => {
    const index = new AddressIndex<number>(7);
    const words = Array.from({ length: 150_000 }, (_, number) => {
      const own = at('10.0.0.1', 1);
      own[1] = number;
      index.set(own, number);
      return own;
    });
    const wrong = () => words.filter((own, number) => index.get(own, 0) !== number).length;
    expect(wrong()).toBe(0);
    for (const own of words.filter((_, number) => number % 2 === 0)) index.delete(own);
    expect(wrong()).toBe(75_000);
  });
});
