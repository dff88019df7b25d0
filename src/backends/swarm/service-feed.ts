import type { Logger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import { checkId } from '../engine/engine-ids.ts';
import { EngineUnreachable } from '../engine/errors.ts';
import type { EngineEvent } from '../engine/event-stream.ts';
import type { LookPoller } from '../engine/look-poller.ts';
import type { WorkloadObserver } from '../engine/workload-observer.ts';
import type { ServiceCatalog } from './service-catalog.ts';
import type { SwarmClient } from './swarm-client.ts';

export interface ServiceFeedOptions {
  readonly catalog: ServiceCatalog;
  readonly client: SwarmClient;
  readonly observer: WorkloadObserver;
  readonly poller: LookPoller;
  readonly logger: Logger;
  /** A service appeared, went, or was read again. */
  readonly changed: () => void;
  /** Has everything listed again. */
  readonly relist: (session: AbortSignal) => Promise<void>;
}

/** Changes of a node after which it may have other tasks, or this engine may be a manager. */
const NODE_CHANGES = ['state.new', 'availability.new', 'role.new'];

/** Has services looked at, read or listed as the engine's events ask for it; the same event twice does no harm. */
export class ServiceFeed {
  readonly #options: ServiceFeedOptions;
  readonly #asking = new RepeatWhenAsked();

  constructor(options: ServiceFeedOptions) {
    this.#options = options;
  }

  apply(event: EngineEvent, session: AbortSignal): void {
    const isManager = this.#options.catalog.nodeId !== undefined;
    if (event.type === 'node') {
      if (!isManager || NODE_CHANGES.some((change) => change in event.attributes))
        this.#ask(session, { what: 'all', ask: () => this.#options.relist(session) });
    } else if (isManager && event.type === 'service') {
      this.#applyService(event, session);
    } else if (isManager && event.type === 'container') {
      this.#options.catalog.applyContainer(event.action, event.id);
      const name = event.attributes['com.docker.swarm.service.name'];
      if (name !== undefined) this.#look(name);
    }
  }

  #applyService({ action, id, attributes }: EngineEvent, session: AbortSignal): void {
    const { catalog, changed, observer } = this.#options;
    if (!this.#isService(id)) return;
    const name = attributes['name'] ?? catalog.nameOf(id);
    if (name === undefined) return;
    if (action === 'remove') {
      catalog.remove(id);
      changed();
    } else {
      catalog.touch(id, name);
      // A look reads it anyway.
      if (observer.last(name) === undefined) this.#read(id, session);
    }
    this.#look(name);
  }

  #look(name: string): void {
    const { observer, poller } = this.#options;
    void observer.look(name);
    poller.hasten(name);
  }

  /** Reads a service for its labels, which the event doesn't hold. */
  #read(id: string, session: AbortSignal): void {
    const { catalog, client, changed } = this.#options;
    const ask = async () => {
      const service = await client.serviceById(id, session);
      if (service === undefined) catalog.remove(id);
      else catalog.put(service);
      changed();
    };
    this.#ask(session, { what: id, ask });
  }

  #ask(
    session: AbortSignal,
    { what, ask }: { readonly what: string; readonly ask: () => Promise<void> },
  ): void {
    const failed = (error: unknown) => {
      // After a reconnect everything is listed anyway.
      if (!session.aborted) this.#tell(error);
    };
    this.#asking.run(what, () => ask().catch(failed));
  }

  #isService(id: string): boolean {
    try {
      checkId('service', id);
      return true;
    } catch (error) {
      this.#tell(error);
      return false;
    }
  }

  #tell(error: unknown): void {
    const level = error instanceof EngineUnreachable ? 'debug' : 'warn';
    const message = `cannot read swarm services: ${describeError(error)}`;
    this.#options.logger[level]({ event: 'observe', err: error }, message);
  }
}

/** Whether the event tells that a service was scaled up from nothing. */
export function isStart({ type, action, attributes }: EngineEvent): boolean {
  if (type !== 'service' || action !== 'update') return false;
  return attributes['replicas.old'] === '0' && (attributes['replicas.new'] ?? '0') !== '0';
}

/** Does each kind of work once at a time; what is asked for meanwhile is done once more afterwards. */
class RepeatWhenAsked {
  readonly #running = new Map<string, 'once' | 'again'>();

  /** @param work must not reject. */
  run(key: string, work: () => Promise<void>): void {
    if (this.#running.has(key)) {
      this.#running.set(key, 'again');
      return;
    }
    this.#running.set(key, 'once');
    void work().finally(() => {
      const isDue = this.#running.get(key) === 'again';
      this.#running.delete(key);
      if (isDue) this.run(key, work);
    });
  }
}
