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
 * Whether packets to an address stay on this machine; false for a name. It asks the kernel each time, which takes some 30 µs.
 * Node's list of interfaces is not enough: it leaves out interfaces without a link, such as a bridge without containers,
 * whose addresses the kernel serves too.
 */
export function isOwnAddress(host: string): boolean {
  const address = canonicalAddress(host);
  if (address === undefined) return false;
  const isIpv6 = address.includes(':');
  if (ALWAYS_OWN.check(address, isIpv6 ? 'ipv6' : 'ipv4')) return true;
  return staysHere(address) || listInterfaceAddresses(isIpv6).includes(address);
}

/**
 * The form in which addresses are compared; undefined for a name. It has no zone, an IPv4-mapped address is IPv4, and the
 * unspecified address is the loopback, where a connection to it goes. Pure.
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

/** Whether an address is the machine's own: the kernel reaches such a one from itself, or from the loopback. */
function staysHere(address: string): boolean {
  const isIpv6 = address.includes(':');
  const socket = createSocket({
    type: isIpv6 ? 'udp6' : 'udp4',
    // Answers at once, so that `connect` is done when it returns.
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

/** Includes IPv6 addresses that the kernel doesn't send from yet: it still checks that no other machine has them. */
function listInterfaceAddresses(isIpv6: boolean): readonly (string | undefined)[] {
  const told = readOrNothing(() =>
    Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
  );
  const ofKernel = isIpv6
    ? readOrNothing(() => readFileSync(IPV6_ADDRESSES, 'latin1').split('\n').filter(Boolean).map(toIpv6))
    : [];
  return [...told, ...ofKernel].map(canonicalAddress);
}

/** Nothing where the system doesn't tell. */
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
