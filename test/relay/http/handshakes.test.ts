import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Handshakes } from '../../../src/relay/http/tls/handshakes.ts';

const begin = (handshakes: Handshakes, address: string, isTrusted = false) => {
  const socket = new Socket();
  return { socket, ...handshakes.begin(socket, { address, isTrusted }) };
};

test('the handshake that has taken longest makes room where there are too many', () => {
  const handshakes = new Handshakes();
  const all = Array.from({ length: 512 }, (_, index) => begin(handshakes, `10.0.${index}.1`));
  expect(all.every(({ mayBegin, evicted }) => mayBegin && evicted === undefined)).toBe(true);
  const [first, second] = all;
  if (second !== undefined) handshakes.end(second.socket);
  expect(begin(handshakes, '10.1.0.1')).toMatchObject({ mayBegin: true, evicted: undefined });
  expect(begin(handshakes, '10.1.0.2').evicted).toBe(first?.socket);
});

test('a network of IPv6 counts as one address, and a trusted proxy for many', () => {
  const handshakes = new Handshakes();
  for (let index = 1; index <= 64; index++)
    expect(begin(handshakes, `2001:db8::${index}`).mayBegin).toBe(true);
  expect(begin(handshakes, '2001:db8::ffff').mayBegin).toBe(false);
  expect(begin(handshakes, '2001:db8:0:1::1').mayBegin).toBe(true);
  expect(begin(handshakes, '2001:db8::ffff', true).mayBegin).toBe(true);
});
