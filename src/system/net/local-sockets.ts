import { readFileSync } from 'node:fs';
import { isIPv4, SocketAddress } from 'node:net';
import type { Endpoint } from '../../model/running/observation.ts';

/** Linux lists here the sockets of all processes in the same network namespace. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'] as const;
/** The state of a connection that neither end has closed. */
const ESTABLISHED = '01';
const DATAGRAM_TABLES = ['/proc/self/net/udp', '/proc/self/net/udp6'] as const;

/**
 * Whether some process of this machine has a TCP socket that is connected from one address to the other; undefined where the
 * system doesn't tell. It reads the whole list, so it is for rare cases only.
 */
export function hasLocalSocket(from: Endpoint, to: Endpoint): boolean | undefined {
  let isKnown = false;
  for (const table of TABLES) {
    const text = readTable(table);
    isKnown ||= text !== undefined;
    const isThere = toKernelForms(from).some((start, form) =>
      text?.includes(` ${start} ${toKernelForms(to)[form]} `),
    );
    if (isThere) return true;
  }
  return isKnown ? false : undefined;
}

/**
 * Whether an accepted client is a process of this machine. False only where the connection still stands, but no process of
 * this machine has its other end: then the client is elsewhere, or something translates addresses in between. Undefined
 * where the client is gone, which proves nothing, and where the system doesn't tell.
 */
export function isLocalClient(client: Endpoint, reached: Endpoint): boolean | undefined {
  const isThere = hasLocalSocket(client, reached);
  if (isThere !== false) return isThere;
  // Looked at after the other end was not found: where a client of this machine left in between, this is gone as well.
  const isStanding = TABLES.some((table) => {
    const text = readTable(table);
    return toKernelForms(reached).some((start, form) =>
      text?.includes(` ${start} ${toKernelForms(client)[form]} ${ESTABLISHED} `),
    );
  });
  return isStanding ? false : undefined;
}

/**
 * Whether some process of this machine has a UDP socket that is bound to that address, or to all; undefined where the system
 * doesn't tell. It reads the whole list, so it is for rare cases only.
 */
export function hasLocalDatagramSocket(at: Endpoint): boolean | undefined {
  const texts = DATAGRAM_TABLES.map(readTable).filter((text) => text !== undefined);
  if (texts.length === 0) return undefined;
  const forms = [
    ...toKernelForms(at),
    ...toKernelForms({ ...at, host: '0.0.0.0' }),
    ...toKernelForms({ ...at, host: '::' }),
  ];
  return forms.some((form) => texts.some((text) => text.includes(`: ${form} `)));
}

function readTable(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** An address as Linux writes it, such as `0100007F:1F90`, in words of the machine's byte order; for IPv4 the mapped form too. */
function toKernelForms({ host, port }: Endpoint): readonly string[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1] ?? host;
  if (isIPv4(mapped)) {
    const word = toWord(mapped.split('.').map(Number));
    return [`${word}${end}`, `0000000000000000${toWord([0, 0, 0xff, 0xff])}${word}${end}`];
  }
  const groups = expandIpv6(host);
  const words = [0, 2, 4, 6].map((at) => {
    const [first = 0, second = 0] = groups.slice(at, at + 2);
    return toWord([first >> 8, first & 0xff, second >> 8, second & 0xff]);
  });
  return [`${words.join('')}${end}`];
}

function expandIpv6(host: string): readonly number[] {
  const { address } = new SocketAddress({ address: host.replace(/%.*$/, ''), family: 'ipv6' });
  const [head = '', tail] = address.split('::');
  const parse = (part: string) =>
    part
      .split(':')
      .filter(Boolean)
      .map((group) => Number.parseInt(group, 16));
  const [before, after] = [parse(head), parse(tail ?? '')];
  return tail === undefined
    ? before
    : [...before, ...Array(8 - before.length - after.length).fill(0), ...after];
}

function toWord(bytes: readonly number[]): string {
  const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  const ordered = isLittleEndian ? bytes.toReversed() : bytes;
  return ordered.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join('');
}
