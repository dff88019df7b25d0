import ipaddr from 'ipaddr.js';
import { formatEndpoint } from '../access/client-address.ts';

export const AF_INET = 2;
const AF_INET6 = 10;

/** A socket address in the kernel's form. */
export interface SocketAddress {
  readonly family: number;
  /** `struct sockaddr_in` or `struct sockaddr_in6`. */
  readonly bytes: Uint8Array;
}

/** Room for an address of either family. */
export const SOCKET_ADDRESS_BYTES = 28;

/** Writes an IP address and a port in the kernel's form; undefined for a name, or an address with a zone. */
export function toSocketAddress({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): SocketAddress | undefined {
  if (host.includes('%') || !ipaddr.isValid(host)) return undefined;
  const address = ipaddr.parse(host);
  const isIpv4 = address.kind() === 'ipv4';
  const family = isIpv4 ? AF_INET : AF_INET6;
  // The family (host order), the port (network order), for IPv6 the flow label, then the address.
  const bytes = new Uint8Array(isIpv4 ? 16 : SOCKET_ADDRESS_BYTES);
  new Uint16Array(bytes.buffer, 0, 1)[0] = family;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(address.toByteArray(), isIpv4 ? 4 : 8);
  return { family, bytes };
}

/** The IP address in a `struct sockaddr_in` or `struct sockaddr_in6`, without its zone. */
export function hostOf(bytes: Uint8Array): string {
  const isIpv4 = new Uint16Array(bytes.buffer, bytes.byteOffset, 1)[0] === AF_INET;
  return ipaddr.fromByteArray([...(isIpv4 ? bytes.subarray(4, 8) : bytes.subarray(8, 24))]).toString();
}

/** The address and port in a `struct sockaddr_in` or `struct sockaddr_in6`, as people write them: an IPv4-mapped one as IPv4. */
export function endpointOf(bytes: Uint8Array): string {
  const port = new DataView(bytes.buffer, bytes.byteOffset).getUint16(2);
  return formatEndpoint(ipaddr.process(hostOf(bytes)).toString(), port);
}
