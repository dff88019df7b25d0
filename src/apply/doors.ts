import { type ListenerSpec, listenKey, type Service } from '../model/service.ts';
import type { WebAccess } from '../model/web.ts';
import type { ListenerTotals, PresentClient } from '../relay/listener.ts';
import type { ListenerSet, ListenerStatus } from './listener-set.ts';
import type { FrontSet } from './web/front-set.ts';

/** Where clients get to a service: its own listeners, and the front doors that have hosts of it. */
export class Doors {
  readonly #listeners: ListenerSet;
  readonly #fronts: FrontSet;

  constructor(parts: { readonly listeners: ListenerSet; readonly fronts: FrontSet }) {
    this.#listeners = parts.listeners;
    this.#fronts = parts.fronts;
  }

  /** Its own listeners first. */
  of(service: Service): readonly ListenerSpec[] {
    return [...service.listeners, ...this.#fronts.specsOf(service)];
  }

  status(spec: ListenerSpec, service: Service): ListenerStatus {
    return isOwn(spec, service) ? this.#listeners.status(spec) : this.#fronts.status(spec, service);
  }

  /** How a client that speaks HTTP gets to the service there; undefined where bytes are relayed, whatever they are. */
  webAt(spec: ListenerSpec, service: Service): WebAccess | undefined {
    if (!isOwn(spec, service)) return this.#fronts.webAt(spec, service);
    if (spec.mode !== 'http') return undefined;
    return { scheme: service.tls === undefined ? 'http' : 'https', hosts: [] };
  }

  /** What was done there for the service; undefined where it isn't there. */
  readTotals(spec: ListenerSpec, service: Service): ListenerTotals | undefined {
    return isOwn(spec, service) ? this.#listeners.readTotals(spec) : this.#fronts.readTotals(spec, service);
  }

  /** The service's clients that have been there for the longest time, oldest first, `max` at most. */
  listClients(
    spec: ListenerSpec,
    options: { readonly service: Service; readonly max: number },
  ): readonly PresentClient[] {
    if (isOwn(spec, options.service)) return this.#listeners.listClients(spec, options.max);
    return this.#fronts.listClients(spec, options);
  }

  /** Ends the clients of the service; the door goes on. */
  cutClients(spec: ListenerSpec, service: Service): void {
    if (isOwn(spec, service)) this.#listeners.cutClients(spec);
    else this.#fronts.cutClients(spec, service);
  }
}

function isOwn(spec: ListenerSpec, { listeners }: Service): boolean {
  const key = listenKey(spec);
  return listeners.some((listener) => listenKey(listener) === key);
}

/** Ways on which clients get to a service: ports of its own, and hosts at the front doors. */
type Way = 'listeners' | 'fronts';

/** Which services clients can reach now, on one way at least. */
export class ServedServices {
  readonly #ways = new Map<string, ReadonlySet<Way>>();
  readonly #onServed: (service: string, state: { readonly isServed: boolean }) => void;

  /** @param onServed told of a service each time one of its ways was reported. */
  constructor(onServed: (service: string, state: { readonly isServed: boolean }) => void) {
    this.#onServed = onServed;
  }

  report(way: Way, service: string, { isServed }: { readonly isServed: boolean }): void {
    const ways = new Set(this.#ways.get(service));
    if (isServed) ways.add(way);
    else ways.delete(way);
    if (ways.size > 0) this.#ways.set(service, ways);
    else this.#ways.delete(service);
    this.#onServed(service, { isServed: ways.size > 0 });
  }
}
