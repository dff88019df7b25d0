import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [address: Address, bits: number];

/** Addresses and CIDR ranges, in canonical form. */
export interface AccessRanges {
  readonly allowList: readonly string[];
  readonly blockList: readonly string[];
}

/** Addresses whose verdict a list remembers. */
const MAX_KNOWN = 256;

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
  // Reading an address takes longer than the rest of the look, and a client comes again and again.
  const known = new Map<string, boolean>();
  return {
    ranges,
    allowsAll: false,
    allows(address) {
      const before = known.get(address);
      if (before !== undefined) return before;
      const client = parseClient(address);
      const isAllowed = client !== undefined && (allowed.length === 0 || isIn(client, allowed));
      const verdict = isAllowed && !isIn(client, blocked);
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(address, verdict);
      return verdict;
    },
  };
}

/** A set of addresses. */
export interface AddressSet {
  /** An IPv4-mapped IPv6 address counts as IPv4; what can't be read is in no set. */
  includes(address: string): boolean;
}

/**
 * Compiles addresses and CIDR ranges; without any it includes nobody.
 * @throws as `compileAccessList`.
 */
export function compileAddressSet(ranges: readonly string[]): AddressSet {
  const parsed = ranges.map(parseRange);
  return {
    includes(address) {
      const client = parsed.length === 0 ? undefined : parseClient(address);
      return client !== undefined && isIn(client, parsed);
    },
  };
}

/** Decides which clients may wake a service. */
export interface WakeList {
  mayWake(address: string): boolean;
}

/**
 * Compiles a `wake_list`: who may wake the service; empty = everybody. Others are served while it is awake, over TCP, UDP and
 * HTTP alike.
 * @throws as `compileAccessList`.
 */
export function compileWakeList(ranges: readonly string[]): WakeList {
  const set = compileAddressSet(ranges);
  return { mayWake: ranges.length === 0 ? () => true : (address) => set.includes(address) };
}

function parseRange(text: string): Range {
  if (text.includes('/')) return ipaddr.parseCIDR(text);
  const address = ipaddr.process(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

function parseClient(address: string): Address | undefined {
  // A link-local client carries its zone: fe80::1%eth0.
  const bare = address.split('%', 1)[0] ?? '';
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}

function isIn(client: Address, ranges: readonly Range[]): boolean {
  return ranges.some(([address, bits]) => address.kind() === client.kind() && client.match(address, bits));
}
