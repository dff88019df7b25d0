const MAPPED = /^::ffff:(?=.*\.)/i;

/**
 * Who counts as one client by address: an IPv4 address, an IPv4-mapped one as IPv4, and of IPv6 the network of 64 bits, of
 * which one customer has at least a whole one. Pure.
 * @param address as Node tells it, with a zone or without.
 */
export function addressGroup(address: string): string {
  const bare = (address.split('%', 1)[0] ?? '').replace(MAPPED, '');
  if (!bare.includes(':')) return bare;
  const [before = '', after] = bare.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  // The dotted form at the end stands for two groups.
  const tailCount = tail.length + (tail.at(-1)?.includes('.') ? 1 : 0);
  const zeros = after === undefined ? [] : Array.from({ length: 8 - head.length - tailCount }, () => '0');
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`;
}
