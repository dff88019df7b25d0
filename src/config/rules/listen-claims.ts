import { describeOrigin, type Origin } from '../../model/origin.ts';
import type { ListenerSpec } from '../../model/service.ts';
import type { Settings } from '../../model/settings.ts';
import { type FrontDoor, isInDomains } from '../../model/web.ts';

/** Keeps who has which listener, and finds out whether another one overlaps. */
export interface ListenClaims<T> {
  /**
   * Takes a listener for an owner and returns undefined; if it can't be bound beside one that is taken, returns the
   * other's owner instead.
   */
  claim(listener: Pick<ListenerSpec, 'protocol' | 'address' | 'port'>, owner: T): T | undefined;
}

interface Bucket<T> {
  readonly byAddress: Map<string, T>;
  first: T;
  firstIpv4: T | undefined;
}

/**
 * Claims by protocol and port. `''` and `::` overlap every address, `0.0.0.0` every IPv4 address and these two.
 * Each claim takes constant time.
 */
export function createListenClaims<T>(): ListenClaims<T> {
  const buckets = new Map<string, Bucket<T>>();
  return {
    claim(listener, owner) {
      const key = `${listener.protocol}/${listener.port}`;
      const { address } = listener;
      const bucket = buckets.get(key);
      const ipv4 = isIpv4(address);
      if (bucket === undefined) {
        buckets.set(key, {
          byAddress: new Map([[address, owner]]),
          first: owner,
          firstIpv4: ipv4 ? owner : undefined,
        });
        return undefined;
      }
      const holder = findOverlap(bucket, address);
      if (holder !== undefined) return holder;
      bucket.byAddress.set(address, owner);
      if (ipv4) bucket.firstIpv4 ??= owner;
      return undefined;
    },
  };
}

/**
 * Claims the place of the status server. Call it first: the status server is bound before all others and keeps its
 * place.
 */
export function claimStatus<T>(
  claims: ListenClaims<T>,
  { status, owner }: { readonly status: Settings['status']; readonly owner: T },
): void {
  if (status !== 'off') claims.claim({ protocol: 'tcp', ...status }, owner);
}

/** A front door that is wanted. */
export interface FrontClaim {
  readonly front: FrontDoor;
  readonly setting: 'http.listen' | 'http.https';
  /** Which of the setting's places it is. */
  readonly index: number;
  readonly origin: Origin;
}

/** The front doors that the settings ask for. */
export function listFronts(
  { listen, https }: Settings['http'],
  origins: Readonly<Record<FrontClaim['setting'], Origin>>,
): readonly FrontClaim[] {
  const claim =
    (setting: FrontClaim['setting'], tls: boolean) =>
    (place: Settings['http']['listen'][number], index: number) => ({
      ...{ front: { ...place, tls }, setting, index, origin: origins[setting] },
    });
  return [...listen.map(claim('http.listen', false)), ...https.map(claim('http.https', true))];
}

/** In words that name it: `the front door of http.https (lazy-proxy.yaml:3:10)`. */
export function describeFront({ setting, origin }: FrontClaim): string {
  return `the front door of ${setting} (${describeOrigin(origin)})`;
}

/** Why hosts do nothing, in words that follow the field's name; undefined where there is a door for them. */
export function describeDoorless(
  field: 'hosts' | 'tls_hosts',
  { listen, https }: Settings['http'],
): string | undefined {
  if (field === 'tls_hosts')
    return https.length > 0 ? undefined : 'has no effect without a front door for TLS; set http.https';
  if (listen.length + https.length > 0) return undefined;
  return 'leads nowhere without front doors, but for what GET /traefik and GET /caddy tell; set http.listen, http.https or both';
}

/**
 * Why nobody gets some of these hosts over HTTPS, in words that follow the field's name; undefined where that isn't meant, or can't be
 * known: what is in the files of certificates is none of the configuration.
 */
export function describeUncertified(
  hosts: readonly string[],
  { https, certificates, selfSignedDomains }: Settings['http'],
): string | undefined {
  if (https.length === 0 || certificates.length > 0 || selfSignedDomains.length === 0) return undefined;
  const outside = hosts.filter((host) => !isInDomains(host.replace(/^\*\./, ''), selfSignedDomains));
  if (outside.length === 0) return undefined;
  return `no certificate is made for ${outside.join(', ')}, outside of http.self_signed_domains, so nobody gets that over HTTPS`;
}

function findOverlap<T>(bucket: Bucket<T>, address: string): T | undefined {
  if (address === '' || address === '::') return bucket.first;
  const wildcard = bucket.byAddress.get('') ?? bucket.byAddress.get('::');
  if (wildcard !== undefined) return wildcard;
  if (address === '0.0.0.0') return bucket.firstIpv4;
  const exact = bucket.byAddress.get(address);
  return exact ?? (isIpv4(address) ? bucket.byAddress.get('0.0.0.0') : undefined);
}

function isIpv4(address: string): boolean {
  return address !== '' && !address.includes(':');
}
