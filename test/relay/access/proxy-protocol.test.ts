import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MAX_HEADER_BYTES,
  type ProxiedEnds,
  readProxyHeader,
  writeProxyHeader,
} from '../../../src/relay/access/proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const RUNS = { numRuns: 500 };

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

function line(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** Written out: source 192.0.2.1:56324, destination 198.51.100.2:443. */
const V4_ENDS = 'c0000201 c6336402 dc04 01bb';
const V6_ENDS = `20010db8000000000000000000000001 20010db8000000000000000000000002 dc04 01bb`;

const FROM_V4: ProxiedEnds = {
  source: { host: '192.0.2.1', port: 56_324 },
  destination: { host: '198.51.100.2', port: 443 },
};
const FROM_V6: ProxiedEnds = {
  source: { host: '2001:db8::1', port: 56_324 },
  destination: { host: '2001:db8::2', port: 443 },
};

describe('a header of version 1', () => {
  test.each<[string, ProxiedEnds | undefined]>([
    ['PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n', FROM_V4],
    ['PROXY TCP6 2001:db8::1 2001:0db8:0:0:0:0:0:2 56324 443\r\n', FROM_V6],
    ['PROXY TCP6 2001:DB8::1 2001:db8::2 56324 443\r\n', FROM_V6],
    ['PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:c633:6402 56324 443\r\n', FROM_V4],
    [
      'PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n',
      { source: { host: '0.0.0.0', port: 0 }, destination: { host: '255.255.255.255', port: 65_535 } },
    ],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n', undefined],
  ])('%j is read', (text, ends) => {
    expect(readProxyHeader(line(text))).toEqual({ kind: 'header', bytes: text.length, ends });
    expect(readProxyHeader(line(`${text}GET / HTTP/1.1\r\n`))).toEqual({
      ...{ kind: 'header', bytes: text.length, ends },
    });
  });

  test.each([
    'GET / HTTP/1.1\r\n',
    'PROXX',
    'proxy TCP4 192.0.2.1 198.51.100.2 56324 443\r\n',
    'PROXY TCP5 192.0.2.1 198.51.100.2 56324 443\r\n',
    'PROXY UDP4 192.0.2.1 198.51.100.2 56324 443\r\n',
    'PROXY UNKNOWNS\r\n',
    'PROXY TCP4\r\n',
    'PROXY \r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 x\r\n',
    'PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n',
    'PROXY TCP4 192.0.2.01 198.51.100.2 56324 443\r\n',
    'PROXY TCP4 192.0.2 198.51.100.2 56324 443\r\n',
    'PROXY TCP4 0x7f.0.0.1 198.51.100.2 56324 443\r\n',
    'PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n',
    'PROXY TCP6 192.0.2.1 198.51.100.2 56324 443\r\n',
    'PROXY TCP6 fe80::1%eth0 2001:db8::2 56324 443\r\n',
    'PROXY TCP6 ::ffff:192.0.2.010 2001:db8::2 56324 443\r\n',
    'PROXY TCP6 ::1::2 2001:db8::2 56324 443\r\n',
    `PROXY UNKNOWN ${'x'.repeat(93)}\r\n`,
    `PROXY TCP4 ${'1'.repeat(200)}`,
  ])('%j is refused', (text) => {
    expect(readProxyHeader(line(text))).toMatchObject({ kind: 'malformed' });
  });

  test('a line of 107 bytes is the longest', () => {
    const longest = `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`;
    expect(longest).toHaveLength(107);
    expect(readProxyHeader(line(longest))).toEqual({ kind: 'header', bytes: 107, ends: undefined });
  });

  test('an IPv4-compatible address is not taken for an IPv4 one', () => {
    const text = 'PROXY TCP6 ::192.0.2.1 2001:db8::2 56324 443\r\n';
    expect(readProxyHeader(line(text))).toMatchObject({ ends: { source: { host: '::c000:201' } } });
  });
});

describe('a header of version 2', () => {
  test.each<[string, string, ProxiedEnds | undefined]>([
    ['TCP over IPv4', `21 11 000c ${V4_ENDS}`, FROM_V4],
    ['UDP over IPv4', `21 12 000c ${V4_ENDS}`, FROM_V4],
    ['TCP over IPv6', `21 21 0024 ${V6_ENDS}`, FROM_V6],
    ['UDP over IPv6', `21 22 0024 ${V6_ENDS}`, FROM_V6],
    ['TLVs behind the addresses', `21 11 0013 ${V4_ENDS} 04000401020304`, FROM_V4],
    ['a TLV of another length than it says', `21 11 000f ${V4_ENDS} 04ffff`, FROM_V4],
    [
      'mapped addresses',
      '21 21 0024 00000000000000000000ffffc0000201 00000000000000000000ffffc6336402 dc04 01bb',
      FROM_V4,
    ],
    ['LOCAL', '20 00 0000', undefined],
    ['LOCAL with addresses', `20 11 000c ${V4_ENDS}`, undefined],
    ['LOCAL of an unknown family', '20 ff 0002 0000', undefined],
    ['the unspecified family', '21 00 0000', undefined],
    ['the unspecified family with TLVs', '21 00 0007 04000401020304', undefined],
    ['a Unix socket', `21 31 00d8 ${'00'.repeat(216)}`, undefined],
  ])('with %s is read', (_what, text, ends) => {
    const header = hex(`${SIGNATURE} ${text}`);
    expect(readProxyHeader(header)).toEqual({ kind: 'header', bytes: header.length, ends });
    const followed = Buffer.concat([header, Buffer.from('data')]);
    expect(readProxyHeader(followed)).toEqual({ kind: 'header', bytes: header.length, ends });
  });

  test.each([
    ['version 1', `11 11 000c ${V4_ENDS}`],
    ['version 3', `31 11 000c ${V4_ENDS}`],
    ['an unknown command', `22 11 000c ${V4_ENDS}`],
    ['an unknown family', `21 41 000c ${V4_ENDS}`],
    ['an unknown transport', `21 13 000c ${V4_ENDS}`],
    ['a family without transport', `21 10 000c ${V4_ENDS}`],
    ['addresses that are cut off', '21 11 000b c0000201 c6336402 dc04 01'],
    ['IPv6 addresses that are cut off', `21 21 000c ${V4_ENDS}`],
    ['a length that nobody needs', `21 11 ffff ${V4_ENDS}`],
    ['a long LOCAL', '20 00 ffff'],
  ])('with %s is refused', (_what, text) => {
    expect(readProxyHeader(hex(`${SIGNATURE} ${text}`))).toMatchObject({ kind: 'malformed' });
  });

  test('a header of the most bytes is read', () => {
    const length = MAX_HEADER_BYTES - 16;
    const begin = hex(`${SIGNATURE} 21 11 ${length.toString(16).padStart(4, '0')} ${V4_ENDS}`);
    const header = Buffer.concat([begin, Buffer.alloc(MAX_HEADER_BYTES - begin.length)]);
    expect(readProxyHeader(header)).toEqual({ kind: 'header', bytes: MAX_HEADER_BYTES, ends: FROM_V4 });
  });
});

const port = fc.nat(65_535);
const ends = fc.oneof(fc.ipV4(), fc.ipV6()).chain((host) =>
  fc.record({
    source: fc.record({ host: fc.constant(host), port }),
    destination: fc.record({ host: host.includes(':') ? fc.ipV6() : fc.ipV4(), port }),
  }),
);
const version = fc.constantFrom('v1' as const, 'v2' as const);
const protocol = fc.constantFrom('tcp' as const, 'udp' as const);

/** Whatever is written of these ends, read again: in its canonical form. */
function readBack(header: Buffer): ProxiedEnds | undefined {
  const reading = readProxyHeader(header);
  if (reading.kind !== 'header') throw new Error(`${reading.kind}: ${header.toString('hex')}`);
  expect(reading.bytes).toBe(header.length);
  return reading.ends;
}

describe('a written header', () => {
  test.each<[Parameters<typeof writeProxyHeader>[0], ProxiedEnds, 'tcp' | 'udp', string]>([
    ['v1', FROM_V4, 'tcp', line('PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n').toString('hex')],
    ['v1', FROM_V6, 'tcp', line('PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n').toString('hex')],
    ['v2', FROM_V4, 'tcp', `${SIGNATURE} 21 11 000c ${V4_ENDS}`],
    ['v2', FROM_V4, 'udp', `${SIGNATURE} 21 12 000c ${V4_ENDS}`],
    ['v2', FROM_V6, 'tcp', `${SIGNATURE} 21 21 0024 ${V6_ENDS}`],
    ['v2', FROM_V6, 'udp', `${SIGNATURE} 21 22 0024 ${V6_ENDS}`],
  ])('of %s has the bytes of the specification', (version, ends, protocol, bytes) => {
    expect(writeProxyHeader(version, { ...ends, protocol }).toString('hex')).toBe(hex(bytes).toString('hex'));
  });

  test('names both ends in IPv6 where one of them has no IPv4 address', () => {
    const mixed = { source: FROM_V4.source, destination: FROM_V6.destination, protocol: 'tcp' } as const;
    const text = 'PROXY TCP6 ::ffff:c000:201 2001:db8::2 56324 443\r\n';
    expect(writeProxyHeader('v1', mixed).toString('latin1')).toBe(text);
    expect(readBack(writeProxyHeader('v2', mixed))).toEqual({
      source: mixed.source,
      destination: mixed.destination,
    });
  });

  test('leaves the zone of a link-local address out, and writes a mapped address as IPv4', () => {
    const local = { host: 'fe80::1%eth0', port: 1 };
    const linked = { source: local, destination: local, protocol: 'tcp' } as const;
    expect(writeProxyHeader('v1', linked).toString()).toBe('PROXY TCP6 fe80::1 fe80::1 1 1\r\n');
    const mapped = { host: '::ffff:192.0.2.1', port: 1 };
    const text = writeProxyHeader('v1', { source: mapped, destination: mapped, protocol: 'tcp' }).toString();
    expect(text).toBe('PROXY TCP4 192.0.2.1 192.0.2.1 1 1\r\n');
  });

  test('names nobody where an end has no IP address', () => {
    const unnamed = {
      source: FROM_V4.source,
      destination: { host: 'name', port: 1 },
      protocol: 'tcp',
    } as const;
    expect(writeProxyHeader('v1', unnamed).toString()).toBe('PROXY UNKNOWN\r\n');
    expect(readBack(writeProxyHeader('v2', unnamed))).toBeUndefined();
  });

  test('is read as the same ends, in both versions alike', () => {
    fc.assert(
      fc.property(ends, protocol, (ends, protocol) => {
        const read = readBack(writeProxyHeader('v2', { ...ends, protocol }));
        expect(readBack(writeProxyHeader('v1', { ...ends, protocol }))).toEqual(read);
        expect(read?.source.port).toBe(ends.source.port);
        expect(read?.destination.port).toBe(ends.destination.port);
        // What was read is canonical: written again, it stays the same.
        if (read !== undefined) expect(readBack(writeProxyHeader('v2', { ...read, protocol }))).toEqual(read);
      }),
      RUNS,
    );
  });

  test('is incomplete as long as a byte is missing, and the rest is left alone', () => {
    fc.assert(
      fc.property(version, ends, fc.uint8Array({ maxLength: 200 }), (version, ends, rest) => {
        const header = writeProxyHeader(version, { ...ends, protocol: 'tcp' });
        for (let length = 0; length < header.length; length++)
          expect(readProxyHeader(header.subarray(0, length))).toEqual({ kind: 'incomplete' });
        expect(readProxyHeader(Buffer.concat([header, rest]))).toMatchObject({ bytes: header.length });
      }),
      { numRuns: 200 },
    );
  });
});

/** Bytes that are near to a header: a true one, or its begin, with some of its bytes changed. */
const almost = fc
  .tuple(
    version,
    ends,
    fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 4 }),
    fc.uint8Array({ maxLength: 300 }),
  )
  .map(([version, ends, changes, rest]) => {
    const bytes = Buffer.concat([writeProxyHeader(version, { ...ends, protocol: 'tcp' }), rest]);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });

describe('whatever comes', () => {
  test.each([
    ['any bytes', fc.uint8Array({ maxLength: 600 })],
    ['bytes that look like a header', almost],
  ])('%s are read without an error, and within bounds', (_what, bytes: fc.Arbitrary<Uint8Array>) => {
    fc.assert(
      fc.property(bytes, (bytes) => {
        const reading = readProxyHeader(bytes);
        if (reading.kind === 'header')
          expect(reading.bytes).toBeLessThanOrEqual(Math.min(bytes.length, MAX_HEADER_BYTES));
        // Whoever waits for more never has to keep more than this.
        if (reading.kind === 'incomplete') expect(bytes.length).toBeLessThan(MAX_HEADER_BYTES);
      }),
      { numRuns: 5_000 },
    );
  });

  test('a header is refused with its first bytes, or later for the same bytes and more', () => {
    fc.assert(
      fc.property(almost, fc.nat(400), (bytes, length) => {
        const [part, whole] = [readProxyHeader(bytes.subarray(0, length)), readProxyHeader(bytes)];
        if (part.kind !== 'incomplete') expect(whole).toEqual(part);
      }),
      RUNS,
    );
  });
});
