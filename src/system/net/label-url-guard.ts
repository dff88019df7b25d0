/**
 * Where the URLs of labels may lead. A label is written by whoever starts a container, or by the maker of an image, and the
 * proxy asks from a place that they may not reach: beside the engine, on the machine itself. Input: an address that is about
 * to be connected to. Output: the reason why not, or nothing.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import type { CheckTarget, HttpTarget } from './http-client.ts';
import { nameLookups } from './name-lookups.ts';
import { isOwnAddress } from './own-addresses.ts';

/** Where a Docker engine listens without and with TLS, on whichever machine. */
const ENGINE_PORTS: ReadonlySet<number> = new Set([2375, 2376]);

// What nobody outside of the machine can reach, with the forms that stand for it in IPv6.
const LOOPBACK = createList([
  ['127.0.0.0', 8],
  ['::1', 128],
  ['::127.0.0.0', 104],
  ['64:ff9b::127.0.0.0', 104],
]);
const LINK_LOCAL = createList([
  ['169.254.0.0', 16],
  ['fe80::', 10],
  ['::169.254.0.0', 112],
  ['64:ff9b::169.254.0.0', 112],
]);
const UNSPECIFIED = createList([
  ['0.0.0.0', 8],
  ['::', 104],
  ['64:ff9b::', 104],
]);
const CLOSED = [
  { name: 'loopback', list: LOOPBACK },
  { name: 'link-local', list: LINK_LOCAL },
  { name: 'unspecified', list: UNSPECIFIED },
] as const;

/** Names that stand for the loopback everywhere. */
const LOCALHOST = /(?:^|\.)localhost$/i;

interface Place {
  readonly host: string;
  readonly port: number;
}

export interface LabelUrlGuardOptions {
  /** The engines that are spoken to over TCP. */
  readonly engines: readonly Place[];
  /** Where the status server listens; undefined = there is none. */
  readonly statusPort: number | undefined;
  /** Whether an address is one of this machine's; default: asks the kernel. */
  readonly isOwn?: (address: string) => boolean;
}

export class LabelUrlGuard {
  readonly #engines: readonly Place[];
  readonly #statusPort: number | undefined;
  readonly #isOwn: (address: string) => boolean;
  #hosts: ReadonlySet<string> = new Set();
  #ranges = new BlockList();

  constructor({ engines, statusPort, isOwn = isOwnAddress }: LabelUrlGuardOptions) {
    this.#engines = engines;
    this.#statusPort = statusPort;
    this.#isOwn = isOwn;
  }

  /** Replaces what is allowed in spite of everything: canonical host names, addresses and CIDR ranges. */
  allow(entries: readonly string[]): void {
    const ranges = entries.filter((entry) => isAddressOrRange(entry));
    this.#hosts = new Set(entries.filter((entry) => !isAddressOrRange(entry)));
    this.#ranges = createList(
      ranges.map((entry) => {
        const [address = '', bits] = entry.split('/');
        return [address, bits === undefined ? bitsOf(address) : Number(bits)] as const;
      }),
    );
  }

  /** For requests whose URL a label has. */
  readonly check: CheckTarget = async (target) => {
    const address = withoutZone(target.address);
    if (this.#isAllowed({ host: target.host, address })) return undefined;
    const place = await this.#nameForbidden({ ...target, address });
    if (place === undefined) return undefined;
    return describeRefusal(address, place);
  };

  /**
   * Why the URL of a label can't lead where it says, as far as that shows without a look-up; undefined where it may. What has a
   * name is decided when it is connected to.
   */
  explainUrl(url: string): string | undefined {
    // Of `{{container}}` as the host the check of health makes an address; elsewhere it changes nothing.
    const text = url.replaceAll('{{container}}', 'container');
    if (!URL.canParse(text)) return undefined;
    const { hostname, port, protocol } = new URL(text);
    const host = hostname.replace(/^\[|\]$|\.$/g, '');
    const addresses = isIP(host) !== 0 ? [host] : LOCALHOST.test(host) ? ['127.0.0.1', '::1'] : [];
    const reasons = addresses.map((address) => {
      if (this.#isAllowed({ host, address })) return undefined;
      const place = this.#nameClosed({ address, port: Number(port) || (protocol === 'https:' ? 443 : 80) });
      return place === undefined ? undefined : describeRefusal(host, place);
    });
    return reasons.includes(undefined) ? undefined : reasons[0];
  }

  #isAllowed({ host, address }: Pick<HttpTarget, 'host' | 'address'>): boolean {
    return this.#hosts.has(host.replace(/\.$/, '')) || contains(this.#ranges, address);
  }

  /** What is at a target that nobody else may reach; undefined where nothing is. */
  async #nameForbidden({ address, port }: HttpTarget): Promise<string | undefined> {
    const place = this.#nameClosed({ address, port });
    if (place !== undefined) return place;
    for (const engine of this.#engines) {
      if (port === engine.port && (await this.#isAt(address, engine.host))) return 'the engine';
    }
    return undefined;
  }

  /** The same, without a look-up. */
  #nameClosed({ address, port }: Omit<HttpTarget, 'host'>): string | undefined {
    const closed = CLOSED.find(({ list }) => contains(list, address));
    if (closed !== undefined) return closed.name;
    if (ENGINE_PORTS.has(port)) return `port ${port}, an engine's`;
    if (port === this.#statusPort && this.#isOwn(address)) return 'the status server';
    const isEngine = this.#engines.some((engine) => port === engine.port && address === engine.host);
    return isEngine ? 'the engine' : undefined;
  }

  /** Whether an address is one of a host's: where that is this machine, all of its own are. */
  async #isAt(address: string, host: string): Promise<boolean> {
    const known = (await nameLookups.find(host)).map((found) => found.address);
    if (isAmong(known, address)) return true;
    const isHere = known.some((one) => this.#isOwn(one) || contains(LOOPBACK, one));
    return isHere && this.#isOwn(address);
  }
}

function describeRefusal(where: string, place: string): string {
  return `the URL of a label may not lead to ${where} (${place}), unless docker.label_urls allows it`;
}

function createList(ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [address, bits] of ranges) list.addSubnet(address, bits, familyOf(address));
  return list;
}

/** An IPv4 address counts in either of its forms. */
function contains(list: BlockList, address: string): boolean {
  return list.check(address, familyOf(address));
}

function isAmong(addresses: readonly string[], address: string): boolean {
  return contains(createList(addresses.map((one) => [one, bitsOf(one)] as const)), address);
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

function bitsOf(address: string): number {
  return isIPv6(address) ? 128 : 32;
}

function isAddressOrRange(entry: string): boolean {
  return /^[\d.]+(\/\d+)?$/.test(entry) || entry.includes(':');
}

function withoutZone(address: string): string {
  return address.replace(/%.*$/, '');
}
