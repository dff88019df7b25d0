import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { type ListenerSpec, listenKey, type Service } from '../model/service.ts';
import { compileAccessList } from '../relay/access-list.ts';
import type { Listener } from '../relay/listener.ts';
import { type TcpBinding, TcpListener } from '../relay/tcp-listener.ts';
import type { LogLimiter } from '../system/log-limiter.ts';
import type { Logger } from '../system/logger.ts';

/** A listener that is handed services, and knows itself what of them concerns it. */
export type ServiceListener = Listener<Service>;

/** Makes the listener of one spec, with the service behind it. */
export function createServiceListener(
  spec: ListenerSpec,
  options: {
    readonly service: Service;
    readonly lifecycle: Lifecycle;
    readonly logger: Logger;
    /** Bounds the lines about refused clients. */
    readonly refusals: LogLimiter;
    readonly onDrained: () => void;
  },
): ServiceListener {
  const { lifecycle, logger, refusals } = options;
  const bind = (service: Service): TcpBinding => ({
    service: service.name,
    targetPort: findTargetPort(service, spec),
    access: compileAccessList(service),
    connect: (request) => lifecycle.connect(service.name, request),
  });
  const listener = new TcpListener({
    spec,
    binding: bind(options.service),
    logger,
    onRefused: (client, { service }) => logRefusal({ client, service, logger, refusals }),
    onDrained: options.onDrained,
  });
  return {
    spec,
    get activeConnections() {
      return listener.activeConnections;
    },
    open: () => listener.open(),
    rebind: (service) => listener.rebind(bind(service)),
    close: () => listener.close(),
    destroy: () => listener.destroy(),
  };
}

function findTargetPort(service: Service, spec: ListenerSpec): number {
  const key = listenKey(spec);
  const listener = service.listeners.find((candidate) => listenKey(candidate) === key);
  if (listener === undefined) throw new Error(`service ${service.name} has no listener ${key}`);
  return listener.targetPort;
}

function logRefusal(refusal: {
  readonly client: string;
  readonly service: string;
  readonly logger: Logger;
  readonly refusals: LogLimiter;
}): void {
  const { client, service } = refusal;
  const suppressed = refusal.refusals.pass(service);
  if (suppressed === undefined) return;
  const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
  refusal.logger.warn(
    { event: 'refused', service, client, refused: true },
    `${service}: ${client} (blocked)${more}`,
  );
}
