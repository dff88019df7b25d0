import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { AF_INET } from '../native/socket-address.ts';

const SERVICES = 65_536;
const BUCKETS = 65_536;

/**
 * How many connections and descriptors each service and each address has, counted by both threads. Addresses are hashed into
 * buckets, so memory does not grow with their number. Two addresses in one bucket count as one, which matters only when
 * descriptors run short.
 */
export interface ClientCounts {
  /** By number of the service. */
  readonly connections: Int32Array;
  readonly descriptors: Int32Array;
  /** By number of the service: its addresses. */
  readonly addresses: Int32Array;
  /** By bucket of the address, and of a service with an address: descriptors. */
  readonly ofAddress: Int32Array;
  readonly ofPair: Int32Array;
  /**
   * Four numbers: services that have descriptors; addresses that have some; the descriptors of all clients, with those that
   * clients share; and those that the proxy itself had open when it last had no client.
   */
  readonly inUse: Int32Array;
  /** Random, so that nobody outside can tell which addresses share a bucket. */
  readonly seed: number;
}

/** What one connection or flow counts for. */
export interface Place {
  readonly service: number;
  /** Of the client's address: see `hashAddress`. */
  readonly hash: number;
  /** Descriptors that it needs. */
  readonly cost: number;
}

const SERVICES_IN_USE = 0;
const ADDRESSES_IN_USE = 1;
const ALL_DESCRIPTORS = 2;
const OWN_DESCRIPTORS = 3;

/** Pages that nobody touches take no memory. */
export function createClientCounts(seed: number): ClientCounts {
  const words = (count: number) => new Int32Array(new SharedArrayBuffer(count * 4));
  return {
    connections: words(SERVICES),
    descriptors: words(SERVICES),
    addresses: words(SERVICES),
    ofAddress: words(BUCKETS),
    ofPair: words(BUCKETS),
    inUse: words(4),
    seed,
  };
}

/** The number of a service is below this. */
export const MAX_COUNTED_SERVICES = SERVICES;

/** Counts one connection or flow more. */
export function countIn(counts: ClientCounts, { service, hash, cost }: Place): void {
  Atomics.add(counts.connections, service, 1);
  Atomics.add(counts.inUse, ALL_DESCRIPTORS, cost);
  if (Atomics.add(counts.descriptors, service, cost) === 0) Atomics.add(counts.inUse, SERVICES_IN_USE, 1);
  if (Atomics.add(counts.ofAddress, bucketOf(hash), cost) === 0)
    Atomics.add(counts.inUse, ADDRESSES_IN_USE, 1);
  if (Atomics.add(counts.ofPair, pairBucketOf(hash, service), cost) === 0)
    Atomics.add(counts.addresses, service, 1);
}

/** Counts one connection or flow less. */
export function countOut(counts: ClientCounts, { service, hash, cost }: Place): void {
  Atomics.sub(counts.connections, service, 1);
  Atomics.sub(counts.inUse, ALL_DESCRIPTORS, cost);
  if (Atomics.sub(counts.descriptors, service, cost) === cost) Atomics.sub(counts.inUse, SERVICES_IN_USE, 1);
  if (Atomics.sub(counts.ofAddress, bucketOf(hash), cost) === cost)
    Atomics.sub(counts.inUse, ADDRESSES_IN_USE, 1);
  if (Atomics.sub(counts.ofPair, pairBucketOf(hash, service), cost) === cost)
    Atomics.sub(counts.addresses, service, 1);
}

/** Counts descriptors that clients share, such as those of pipes; a negative number takes them off again. */
export function countShared(counts: ClientCounts, descriptors: number): void {
  Atomics.add(counts.inUse, ALL_DESCRIPTORS, descriptors);
}

/** Takes the descriptor that the kernel gives next. Where there is no client, all below it are the proxy's own. */
export function noteOwn(counts: ClientCounts, next: number): void {
  if (Atomics.load(counts.inUse, ALL_DESCRIPTORS) === 0) Atomics.store(counts.inUse, OWN_DESCRIPTORS, next);
}

/** All descriptors: those of clients, those that clients share, and the proxy's own. */
export function countDescriptors(counts: ClientCounts): number {
  return Atomics.load(counts.inUse, OWN_DESCRIPTORS) + Atomics.load(counts.inUse, ALL_DESCRIPTORS);
}

/** How many descriptors a service holds, an address, and that address at that service; and among how many they are shared. */
export interface Holdings {
  readonly service: number;
  readonly address: number;
  readonly pair: number;
  readonly services: number;
  readonly addresses: number;
  readonly addressesOfService: number;
}

/** What is held now by those for whom a client would count. A service or address without any counts among those that share. */
export function readHoldings(counts: ClientCounts, { service, hash }: Omit<Place, 'cost'>): Holdings {
  const held = Atomics.load(counts.descriptors, service);
  const address = Atomics.load(counts.ofAddress, bucketOf(hash));
  const pair = Atomics.load(counts.ofPair, pairBucketOf(hash, service));
  return {
    ...{ service: held, address, pair },
    services: Atomics.load(counts.inUse, SERVICES_IN_USE) + (held === 0 ? 1 : 0),
    addresses: Atomics.load(counts.inUse, ADDRESSES_IN_USE) + (address === 0 ? 1 : 0),
    addressesOfService: Atomics.load(counts.addresses, service) + (pair === 0 ? 1 : 0),
  };
}

/** The hash of the address in a `struct sockaddr_in` or `struct sockaddr_in6`. */
export function hashSocketAddress(bytes: Uint8Array, seed: number): number {
  const isIpv4 = (bytes[0] ?? 0) + (bytes[1] ?? 0) * 256 === AF_INET;
  return isIpv4 ? hashBytes(bytes, { from: 4, seed, bits: 32 }) : hashIpv6(bytes, { from: 8, seed });
}

/** The same of an address as text; a zone doesn't count. */
export function hashAddress(address: string, seed: number): number {
  // Each connection comes through here: this takes a tenth of the time that ipaddr takes.
  if (isIPv4(address)) return hashBytes(address.split('.').map(Number), { from: 0, seed, bits: 32 });
  const bare = address.split('%', 1)[0] ?? '';
  if (!isIPv6(bare)) return seed;
  return hashIpv6(ipaddr.parse(bare).toByteArray(), { from: 0, seed });
}

/** IPv4-mapped as IPv4; of all others the network of 64 bits: see `addressGroup`. */
function hashIpv6(
  bytes: ArrayLike<number>,
  { from, seed }: { readonly from: number; readonly seed: number },
): number {
  let isMapped = bytes[from + 10] === 0xff && bytes[from + 11] === 0xff;
  for (let index = 0; index < 10; index++) isMapped &&= bytes[from + index] === 0;
  return isMapped
    ? hashBytes(bytes, { from: from + 12, seed, bits: 32 })
    : hashBytes(bytes, { from, seed, bits: 64 });
}

/** FNV-1a, with its bits mixed at the end. */
function hashBytes(
  bytes: ArrayLike<number>,
  { from, seed, bits }: { readonly from: number; readonly seed: number; readonly bits: 32 | 64 },
): number {
  let hash = 0x811c_9dc5 ^ seed;
  for (let index = from; index < from + bits / 8; index++)
    hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x0100_0193);
  return mix(hash);
}

function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}

function bucketOf(hash: number): number {
  return hash & (BUCKETS - 1);
}

function pairBucketOf(hash: number, service: number): number {
  return mix(hash ^ Math.imul(service + 1, 0x9e37_79b1)) & (BUCKETS - 1);
}
