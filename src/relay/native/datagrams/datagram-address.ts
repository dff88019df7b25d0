import { SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import type { ClientAddress } from '../../udp/flow-table.ts';

/** Words of 32 bits of a `struct sockaddr_in6`, the longest address. */
export const ADDRESS_WORDS = 7;

/**
 * The words of a peer: who has sent a datagram, and to which of our addresses. They hold the sender's socket address, the
 * local IP address, and for a link-local one the interface. The local part is zero where the socket is bound to one address,
 * or the kernel doesn't tell.
 */
export const PEER_WORDS = ADDRESS_WORDS + 5;

/** `sa_family` of Linux, and how many words of such an address count. */
export const AF_INET = 2;
export const AF_INET6 = 10;
const IPV4_WORDS = 4;

/** The length of an address for the kernel: 16 bytes for IPv4, 28 for IPv6. */
export function addressBytes(words: Uint32Array): number {
  return familyOf(words) === AF_INET6 ? ADDRESS_WORDS * 4 : IPV4_WORDS * 4;
}

/** Writes an address in the kernel's form; undefined where it names an interface that doesn't exist. */
export function encodeAddress({ address, port }: ClientAddress): Uint32Array | undefined {
  const words = new Uint32Array(ADDRESS_WORDS);
  const bytes = new DataView(words.buffer);
  const [plain = '', zone] = address.split('%');
  const parsed = ipaddr.parse(plain);
  const isIpv4 = parsed.kind() === 'ipv4';
  bytes.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
  bytes.setUint16(2, port);
  for (const [index, byte] of parsed.toByteArray().entries()) bytes.setUint8((isIpv4 ? 4 : 8) + index, byte);
  if (zone === undefined) return words;
  const scope = networkInterfaces()[zone]?.find(({ scopeid }) => scopeid)?.scopeid;
  words[ADDRESS_WORDS - 1] = scope ?? 0;
  return scope === undefined ? undefined : words;
}

/** Reads an address into the text that node:dgram would give: it is the key of a flow. */
export function decodeAddress(words: Uint32Array): ClientAddress {
  const bytes = new DataView(words.buffer, words.byteOffset, words.byteLength);
  const port = bytes.getUint16(2);
  if (familyOf(words) !== AF_INET6) {
    return { address: [4, 5, 6, 7].map((at) => bytes.getUint8(at)).join('.'), port };
  }
  const groups = Array.from({ length: 8 }, (_, index) => bytes.getUint16(8 + 2 * index).toString(16));
  const { address } = new SocketAddress({ address: groups.join(':'), family: 'ipv6', port });
  const isLinkLocal = (bytes.getUint16(8) & 0xffc0) === 0xfe80;
  const zone = isLinkLocal ? nameInterface(words[ADDRESS_WORDS - 1] ?? 0) : undefined;
  return { address: zone === undefined ? address : `${address}%${zone}`, port };
}

/** Reads who sent a datagram; the local address that it was sent to becomes part of the flow's key. */
export function decodePeer(words: Uint32Array): ClientAddress {
  const sender = decodeAddress(words);
  if (!hasLocal(words)) return sender;
  return {
    ...sender,
    local: words.subarray(ADDRESS_WORDS, PEER_WORDS).join('.'),
    // Few ask for it.
    get localAddress() {
      return decodeLocal(words);
    },
  };
}

/** The local IP address of a peer, of the family of the sender's. */
function decodeLocal(words: Uint32Array): string {
  const bytes = new Uint8Array(words.buffer, words.byteOffset + ADDRESS_WORDS * 4, isIpv6(words) ? 16 : 4);
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** Whether the words of a peer hold a local address. */
export function hasLocal(words: Uint32Array): boolean {
  for (let at = ADDRESS_WORDS; at < PEER_WORDS; at++) if (words[at] !== 0) return true;
  return false;
}

/** Whether the words of a socket address are those of IPv6. */
export function isIpv6(words: Uint32Array): boolean {
  return familyOf(words) === AF_INET6;
}

function familyOf(words: Uint32Array): number {
  return (words[0] ?? 0) & 0xffff;
}

function nameInterface(scope: number): string | undefined {
  const all = Object.entries(networkInterfaces());
  return all.find(([, addresses]) => addresses?.some(({ scopeid }) => scopeid === scope))?.[0];
}
