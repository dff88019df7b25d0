import { formatListenAddress, type ListenerSpec, listenKey, type Service } from '../model/service.ts';
import type { ListenerTotals, PresentClient } from '../relay/listener.ts';
import { backoffMs } from '../system/backoff.ts';
import { describeBindError } from '../system/net/bind-error.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';
import type { OwnListeners } from '../system/net/own-listeners.ts';
import type { ServiceListener } from './service-listener.ts';

/** Delay between tries to bind a port that somebody else holds. */
const BIND_RETRY = { firstMs: 250, maxMs: 5_000 } as const;

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
  service: Service;
  bind: ListenerStatus['condition'];
  failures: number;
  error: string | undefined;
  retry: Cancel | undefined;
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
  readonly #opening = new Set<Promise<void>>();
  readonly #onIdle = new Set<() => void>();
  readonly #onServed: (service: string, state: { readonly isServed: boolean }) => void;
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
  }) {
    this.#create = options.create;
    this.#onServed = options.onServed ?? (() => {});
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#own = options.own;
  }

  /** The service that holds each listen key: bound, not merely wanted. */
  get holders(): ReadonlyMap<string, string> {
    const bound = [...this.#slots].filter(([, slot]) => slot.error === undefined);
    return new Map(bound.map(([key, slot]) => [key, slot.service.name]));
  }

  status(spec: ListenerSpec): ListenerStatus {
    const slot = this.#slots.get(listenKey(spec));
    const { activeConnections = 0, drops = {}, refusals = {}, blocked = 0 } = slot?.listener ?? {};
    const { error, bind: condition = 'pending' } = slot ?? {};
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
    const slot: Slot = {
      listener,
      service,
      bind: 'pending',
      failures: 0,
      error: undefined,
      retry: undefined,
    };
    this.#slots.set(listenKey(spec), slot);
    this.#assign(slot, service);
    this.#bind(slot);
  }

  rebind(spec: ListenerSpec, service: Service): void {
    const slot = this.#slots.get(listenKey(spec));
    if (slot === undefined) return this.open(spec, service);
    this.#unassign(slot);
    this.#assign(slot, service);
    // The target port is the listener's own, so the new spec goes along inside the service.
    slot.listener.rebind(service);
    if (slot.bind === 'bound') this.#tellOwn(slot);
  }

  close(spec: ListenerSpec): void {
    const key = listenKey(spec);
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#own?.remove(slot.listener.spec);
    this.#unassign(slot);
    slot.retry?.();
    this.#draining.add(slot.listener);
    slot.listener.close();
  }

  /** Resolves when every bind under way has succeeded or failed once. */
  async settled(): Promise<void> {
    await Promise.all(this.#opening);
  }

  /** Closes all; resolves when the last connection has ended. */
  drain(): Promise<void> {
    for (const { listener } of [...this.#slots.values()]) this.close(listener.spec);
    if (this.#draining.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.add(resolve));
  }

  /** Closes all and ends every connection now. */
  destroy(): void {
    void this.drain();
    for (const listener of [...this.#draining]) listener.destroy();
  }

  #bind(slot: Slot): void {
    const opening = slot.listener.open().then(
      () => this.#bound(slot),
      (error) => this.#bindFailed(slot, error),
    );
    this.#opening.add(opening);
    void opening.finally(() => this.#opening.delete(opening));
  }

  #bound(slot: Slot): void {
    if (this.#slots.get(listenKey(slot.listener.spec)) !== slot) return;
    const where = describe(slot);
    const service = slot.service.name;
    if (slot.failures > 0)
      this.#logger.info({ event: 'listening', service }, `${service}: ${where} is free again`);
    this.#logger.debug({ event: 'listening', service }, `${service} listens on ${where}`);
    slot.failures = 0;
    slot.error = undefined;
    slot.bind = 'bound';
    this.#tellOwn(slot);
    this.#touch(slot.service);
  }

  #tellOwn({ listener, service }: Slot): void {
    const { protocol, address, port } = listener.spec;
    this.#own?.add({ protocol, address, port, service: service.name });
  }

  #bindFailed(slot: Slot, error: NodeJS.ErrnoException): void {
    if (this.#slots.get(listenKey(slot.listener.spec)) !== slot) return;
    slot.failures++;
    slot.error = describeBindError(error);
    slot.bind = 'failed';
    this.#touch(slot.service);
    const service = slot.service.name;
    const message = `${service} can't listen on ${describe(slot)}: ${slot.error}; trying again until it can`;
    this.#logger[slot.failures === 1 ? 'error' : 'debug']({ event: 'listen-failed', service }, message);
    slot.retry = this.#clock.schedule(backoffMs(slot.failures, BIND_RETRY), () => this.#bind(slot));
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
      const binds = new Set([...(slots ?? [])].map(({ bind }) => bind));
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
    for (const resolve of this.#onIdle) resolve();
    this.#onIdle.clear();
  }
}

function describe({ listener: { spec } }: Slot): string {
  return `${formatListenAddress(spec)}/${spec.protocol}`;
}
