/**
 * Who is let in. Input: a client, with the service and the address it counts for. Output: a seat, to be left at its end, or
 * the bound that keeps it out, which is told in the log at most once in a while.
 *
 * Descriptors below three quarters of the limit are for whoever comes first. From there on a service gets one only while it
 * holds no more than its fair share, what clients may have by the services in use and one more, so that there is something
 * left for who comes next; an address, which may stand for many people, while it has no more than its share either of all
 * or of this service's. Shares get smaller as services come, but nobody gives back what it has: of the last ones, a service
 * gets one only while it holds no more than what is left by the other services in use, or a handful, so that attacks one
 * after the other leave some, too.
 *
 * The relay thread lets clients of ready services in by itself, as long as nobody has to share by the same counts; see
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

/** Of the last descriptors a service may hold so many in any case: a handful of connections. */
const SCARCE_LEAST = 12;

/** Why a client was not let in. */
export type Bound =
  | 'max-connections'
  | 'max-connections-per-address'
  | 'service-share'
  | 'address-share'
  | 'no-descriptors';

/** What a service bounds by hand; 0 = nothing. */
export interface ServiceBounds {
  readonly service: string;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

/** One that asks to be let in. */
export interface Applicant {
  readonly bounds: ServiceBounds;
  readonly address: string;
  /** For the log. */
  readonly endpoint: string;
  /** A connection needs two descriptors, of which it has one; a flow needs one. */
  readonly kind: 'connection' | 'flow';
  /** The descriptor that it has, where it has one. */
  readonly fd?: number | undefined;
}

export type Admitted =
  | { readonly kind: 'seat' /** It has ended; once. */; leave(): void }
  | { readonly kind: 'refused'; readonly bound: Bound; readonly tell: () => void };

export class Admission {
  readonly descriptors: Descriptors;
  /** For who counts beside it. */
  readonly counts: ClientCounts;
  readonly #limiter: LogLimiter;
  readonly #logger: Logger;
  readonly #numbers = new Map<string, number>();
  /** Of services that bound them: connections by service and address. */
  readonly #byAddress = new Map<string, number>();
  #nextNumber = 0;

  constructor(parts: {
    readonly descriptors: Descriptors;
    readonly counts: ClientCounts;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.descriptors = parts.descriptors;
    this.counts = parts.counts;
    this.#limiter = new LogLimiter(parts.clock, LOG_INTERVAL_MS);
    this.#logger = parts.logger;
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
    // Names come and go with their workloads: the oldest is forgotten before its number is another's.
    const [oldest] = this.#numbers.keys();
    if (this.#numbers.size > MAX_COUNTED_SERVICES / 2 && oldest !== undefined) this.#numbers.delete(oldest);
    return number;
  }

  /** Lets a client in, or says why not. */
  admit(applicant: Applicant): Admitted {
    const { bounds, address, kind } = applicant;
    const service = this.numberOf(bounds.service);
    const place = { service, hash: hashAddress(address, this.counts.seed), cost: kind === 'flow' ? 1 : 2 };
    // Who shares an address matters where that is bounded by hand.
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

  /** A class, and no object with a closure of its own: each flow and connection has one. */
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
    }
  };

  /** Says which bound was met, at most once in a while for each. */
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
      const why = `${service} has ${connections} connections, and max_connections allows ${maxConnections}`;
      return { bound: 'max-connections', why };
    }
    const own = key === undefined ? 0 : this.#countAt(key);
    if (key !== undefined && own >= maxConnectionsPerAddress) {
      const why = `${address} has ${own} connections to ${service}, and max_connections_per_address allows ${maxConnectionsPerAddress}`;
      return { bound: 'max-connections-per-address', why };
    }
    if (fd !== undefined) noteOwn(counts, fd);
    const counted = countDescriptors(counts) + place.cost;
    const last = descriptors.lastFor(kind === 'connection' ? { fd } : 'next', counted);
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
      const why = `${service} holds more than its part of the last ones (${held.service} of ${ofLast}, with ${left} left)`;
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

  /** Connections of an address to a service that bounds them. */
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
        : `${service}: connection of ${endpoint} closed`;
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
