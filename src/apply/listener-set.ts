import { formatListenAddress, type ListenerSpec, listenKey, type Service } from '../model/service.ts';
import type { ListenerTotals, PresentClient } from '../relay/listener.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';
import type { OwnListeners } from '../system/net/own-listeners.ts';
import { PortBinder } from './port-binder.ts';
import type { ServiceListener } from './service-listener.ts';

/**
 * While draining: how long those who wait and have sent their end may still be served, and how often it is looked for them then, ms.
 * Nobody can tell one who has hung up from one who only has nothing more to say.
 */
const ENDED_GRACE_MS = 2_000;
const ENDED_CHECK_MS = 500;

/** Whether a listener is bound; `error` says why not. */
export interface ListenerStatus {
  readonly activeConnections: number;
  /** Datagrams that were dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  /** Clients that were closed for want of something, by what. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Clients that the access list has refused. */
  readonly blocked: number;
  /** `pending` until the first try to bind it has ended. */
  readonly condition: 'pending' | 'bound' | 'failed';
  readonly error: string | undefined;
}

interface Slot {
  readonly listener: ServiceListener;
  readonly binder: PortBinder;
  service: Service;
}

/**
 * The bound sockets, by listen key. A port that can't be bound is reported and tried again until it can; a closed
 * listener's connections are kept until they end. `drain()` or `destroy()` ends it.
 */
export class ListenerSet {
  readonly #create: (spec: ListenerSpec, service: Service, onDrained: () => void) => ServiceListener;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #own: OwnListeners | undefined;
  readonly #slots = new Map<string, Slot>();
  readonly #slotsOf = new Map<string, Set<Slot>>();
  readonly #draining = new Set<ServiceListener>();
  #cancelDrop: Cancel | undefined;
  #isDestroyed = false;
  readonly #opening = new Set<Promise<void>>();
  readonly #onIdle = new Set<() => void>();
  readonly #onServed: (service: string, state: { readonly isServed: boolean }) => void;
  readonly #onLost: (service: Service, spec: ListenerSpec, reason: string) => void;
  /** By service, whether it was last reported to have a bound listener. */
  readonly #served = new Map<string, boolean>();
  /** Services to be reported once all changes of the present plan are made. */
  readonly #touched = new Set<string>();

  constructor(options: {
    readonly create: (spec: ListenerSpec, service: Service, onDrained: () => void) => ServiceListener;
    readonly clock: Clock;
    readonly logger: Logger;
    /** Is told of each bound listener. */
    readonly own?: OwnListeners | undefined;
    /** Called with whether a service has a bound listener: when it gets its first one, and on each change. */
    readonly onServed?: (service: string, state: { readonly isServed: boolean }) => void;
    /** Called when a listener can't be bound, once until it can; with the reason. */
    readonly onLost?: (service: Service, spec: ListenerSpec, reason: string) => void;
  }) {
    this.#create = options.create;
    this.#onServed = options.onServed ?? (() => {});
    this.#onLost = options.onLost ?? (() => {});
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#own = options.own;
  }

