/**
 * The PROXY protocol (version 2.2 of HAProxy's proxy-protocol.txt): a header in front of a connection's bytes, or in each
 * datagram, with which a proxy names the client behind it. Input: the first bytes of a connection or a datagram, or a client to
 * name. Output: who the client is, or the header. Guarantees: pure, nothing thrown for any bytes, and never more than
 * `MAX_HEADER_BYTES` asked for.
 */
import ipaddr from 'ipaddr.js';
import type { Endpoint } from '../../model/running/observation.ts';

/** Longer headers are refused, as by nginx. Those that proxies write have some hundred bytes at most. */
export const MAX_HEADER_BYTES = 4_096;

/** Of version 1, with its line end. */
const MAX_LINE_BYTES = 107;

/**
 * Why a client that comes from elsewhere is refused. One error for all: the stack of each error of its own would cost more than
 * its client.
 */
export const UNTRUSTED_PROXY = Object.freeze(
  Object.assign(
    new Error('it comes from none of trusted_proxies, and clients are taken with a PROXY header alone'),
    { code: 'untrusted-proxy' },
  ),
);

const LINE_START = Buffer.from('PROXY ', 'latin1');
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family, length. */
const FIXED_BYTES = 16;

const VERSION_2 = 0x20;
const LOCAL = 0x0;
const PROXY = 0x1;
/** Address family and transport, as one byte. */
const UNSPECIFIED = 0x00;
const TCP4 = 0x11;
const UDP4 = 0x12;
const TCP6 = 0x21;
const UDP6 = 0x22;

/** The length of the addresses of each family; those of Unix sockets name no client that the proxy could use. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [UNSPECIFIED, 0],
  [TCP4, 12],
  [UDP4, 12],
  [TCP6, 36],
  [UDP6, 36],
  [0x31, 216],
  [0x32, 216],
]);

/** The two ends of the connection that a proxy passes on. Addresses are canonical; an IPv4-mapped one is an IPv4 address. */
export interface ProxiedEnds {
  /** The client. */
  readonly source: Endpoint;
  /** Where the client has connected to. */
  readonly destination: Endpoint;
}

export type HeaderReading =
  /** So far it is the begin of a header. */
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed'; readonly reason: string }
  /**
   * `bytes`: its length; what follows is the client's. `ends`: undefined where it names no client (LOCAL, UNKNOWN, a Unix
   * socket): then the connection's own addresses count.
   */
  | { readonly kind: 'header'; readonly bytes: number; readonly ends: ProxiedEnds | undefined };

/** Reads a header of either version at the begin of these bytes. */
export function readProxyHeader(bytes: Uint8Array): HeaderReading {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (startsLike(view, SIGNATURE)) return view.length < FIXED_BYTES ? INCOMPLETE : readBinary(view);
  if (startsLike(view, LINE_START)) return readLine(view);
  return malformed('it begins with no header of the PROXY protocol');
}

const INCOMPLETE = { kind: 'incomplete' } as const;

function malformed(reason: string): HeaderReading {
  return { kind: 'malformed', reason };
}

/** Whether the bytes that are there are those of the start. */
function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function readBinary(bytes: Buffer): HeaderReading {
  const [versionAndCommand, family] = [bytes.readUInt8(12), bytes.readUInt8(13)];
  const length = FIXED_BYTES + bytes.readUInt16BE(14);
  const command = versionAndCommand & 0x0f;
  if ((versionAndCommand & 0xf0) !== VERSION_2) return malformed('its version is not 2');
  if (command !== LOCAL && command !== PROXY) return malformed(`its command is ${command}`);
  if (length > MAX_HEADER_BYTES)
    return malformed(`it has ${length} bytes, and ${MAX_HEADER_BYTES} are allowed`);
  const needed = ADDRESS_BYTES.get(family);
  if (command === PROXY && needed === undefined) return malformed(`its address family is 0x${hex(family)}`);
  if (command === PROXY && length < FIXED_BYTES + (needed ?? 0))
    return malformed('its addresses are cut off');
  if (bytes.length < length) return INCOMPLETE;
  const ends = command === PROXY ? readBinaryEnds(bytes.subarray(FIXED_BYTES), family) : undefined;
  return { kind: 'header', bytes: length, ends };
}

function readBinaryEnds(block: Buffer, family: number): ProxiedEnds | undefined {
  const size = family === TCP4 || family === UDP4 ? 4 : family === TCP6 || family === UDP6 ? 16 : undefined;
  if (size === undefined) return undefined;
  const hostAt = (start: number) => canonical(ipaddr.fromByteArray([...block.subarray(start, start + size)]));
  return {
    source: { host: hostAt(0), port: block.readUInt16BE(2 * size) },
    destination: { host: hostAt(size), port: block.readUInt16BE(2 * size + 2) },
  };
}

