/**
 * Decides which clients are let in. Input: a client, with the service and the address that it counts for. Output: a seat,
 * which the caller leaves at the client's end, or the bound that keeps the client out. The log names each bound now and then.
 *
 * Up to three quarters of the limit, descriptors go to whoever comes first. From there on, clients share:
 * - A service may hold its fair share: what clients may have, divided by the services in use and one more. So there is
 *   something left for the next service.
 * - An address may hold its share of all descriptors, or its share of those of this service. One address may stand for many
 *   people, so one of the two is enough.
 * - Shares shrink as services come, but nobody gives back what it holds. So of the last descriptors a service gets one only
 *   while it holds no more than what is left, divided by the other services in use, or a handful. One attack after the other
 *   still leaves some.
 *
 * The relay thread lets clients of ready services in by itself while nobody has to share, by the same counts: see
 * `route-table.ts`.
 */
import { addressGroup } from '../../model/address-group.ts';
import type { Clock } from '../../system/clock.ts';
import { type Descriptors, describeShortage } from '../../system/descriptors.ts';
import { LogLimiter } from '../../system/log/log-limiter.ts';
import type { Logger } from '../../system/log/logger.ts';
import {
  type ClientCounts,
  countDescriptors,
  countIn,
  countOut,
  hashAddress,
  MAX_COUNTED_SERVICES,
  noteOwn,
  type Place,
  readHoldings,
} from './client-counts.ts';

/** At most one line in so long for each kind of bound. */
const LOG_INTERVAL_MS = 10_000;

/** A service that holds no more than so many gets of the last descriptors in any case: a handful of connections. */
const SCARCE_LEAST = 12;

/** Why a client was not let in. */
export type Bound =
  | 'max-connections'
  | 'max-connections-per-address'
  | 'service-share'
  | 'address-share'
  | 'no-descriptors';

/** The limits that a service sets; 0 = none. */
export interface ServiceBounds {
  readonly service: string;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

/** A client that asks to be let in. */
export interface Applicant {
  readonly bounds: ServiceBounds;
  readonly address: string;
  /** For the log. */
  readonly endpoint: string;
  /**
   * A connection needs two descriptors and has one already; a flow needs one. A connection on which HTTP requests may come is a visit,
   * which has the one that it needs; a request on it needs one more, for its upstream.
   */
  readonly kind: 'connection' | 'flow' | 'visit' | 'request';
  /** The descriptor that it has; undefined where it has none, or Node hides it. */
  readonly fd?: number | undefined;
}

export type Admitted =
  | { readonly kind: 'seat' /** To be called once, when the client has ended. */; leave(): void }
  | { readonly kind: 'refused'; readonly bound: Bound; readonly tell: () => void };

export class Admission {
  readonly descriptors: Descriptors;
  /** The relay thread counts here as well. */
  readonly counts: ClientCounts;
  readonly #limiter: LogLimiter;
  readonly #logger: Logger;
  readonly #onLeft: () => void;
  readonly #numbers = new Map<string, number>();
  /** Connections by service and address, of services with `max_connections_per_address`. */
  readonly #byAddress = new Map<string, number>();
  #nextNumber = 0;
  /** The address that was asked for last. */
  #last: { readonly address: string | undefined; readonly hash: number } = { address: undefined, hash: 0 };

  constructor(parts: {
    readonly descriptors: Descriptors;
    readonly counts: ClientCounts;
    readonly clock: Clock;
    readonly logger: Logger;
    /** Told of the end of each client, except of those that the relay thread has let in. */
    readonly onLeft?: () => void;
  }) {
    this.descriptors = parts.descriptors;
    this.counts = parts.counts;
    this.#limiter = new LogLimiter(parts.clock, LOG_INTERVAL_MS);
    this.#logger = parts.logger;
    this.#onLeft = parts.onLeft ?? (() => {});
  }

  /** Whether there is so much room that clients won't have to share soon. */
  get isRoomy(): boolean {
    return countDescriptors(this.counts) < this.descriptors.limit / 2 && this.descriptors.isRoomy;
  }

