import { describe, expect, test } from 'vitest';
import { EpollEvents } from '../../../src/relay/native/epoll-events.ts';
import { createLibc, type Libc } from '../../../src/relay/native/libc.ts';
import { loadKoffi } from '../../../src/relay/native/load-koffi.ts';
import { findNativeFault } from '../../../src/relay/native/datagrams/self-check.ts';
import { hostOf, toSocketAddress } from '../../../src/relay/native/socket-address.ts';

describe('EpollEvents', () => {
  test.each([
    ['x64', 12],
    ['arm64', 16],
    ['arm', 16],
  ] as const)('lays events out as %s has them', (architecture, bytesPerEvent) => {
    const events = new EpollEvents(2, architecture);
    expect(events.bytes).toHaveLength(2 * bytesPerEvent);
    events.set(1, { events: 0x8000_0001, token: 0xfeed_beef });
    expect([events.events(1), events.token(1)]).toEqual([0x8000_0001, 0xfeed_beef]);
    expect(events.bytes[bytesPerEvent]).toBe(1);
    expect([...events.bytes.subarray(bytesPerEvent + (bytesPerEvent === 12 ? 4 : 8)).subarray(0, 4)]).toEqual(
      [0xef, 0xbe, 0xed, 0xfe],
    );
  });
});

describe('toSocketAddress', () => {
  test('writes IPv4', () => {
    const address = toSocketAddress({ host: '198.18.0.7', port: 5432 });
    expect(address).toEqual({
      family: 2,
      bytes: Uint8Array.from([2, 0, 0x15, 0x38, 198, 18, 0, 7, ...Array(8).fill(0)]),
    });
  });

  test('writes IPv6', () => {
    const { family, bytes } = toSocketAddress({ host: '2001:db8::1', port: 80 }) ?? { family: 0, bytes: [] };
    expect(family).toBe(10);
    expect(bytes).toHaveLength(28);
    expect([...bytes].slice(0, 12)).toEqual([10, 0, 0, 80, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8]);
    expect(bytes[23]).toBe(1);
  });

  test.each(['db', 'fe80::1%eth0', ''])('leaves %j to somebody else', (host) => {
    expect(toSocketAddress({ host, port: 1 })).toBeUndefined();
  });
});

describe('hostOf', () => {
  test.each(['198.18.0.7', '2001:db8::1', '::1', 'fe80::1'])('reads %s', (host) => {
    const { bytes } = toSocketAddress({ host, port: 443 }) ?? { bytes: new Uint8Array(28) };
    expect(hostOf(bytes)).toBe(host);
  });
});

describe.runIf(process.platform === 'linux')('findNativeFault', () => {
  const createReal = async (): Promise<Libc> => {
    const load = await loadKoffi();
    if (load.kind === 'unavailable') throw new Error(load.reason);
    return createLibc(load.koffi);
  };

  test('finds nothing wrong with this machine', async () => {
    expect(findNativeFault(await createReal())).toBeUndefined();
  });

  test('finds a layout of events that is another one', async () => {
    const libc = await createReal();
    const shifted: Libc = {
      ...libc,
      epollWait(epoll, events, options) {
        const count = libc.epollWait(epoll, events, options);
        events.copyWithin(4, 0);
        return count;
      },
    };
    expect(findNativeFault(shifted)).toBe('epoll answers in an unknown layout');
  });

  test('finds that a sandbox refuses splice', async () => {
    expect(findNativeFault({ ...(await createReal()), splice: () => -1 })).toBe(
      'splice is refused (errno 1)',
    );
  });

  test('finds that there are no descriptors', async () => {
    const fault = findNativeFault({ ...(await createReal()), pipe: () => -24 });
    expect(fault).toBe('pipes, epoll or eventfd are refused');
  });
});