function readLine(bytes: Buffer): HeaderReading {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf('\r\n', 0, 'latin1');
  if (end < 0)
    return bytes.length < MAX_LINE_BYTES
      ? INCOMPLETE
      : malformed(`its line has no end within ${MAX_LINE_BYTES} bytes`);
  const line = bytes.toString('latin1', LINE_START.length, end);
  const length = end + 2;
  // What follows it is not to be looked at.
  if (/^UNKNOWN(?: |$)/.test(line)) return { kind: 'header', bytes: length, ends: undefined };
  const [family, from = '', to = '', fromPort = '', toPort = '', ...more] = line.split(' ');
  if ((family !== 'TCP4' && family !== 'TCP6') || more.length > 0)
    return malformed('its line has another form');
  const [source, destination] = [readEnd(family, from, fromPort), readEnd(family, to, toPort)];
  if (source === undefined || destination === undefined) return malformed('its line has no valid addresses');
  return { kind: 'header', bytes: length, ends: { source, destination } };
}

function readEnd(family: 'TCP4' | 'TCP6', host: string, port: string): Endpoint | undefined {
  const address = family === 'TCP4' ? readIpv4(host) : readIpv6(host);
  if (address === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535) return undefined;
  return { host: canonical(address), port: Number(port) };
}

function readIpv4(text: string): ipaddr.IPv4 | undefined {
  return ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text) : undefined;
}

/** Stricter than ipaddr.js, which takes zones, an octal dotted tail, and `::1.2.3.4` for a mapped address. */
function readIpv6(text: string): ipaddr.IPv6 | undefined {
  const match = /^([0-9A-Fa-f:]*:)([0-9A-Fa-f]*|[0-9.]+)$/.exec(text);
  const [head = '', tail = ''] = match?.slice(1) ?? [];
  const dotted = tail.includes('.') ? readIpv4(tail) : undefined;
  if (match === null || (tail.includes('.') && dotted === undefined)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = dotted?.octets ?? [];
  const full = dotted === undefined ? text : `${head}${hex(a)}${hex(b)}:${hex(c)}${hex(d)}`;
  return ipaddr.IPv6.isValid(full) ? ipaddr.IPv6.parse(full) : undefined;
}

function canonical(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  if (address.kind() === 'ipv4') return address.toString();
  const ipv6 = address as ipaddr.IPv6;
  return ipv6.isIPv4MappedAddress() ? ipv6.toIPv4Address().toString() : ipv6.toRFC5952String();
}

/**
 * The header that names a client. Where one of the ends has no IP address, it names none (version 1: `UNKNOWN`; version 2: the
 * unspecified family). Version 1 knows TCP alone.
 */
export function writeProxyHeader(
  version: 'v1' | 'v2',
  { source, destination, protocol }: ProxiedEnds & { readonly protocol: 'tcp' | 'udp' },
): Buffer {
  const [from, to] = [parseHost(source.host), parseHost(destination.host)];
  const ends = from === undefined || to === undefined ? undefined : inOneFamily(from, to);
  const ports = [source.port, destination.port] as const;
  if (version === 'v1') {
    if (ends === undefined) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
    const hosts = ends.map((end) =>
      end.kind() === 'ipv4' ? end.toString() : (end as ipaddr.IPv6).toRFC5952String(),
    );
    const family = ends[0].kind() === 'ipv4' ? 'TCP4' : 'TCP6';
    return Buffer.from(`PROXY ${[family, ...hosts, ...ports].join(' ')}\r\n`, 'latin1');
  }
  const block =
    ends === undefined ? [] : [...ends.flatMap((end) => end.toByteArray()), ...ports.flatMap(toTwoBytes)];
  const family = ends === undefined ? UNSPECIFIED : familyOf(ends[0], protocol);
  return Buffer.concat([
    SIGNATURE,
    Buffer.from([VERSION_2 | PROXY, family, ...toTwoBytes(block.length), ...block]),
  ]);
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

function parseHost(host: string): Address | undefined {
  const bare = host.split('%', 1)[0] ?? '';
  const address = readIpv4(bare) ?? readIpv6(bare);
  return address === undefined ? undefined : ipaddr.process(address.toString());
}

/** Both of IPv4, or both of IPv6. */
function inOneFamily(a: Address, b: Address): readonly [Address, Address] {
  if (a.kind() === b.kind()) return [a, b];
  return [toIpv6(a), toIpv6(b)];
}

function toIpv6(address: Address): ipaddr.IPv6 {
  return address.kind() === 'ipv6'
    ? (address as ipaddr.IPv6)
    : (address as ipaddr.IPv4).toIPv4MappedAddress();
}

function familyOf(address: Address, protocol: 'tcp' | 'udp'): number {
  if (address.kind() === 'ipv4') return protocol === 'tcp' ? TCP4 : UDP4;
  return protocol === 'tcp' ? TCP6 : UDP6;
}

function toTwoBytes(value: number): readonly number[] {
  return [(value >> 8) & 0xff, value & 0xff];
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
