import ipaddr from 'ipaddr.js';

/** The addresses that a network hands out, for one of the two families. */
export interface AddressPool {
  /** `172.18.0.0/16`: the part of the subnet that addresses are taken from. */
  readonly range: string;
  /** Which end is tried first: engines begin at the bottom, and so do people. */
  readonly from: 'top' | 'bottom';
}

/** After so many tries a pool counts as full: no network has so many containers. */
const MAX_TRIES = 70_000;

/**
 * An address of the pool that isn't taken; undefined where there is none, or the range can't be read. Pure.
 * @param taken addresses in any spelling; texts that are no address are ignored.
 */
export function findFreeAddress(pool: AddressPool, taken: Iterable<string>): string | undefined {
  if (!ipaddr.isValidCIDR(pool.range)) return undefined;
  const [base, prefix] = ipaddr.parseCIDR(pool.range);
  const bytes = base.toByteArray();
  const size = 1n << BigInt(bytes.length * 8 - prefix);
  const first = (toNumber(bytes) / size) * size;
  const used = new Set([...taken].flatMap((text) => readNumber(text, base.kind())));
  // Neither the address of the network itself nor the broadcast address.
  let [low, high] = [first + 1n, first + size - 2n];
  for (let tries = 0; tries < MAX_TRIES && low <= high; tries++) {
    const candidate = pool.from === 'top' ? high-- : low++;
    if (!used.has(candidate)) return formatNumber(candidate, bytes.length);
  }
  return undefined;
}

/** Whether two texts name the same address. */
export function isSameAddress(a: string, b: string): boolean {
  return ipaddr.isValid(a) && ipaddr.isValid(b) && ipaddr.parse(a).toString() === ipaddr.parse(b).toString();
}

export function familyOf(range: string): 'ipv4' | 'ipv6' | undefined {
  return ipaddr.isValidCIDR(range) ? ipaddr.parseCIDR(range)[0].kind() : undefined;
}

function readNumber(text: string, kind: 'ipv4' | 'ipv6'): bigint[] {
  const [address = ''] = text.split('/');
  if (!ipaddr.isValid(address)) return [];
  const parsed = ipaddr.parse(address);
  return parsed.kind() === kind ? [toNumber(parsed.toByteArray())] : [];
}

function toNumber(bytes: readonly number[]): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function formatNumber(value: bigint, length: number): string {
  const bytes = Array.from({ length }, (_, index) =>
    Number((value >> BigInt(8 * (length - 1 - index))) & 255n),
  );
  return ipaddr.fromByteArray(bytes).toString();
}
