import { describe, expect, test } from 'vitest';
import {
  compileAccessList,
  compileAddressSet,
  compileWakeList,
} from '../../../src/relay/access/access-list.ts';

describe('access list', () => {
  test.each([
    // allow, block, client, allowed
    ['', '', '10.0.0.1', true],
    ['', '', 'not an address', true],
    ['10.0.0.1', '', '10.0.0.1', true],
    ['10.0.0.1', '', '10.0.0.2', false],
    ['10.0.0.0/8', '', '10.255.255.255', true],
    ['10.0.0.0/8', '', '11.0.0.0', false],
    ['0.0.0.0/0', '', '203.0.113.9', true],
    ['0.0.0.0/0', '', '2001:db8::1', false],
    ['::/0', '', '2001:db8::1', true],
    ['::/0', '', '203.0.113.9', false],
    ['', '10.0.0.1', '10.0.0.1', false],
    ['', '10.0.0.1', '10.0.0.2', true],
    ['10.0.0.0/8', '10.0.0.1', '10.0.0.1', false],
    ['10.0.0.0/8', '10.0.0.1', '10.0.0.2', true],
    ['10.0.0.1', '10.0.0.0/8', '10.0.0.1', false],
    ['10.0.0.1', '192.168.0.1', '192.168.0.2', false],
    ['10.0.0.1,192.168.0.0/16', '', '192.168.7.7', true],
    ['10.0.0.1', '', '::ffff:10.0.0.1', true],
    ['', '10.0.0.1', '::ffff:10.0.0.1', false],
    ['', '10.0.0.1', '::ffff:a00:1', false],
    ['::1', '', '::1', true],
    ['::1', '', '0:0:0:0:0:0:0:1', true],
    ['::1', '', '::2', false],
    ['2001:db8::/32', '', '2001:db8:1::5', true],
    ['2001:db8::/32', '', '2001:db9::5', false],
    ['fe80::/10', '', 'fe80::1%eth0', true],
    ['', 'fe80::1', 'fe80::1%eth0', false],
    ['10.0.0.0/8', '', 'not an address', false],
    ['10.0.0.0/8', '', '', false],
    ['', '10.0.0.1', 'not an address', false],
    ['', '10.0.0.1', '', false],
  ])('with allow [%s] and block [%s] judges %s as %s', (allow, block, client, allowed) => {
    const split = (list: string) => list.split(',').filter((entry) => entry !== '');
    const list = compileAccessList({ allowList: split(allow), blockList: split(block) });
    expect(list.allows(client)).toBe(allowed);
  });

  test('throws when a range can not be read', () => {
    expect(() => compileAccessList({ allowList: ['10.0.0.0/99'], blockList: [] })).toThrow();
    expect(() => compileAccessList({ allowList: [], blockList: ['nonsense'] })).toThrow();
  });
});

describe('address set', () => {
  test.each([
    ['', '10.0.0.1', false],
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8,::1', '::1', true],
    ['0.0.0.0/0', '::1', false],
    ['0.0.0.0/0', 'nonsense', false],
  ])('[%s] includes %s: %s', (ranges, address, isIncluded) => {
    const set = compileAddressSet(ranges.split(',').filter((range) => range !== ''));
    expect(set.includes(address)).toBe(isIncluded);
  });
});

describe('wake list', () => {
  test.each([
    ['', '203.0.113.9', true],
    ['192.168.0.0/16', '192.168.1.1', true],
    ['192.168.0.0/16', '::ffff:192.168.1.1', true],
    ['192.168.0.0/16', '203.0.113.9', false],
    ['192.168.0.0/16', 'nonsense', false],
  ])('[%s] lets %s wake: %s', (ranges, address, mayWake) => {
    const list = compileWakeList(ranges.split(',').filter((range) => range !== ''));
    expect(list.mayWake(address)).toBe(mayWake);
  });
});