  /** The service that holds each listen key: bound, not merely wanted. */
  get holders(): ReadonlyMap<string, string> {
    const bound = [...this.#slots].filter(([, slot]) => slot.binder.error === undefined);
    return new Map(bound.map(([key, slot]) => [key, slot.service.name]));
  }

  status(spec: ListenerSpec): ListenerStatus {
    const slot = this.#slots.get(listenKey(spec));
    const { activeConnections = 0, drops = {}, refusals = {}, blocked = 0 } = slot?.listener ?? {};
    const { error, condition = 'pending' } = slot?.binder ?? {};
    return { activeConnections, drops, refusals, blocked, condition, error };
  }

  /** What a listener has done since it was made; undefined where there is none. */
  readTotals(spec: ListenerSpec): ListenerTotals | undefined {
    return this.#slots.get(listenKey(spec))?.listener.readTotals();
  }

  /** The clients of a listener that have been there for the longest time, oldest first, `max` at most. */
  listClients(spec: ListenerSpec, max: number): readonly PresentClient[] {
    return this.#slots.get(listenKey(spec))?.listener.listClients(max) ?? [];
  }

  /** Ends the clients of a listener; it goes on. */
  cutClients(spec: ListenerSpec): void {
    this.#slots.get(listenKey(spec))?.listener.cutClients();
  }

  open(spec: ListenerSpec, service: Service): void {
    const listener: ServiceListener = this.#create(spec, service, () => this.#drained(listener));
    const binder = new PortBinder({
      open: () => listener.open(),
      where: `${formatListenAddress(spec)}/${spec.protocol}`,
      owner: () => ({ name: slot.service.name, service: slot.service.name }),
      ...{ clock: this.#clock, logger: this.#logger },
      onTried: () => this.#tried(slot),
    });
    const slot: Slot = { listener, binder, service };
    this.#slots.set(listenKey(spec), slot);
    this.#assign(slot, service);
    const opening = binder.start();
    this.#opening.add(opening);
    void opening.finally(() => this.#opening.delete(opening));
  }

  rebind(spec: ListenerSpec, service: Service): void {
    const slot = this.#slots.get(listenKey(spec));
    if (slot === undefined) return this.open(spec, service);
    this.#unassign(slot);
    this.#assign(slot, service);
    // The target port is the listener's own, so the new spec goes along inside the service.
    slot.listener.rebind(service);
    if (slot.binder.condition === 'bound') this.#tellOwn(slot);
  }

  /** Has every listener look at its service anew, as where its clients are to be reported from now on. Sockets and clients stay. */
  rebindAll(): void {
    for (const { listener, service } of this.#slots.values()) listener.rebind(service);
  }

  close(spec: ListenerSpec): void {
    const key = listenKey(spec);
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#own?.remove(slot.listener.spec);
    this.#unassign(slot);
    slot.binder.cancel();
    this.#draining.add(slot.listener);
    slot.listener.close();
  }

  /** Resolves when every bind under way has succeeded or failed once. */
  async settled(): Promise<void> {
    await Promise.all(this.#opening);
  }

  /** Closes all; resolves when the last connection has ended. Who waits and has sent its end is given up after two seconds. */
  drain(): Promise<void> {
    for (const { listener } of [...this.#slots.values()]) this.close(listener.spec);
    if (this.#draining.size === 0) return Promise.resolve();
    if (!this.#isDestroyed)
      this.#cancelDrop ??= this.#clock.schedule(ENDED_GRACE_MS, () => this.#dropEnded());
    return new Promise((resolve) => this.#onIdle.add(resolve));
  }

  #dropEnded(): void {
    this.#cancelDrop = this.#clock.schedule(ENDED_CHECK_MS, () => this.#dropEnded());
    for (const listener of [...this.#draining]) listener.dropEnded?.();
  }

  /** Closes all and ends every connection now. */
  destroy(): void {
    this.#isDestroyed = true;
    this.#cancelDrop?.();
    void this.drain();
    for (const listener of [...this.#draining]) listener.destroy();
  }

  #tried(slot: Slot): void {
    const { condition, failures, error = 'it is not free' } = slot.binder;
    if (condition === 'bound') this.#tellOwn(slot);
    if (failures === 1) this.#onLost(slot.service, slot.listener.spec, error);
    this.#touch(slot.service);
  }

  #tellOwn({ listener, service }: Slot): void {
    const { protocol, address, port } = listener.spec;
    this.#own?.add({ protocol, address, port, service: service.name });
  }

  #assign(slot: Slot, service: Service): void {
    slot.service = service;
    this.#slotsOf.set(service.name, (this.#slotsOf.get(service.name) ?? new Set()).add(slot));
    this.#touch(service);
  }

  #unassign(slot: Slot): void {
    const { name } = slot.service;
    const slots = this.#slotsOf.get(name);
    slots?.delete(slot);
    if (slots?.size === 0) this.#slotsOf.delete(name);
    this.#touch(slot.service);
  }

  /** Waits until the whole plan is applied: a listener that is closed and opened again by one plan is no change. */
  #touch({ name }: Service): void {
    if (this.#touched.size === 0) queueMicrotask(() => this.#tellServed());
    this.#touched.add(name);
  }

  #tellServed(): void {
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const name of touched) {
      const before = this.#served.get(name);
      const slots = this.#slotsOf.get(name);
      const binds = new Set([...(slots ?? [])].map(({ binder }) => binder.condition));
      // While a listener is still being bound, the last report stands.
      const isServed = binds.has('bound') || (binds.has('pending') && before === true);
      if (slots === undefined) this.#served.delete(name);
      else this.#served.set(name, isServed);
      if (isServed !== before) this.#onServed(name, { isServed });
    }
  }

  #drained(listener: ServiceListener): void {
    this.#draining.delete(listener);
    if (this.#draining.size > 0) return;
    this.#cancelDrop?.();
    this.#cancelDrop = undefined;
    for (const resolve of this.#onIdle) resolve();
    this.#onIdle.clear();
  }
}
