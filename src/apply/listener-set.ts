import { formatListenAddress, type ListenerSpec, listenKey, type Service } from '../model/service.ts';
import { backoffMs } from '../system/backoff.ts';
import { describeBindError } from '../system/bind-error.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/logger.ts';
import type { ServiceListener } from './service-listener.ts';

/** Delay between tries to bind a port that somebody else holds. */
const BIND_RETRY = { firstMs: 250, maxMs: 5_000 } as const;

/** Whether a listener is bound; `error` says why not. */
export interface ListenerStatus {
  readonly activeConnections: number;
  /** Datagrams that were dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  readonly error: string | undefined;
}

interface Slot {
  readonly listener: ServiceListener;
  service: Service;
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
  readonly #slots = new Map<string, Slot>();
  readonly #draining = new Set<ServiceListener>();
  readonly #opening = new Set<Promise<void>>();
  readonly #onIdle = new Set<() => void>();

  constructor(options: {
    readonly create: (spec: ListenerSpec, service: Service, onDrained: () => void) => ServiceListener;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#create = options.create;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** The service that holds each listen key: bound, not merely wanted. */
  get holders(): ReadonlyMap<string, string> {
    const bound = [...this.#slots].filter(([, slot]) => slot.error === undefined);
    return new Map(bound.map(([key, slot]) => [key, slot.service.name]));
  }

  status(spec: ListenerSpec): ListenerStatus {
    const slot = this.#slots.get(listenKey(spec));
    const { activeConnections = 0, drops = {} } = slot?.listener ?? {};
    return { activeConnections, drops, error: slot?.error };
  }

  open(spec: ListenerSpec, service: Service): void {
    const listener: ServiceListener = this.#create(spec, service, () => this.#drained(listener));
    const slot: Slot = { listener, service, failures: 0, error: undefined, retry: undefined };
    this.#slots.set(listenKey(spec), slot);
    this.#bind(slot);
  }

  rebind(spec: ListenerSpec, service: Service): void {
    const slot = this.#slots.get(listenKey(spec));
    if (slot === undefined) return this.open(spec, service);
    slot.service = service;
    // The target port is the listener's own, so the new spec goes along inside the service.
    slot.listener.rebind(service);
  }

  close(spec: ListenerSpec): void {
    const key = listenKey(spec);
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
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
  }

  #bindFailed(slot: Slot, error: NodeJS.ErrnoException): void {
    if (this.#slots.get(listenKey(slot.listener.spec)) !== slot) return;
    slot.failures++;
    slot.error = describeBindError(error);
    const service = slot.service.name;
    const message = `${service} can't listen on ${describe(slot)}: ${slot.error}; trying again until it can`;
    this.#logger[slot.failures === 1 ? 'error' : 'debug']({ event: 'listen-failed', service }, message);
    slot.retry = this.#clock.schedule(backoffMs(slot.failures, BIND_RETRY), () => this.#bind(slot));
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