  /** The number by which a service is counted. */
  numberOf(service: string): number {
    const known = this.#numbers.get(service);
    if (known !== undefined) return known;
    const number = this.#nextNumber++ % MAX_COUNTED_SERVICES;
    this.#numbers.set(service, number);
    // Services come and go with their workloads: the oldest name is forgotten before another gets its number.
    const [oldest] = this.#numbers.keys();
    if (this.#numbers.size > MAX_COUNTED_SERVICES / 2 && oldest !== undefined) this.#numbers.delete(oldest);
    return number;
  }

  /** Gives a client a seat, or says which bound keeps it out. */
  admit(applicant: Applicant): Admitted {
    const { bounds, address, kind } = applicant;
    const service = this.numberOf(bounds.service);
    const place = {
      service,
      hash: this.#hashOf(address),
      cost: kind === 'connection' ? 2 : 1,
    };
    // Only a service with that limit needs to know which address a client has.
    const key = bounds.maxConnectionsPerAddress > 0 ? `${service} ${addressGroup(address)}` : undefined;
    const refused = this.#findBound(applicant, { place, key });
    if (refused !== undefined) {
      const { bound, why } = refused;
      return { kind: 'refused', bound, tell: () => this.#tell(applicant, { bound, why }) };
    }
    countIn(this.counts, place);
    if (key !== undefined) this.#byAddress.set(key, this.#countAt(key) + 1);
    return new Admission.#Seat(this, { place, key });
  }

  /** A class instead of a closure, which costs less: each flow and connection has one. */
  static readonly #Seat = class {
    readonly kind = 'seat';
    readonly #admission: Admission;
    readonly #place: Place;
    readonly #key: string | undefined;

    constructor(
      admission: Admission,
      { place, key }: { readonly place: Place; readonly key: string | undefined },
    ) {
      this.#admission = admission;
      this.#place = place;
      this.#key = key;
    }

    leave(): void {
      countOut(this.#admission.counts, this.#place);
      if (this.#key !== undefined) this.#admission.#leaveAddress(this.#key);
      this.#admission.#onLeft();
    }
  };

  /** Logs that a bound was met, at most once in 10 s for each bound. */
  tell(service: string, { bound, message }: { readonly bound: string; readonly message: string }): void {
    const suppressed = this.#limiter.pass(bound);
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? '' : ` (and ${suppressed} times before)`;
    this.#logger.warn({ event: 'bounded', bound, service }, `${message}${more}`);
  }

  #findBound(
    { bounds, address, kind, fd }: Applicant,
    { place, key }: { readonly place: Place; readonly key: string | undefined },
  ): { readonly bound: Bound; readonly why: string } | undefined {
    const { counts, descriptors } = this;
    const { service, maxConnections, maxConnectionsPerAddress } = bounds;
    const connections = Atomics.load(counts.connections, place.service);
    if (maxConnections > 0 && connections >= maxConnections) {
      const why = `${service} has ${countConnections(connections)}, and max_connections allows ${maxConnections}`;
      return { bound: 'max-connections', why };
    }
    const own = key === undefined ? 0 : this.#countAt(key);
    if (key !== undefined && own >= maxConnectionsPerAddress) {
      const why = `${address} has ${countConnections(own)} to ${service}, and max_connections_per_address allows ${maxConnectionsPerAddress}`;
      return { bound: 'max-connections-per-address', why };
    }
    if (fd !== undefined) noteOwn(counts, fd);
    const counted = countDescriptors(counts) + place.cost;
    const last = descriptors.lastFor(kind === 'flow' ? 'next' : { fd }, counted);
    if (last >= descriptors.bound)
      return { bound: 'no-descriptors', why: 'no file descriptor is left for clients' };
    if (last < descriptors.crowded) return undefined;
    const held = readHoldings(counts, place);
    const share = Math.floor(descriptors.bound / (held.services + 1));
    if (held.service + place.cost > share) {
      const why = `${service} holds more than its share (${held.service} of ${share} for each of those in use)`;
      return { bound: 'service-share', why };
    }
    const left = descriptors.bound - last;
    const ofLast = Math.max(SCARCE_LEAST, Math.ceil(left / Math.max(2, held.services - 1)));
    if (last >= descriptors.scarce && held.service + place.cost > ofLast) {
      const why = `${service} holds more than its part of the last descriptors (${held.service} of ${ofLast}, with ${left} left)`;
      return { bound: 'service-share', why };
    }
    const ofAll = Math.floor(descriptors.bound / (held.addresses + 1));
    const ofService = Math.floor(share / (held.addressesOfService + 1));
    if (held.address + place.cost > ofAll && held.pair + place.cost > ofService) {
      const why = `${addressGroup(address)} holds more than its share (${held.address} of ${ofAll}, at ${service} ${held.pair} of ${ofService})`;
      return { bound: 'address-share', why };
    }
    return undefined;
  }

  /** The requests of one client often come in a row. */
  #hashOf(address: string): number {
    if (this.#last.address !== address)
      this.#last = { address, hash: hashAddress(address, this.counts.seed) };
    return this.#last.hash;
  }

  /** How many connections this address has to this service. */
  #countAt(key: string): number {
    return this.#byAddress.get(key) ?? 0;
  }

  #leaveAddress(key: string): void {
    const count = this.#countAt(key) - 1;
    if (count > 0) this.#byAddress.set(key, count);
    else this.#byAddress.delete(key);
  }

  #tell(
    { bounds: { service }, endpoint, kind }: Applicant,
    { bound, why }: { readonly bound: Bound; readonly why: string },
  ): void {
    const what =
      kind === 'flow'
        ? `a datagram of ${endpoint} was dropped`
        : `${service}: ${kind === 'request' ? 'request' : 'connection'} of ${endpoint} ${kind === 'request' ? 'refused' : 'closed'}`;
    switch (bound) {
      case 'no-descriptors':
        return this.descriptors.tell(what);
      case 'service-share':
      case 'address-share': {
        const shortage = describeShortage('EMFILE', this.descriptors.limit);
        return this.tell(service, { bound, message: `${shortage}: ${why}: ${what}` });
      }
      case 'max-connections':
      case 'max-connections-per-address':
        return this.tell(service, { bound: `${bound} ${service}`, message: `${why}: ${what}` });
    }
  }
}

function countConnections(count: number): string {
  return count === 1 ? '1 connection' : `${count} connections`;
}
