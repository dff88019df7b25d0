import ipaddr from 'ipaddr.js';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';

const MAPPED_PREFIX_BITS = 96;
const DOTTED_TAIL = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/;

/**
 * Reads an entry of an access list into its canonical form: an address, or a range with its host bits cleared.
 * IPv4 must be four decimal numbers without leading zeros; an IPv4-mapped IPv6 address becomes the IPv4 address.
 */
export function parseAccessEntry(raw: unknown): Parsed<string> {
  const wrong = refuse(
    'invalid-address',
    `${showValue(raw)} is not an IP address or CIDR range such as 192.168.0.0/16`,
  );
  if (typeof raw !== 'string') return wrong;
  const match = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(raw);
  if (match === null) return wrong;
  const address = readAddress(match[1] ?? '');
  if (address === undefined) return wrong;
  const mapped = address.kind() === 'ipv6' && (address as ipaddr.IPv6).isIPv4MappedAddress();
  const writtenBits = address.kind() === 'ipv4' ? 32 : 128;
  const prefix = match[2] === undefined ? writtenBits : readPrefix(match[2]);
  if (prefix === undefined || prefix > writtenBits) return wrong;
  if (!mapped || prefix < MAPPED_PREFIX_BITS) return accept(formatRange(address, prefix));
  return accept(formatRange((address as ipaddr.IPv6).toIPv4Address(), prefix - MAPPED_PREFIX_BITS));
}

/**
 * Reads an IP address to bind, without brackets, into its canonical form; undefined = it is no address. An IPv6 zone
 * (`%eth0`) is kept.
 */
export function parseBindAddress(text: string): string | undefined {
  const match = /^([^%]*)(%[0-9A-Za-z._-]+)?$/.exec(text);
  const address = match === null ? undefined : readAddress(match[1] ?? '');
  if (address === undefined) return undefined;
  if (address.kind() === 'ipv4') return match?.[2] === undefined ? address.toString() : undefined;
  const ipv6 = address as ipaddr.IPv6;
  if (ipv6.isIPv4MappedAddress()) return ipv6.toIPv4Address().toString();
  return `${ipv6.toRFC5952String()}${match?.[2] ?? ''}`;
}

function readPrefix(digits: string): number | undefined {
  return /^(0|[1-9]\d*)$/.test(digits) ? Number(digits) : undefined;
}

function readAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (!text.includes(':') || text.includes('%')) return undefined;
  const expanded = expandDottedTail(text);
  return expanded !== undefined && ipaddr.IPv6.isValid(expanded) ? ipaddr.IPv6.parse(expanded) : undefined;
}

/** ipaddr.js reads octal and hexadecimal in a dotted tail, and takes `::1.2.3.4` for a mapped address. */
function expandDottedTail(text: string): string | undefined {
  if (!text.includes('.')) return text;
  const match = DOTTED_TAIL.exec(text);
  const tail = match?.[2] ?? '';
  if (!ipaddr.IPv4.isValidFourPartDecimal(tail)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number);
  return `${match?.[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

function formatRange(address: ipaddr.IPv4 | ipaddr.IPv6, prefix: number): string {
  const bits = address.kind() === 'ipv4' ? 32 : 128;
  if (prefix === bits) return formatAddress(address);
  const bytes = address.toByteArray().map((byte, index) => {
    const kept = Math.max(0, Math.min(8, prefix - index * 8));
    return byte & (0xff << (8 - kept)) & 0xff;
  });
  return `${formatAddress(ipaddr.fromByteArray(bytes))}/${prefix}`;
}

function formatAddress(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  return address.kind() === 'ipv4' ? address.toString() : (address as ipaddr.IPv6).toRFC5952String();
}
