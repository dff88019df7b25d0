import ipaddr from 'ipaddr.js';

type Range = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number];

/** Addresses and CIDR ranges, in canonical form. */
export interface AccessRanges {
  readonly allowList: readonly string[];
  readonly blockList: readonly string[];
}

/** Decides whether a client address may connect. */
export interface AccessList {
  /** What it was compiled from. */
  readonly ranges: AccessRanges;
  allows(address: string): boolean;
  /** Whether everybody may. */
  readonly allowsAll: boolean;
}

/**
 * Compiles an access list: the allow list is asked first (empty = everybody), then the block list. An IPv4-mapped IPv6
 * address counts as IPv4, and an address that can't be read is refused.
 * @throws when a range is not a canonical address or CIDR range, which the configuration stage has ruled out.
 */
export function compileAccessList({ allowList, blockList }: AccessRanges): AccessList {
  const ranges = { allowList, blockList };
  const allowed = allowList.map(parseRange);
  const blocked = blockList.map(parseRange);
  if (allowed.length === 0 && blocked.length === 0) return { ranges, allows: () => true, allowsAll: true };
  return {
    ranges,
    allowsAll: false,
    allows(address) {
      const client = parseClient(address);
      if (client === undefined) return false;
      if (allowed.length > 0 && !isIn(client, allowed)) return false;
      return !isIn(client, blocked);
    },
  };
}

function parseRange(text: string): Range {
  if (text.includes('/')) return ipaddr.parseCIDR(text);
  const address = ipaddr.process(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

function parseClient(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  // A link-local client carries its zone: fe80::1%eth0.
  const bare = address.split('%', 1)[0] ?? '';
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}

function isIn(client: ipaddr.IPv4 | ipaddr.IPv6, ranges: readonly Range[]): boolean {
  return ranges.some(([address, bits]) => address.kind() === client.kind() && client.match(address, bits));
}
