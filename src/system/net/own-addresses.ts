import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { BlockList, isIP, SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Nothing is ever sent to this port: the kernel only chooses a route. */
const ANY_PORT = 9;
const IPV6_ADDRESSES = '/proc/net/if_inet6';

const ALWAYS_OWN = new BlockList();
ALWAYS_OWN.addSubnet('127.0.0.0', 8, 'ipv4');
ALWAYS_OWN.addAddress('::1', 'ipv6');

/**
 * Whether what is sent to an address stays on this machine. The kernel is asked each time, which costs some 30 µs: it takes
 * packets for the addresses of interfaces without a link too, such as a bridge without containers, and those are missing
 * among what Node tells of the interfaces. False for a name.
 */
export function isOwnAddress(host: string): boolean {
  const address = canonicalAddress(host);
  if (address === undefined) return false;
  const isIpv6 = address.includes(':');
  if (ALWAYS_OWN.check(address, isIpv6 ? 'ipv6' : 'ipv4')) return true;
  return staysHere(address) || listInterfaceAddresses(isIpv6).includes(address);
}

/**
 * As addresses are compared: without zone, an IPv4-mapped one is IPv4, and what is connected to "no address" goes to the
 * loopback; undefined for a name. Pure.
 */
export function canonicalAddress(host: string): string | undefined {
  const address = host.replace(/%.*$/, '');
  const family = isIP(address);
  if (family === 0) return undefined;
  if (family === 4) return address === '0.0.0.0' ? '127.0.0.1' : address;
  const { address: plain } = new SocketAddress({ address, family: 'ipv6' });
  if (plain === '::') return '::1';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1];
  return mapped === undefined ? plain : canonicalAddress(mapped);
}

/** The kernel reaches an address of its own from that address, or from the loopback. */
function staysHere(address: string): boolean {
  const isIpv6 = address.includes(':');
  const socket = createSocket({
    type: isIpv6 ? 'udp6' : 'udp4',
    // Called at once, so that all is done when `connect` returns.
    lookup: (host, _options, callback) => callback(null, host, isIpv6 ? 6 : 4),
  });
  socket.on('error', () => {}).unref();
  try {
    // Of several IPv4 addresses on an interface the kernel chooses the first one as the source. Where any address may be
    // bound (ip_nonlocal_bind), connecting from one that isn't ours fails.
    if (!isIpv6) socket.bind({ port: 0, address, exclusive: true });
    socket.connect(ANY_PORT, address);
    const source = socket.address().address;
    return source === address || source === '::1';
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

/** Includes IPv6 addresses that the kernel doesn't use as a source yet, because it still checks that nobody else has them. */
function listInterfaceAddresses(isIpv6: boolean): readonly (string | undefined)[] {
  const told = readOrNothing(() =>
    Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
  );
  const ofKernel = isIpv6
    ? readOrNothing(() => readFileSync(IPV6_ADDRESSES, 'latin1').split('\n').filter(Boolean).map(toIpv6))
    : [];
  return [...told, ...ofKernel].map(canonicalAddress);
}

/** If the system doesn't tell, the addresses known from elsewhere must do. */
function readOrNothing(read: () => readonly string[]): readonly string[] {
  try {
    return read();
  } catch {
    return [];
  }
}

/** `fd000001000000000000000000000001 02 40 …` begins with the address. */
function toIpv6(line: string): string {
  return (line.slice(0, 32).match(/.{4}/g) ?? []).join(':');
}
