import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { type ListenerSpec, listenKey, type Service, type TargetPort } from '../model/service.ts';
import { type AddressSet, compileAccessList, compileWakeList } from '../relay/access/access-list.ts';
import type { Admission } from '../relay/access/admission.ts';
import { EndLog } from '../relay/end-log.ts';
import type { Listener, TrackClient } from '../relay/listener.ts';
import type { NativeDatagrams } from '../relay/native/datagrams/native-datagrams.ts';
import type { OfferTls } from '../relay/tls/tls-offer.ts';
import { type TcpBinding, TcpListener } from '../relay/tcp/tcp-listener.ts';
import type { TcpRelay } from '../relay/tcp/tcp-relay.ts';
import type { UdpBudget } from '../relay/udp/udp-budget.ts';
import { type UdpBinding, UdpListener } from '../relay/udp/udp-listener.ts';
import type { Clock } from '../system/clock.ts';
import type { Happenings } from '../system/happenings.ts';
import type { LogLimiter } from '../system/log/log-limiter.ts';
import type { Logger } from '../system/log/logger.ts';
import type { OwnListeners } from '../system/net/own-listeners.ts';
import type { Web } from '../relay/http/open-web.ts';
import { logRefused, logUnserved } from './client-log.ts';
import { WebListener } from './web/web-listener.ts';

/** A listener that is given whole services, and takes from them what it needs. */
export interface ServiceListener extends Listener<Service> {
  /** Datagrams that were dropped, by reason; empty for TCP. */
  readonly drops: Readonly<Record<string, number>>;
  /** Clients that were refused because of a limit, or because the service slept, counted by that; empty for UDP. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Gives up the clients that wait and have sent their end; absent where there is no such client. */
  dropEnded?(): void;
}

/** What all listeners share. */
export interface ListenerParts {
  readonly lifecycle: Lifecycle;
  readonly relay: TcpRelay;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Limits the number of clients; absent = no limit. */
  readonly admission?: Admission | undefined;
  /** The proxies in front that may say who a client is. */
  readonly trustedProxies: AddressSet;
  /** The proxy's own listeners, for noticing connections of the proxy to itself; absent = not checked. */
  readonly own?: OwnListeners | undefined;
  /** Is told of refused and unserved clients; absent = nobody wants to know. */
  readonly happenings?: Happenings | undefined;
  /** Limits the log lines about refused and unserved clients. */
  readonly limiter: LogLimiter;
  /** Called for each listener; what it returns, if anything, is told of each connection. */
  readonly trackerOf: (service: Service, listener: ListenerSpec) => TrackClient | undefined;
  /** Loads what serves HTTP; asked for when a listener needs it, absent where none ever does. */
  readonly loadWeb?: () => Promise<Web>;
  /** With which certificate TLS ends at a service's own ports; undefined where it doesn't end there. */
  readonly offerTls?: (service: Service) => OfferTls | undefined;
  /** The limits that all UDP listeners share. */
  readonly udpBudget: UdpBudget;
  /** Moves many datagrams at once, where the machine can; asked for when a UDP listener opens. */
  readonly loadDatagrams?: (() => Promise<NativeDatagrams | undefined>) | undefined;
}

/** Makes the listener of one spec, with the service behind it. `onDrained` is called when it is closed and its last client has gone. */
export function createServiceListener(
  spec: ListenerSpec,
  options: ListenerParts & { readonly service: Service; readonly onDrained: () => void },
): ServiceListener {
  const { loadWeb } = options;
  if (spec.mode === 'http' && loadWeb !== undefined) {
    const offerTls = (service: Service) => offerTlsOf(service, options);
    return new WebListener(spec, { ...options, loadWeb, offerTls });
  }
  return spec.protocol === 'tcp' ? createTcp(spec, options) : createUdp(spec, options);
}

type CreateOptions = Parameters<typeof createServiceListener>[1];

/** What takes TLS connections for a service that a front door passes on: a listener without a socket of its own. */
export interface PassListener extends ServiceListener {
  take(...arrival: Parameters<TcpListener['take']>): void;
}

/** @param spec of the front door. */
export function createPassListener(spec: ListenerSpec, options: CreateOptions): PassListener {
  return createTcp(spec, { ...options, isPassed: true });
}

function createTcp(
  spec: ListenerSpec,
  options: CreateOptions & { readonly isPassed?: boolean },
): PassListener {
  const { isPassed = false } = options;
  const targetOf = (service: Service) => (isPassed ? service.web.httpsPort : findTargetPort(service, spec));
  const { lifecycle, relay, clock, logger, admission, own, onDrained } = options;
  const place = { protocol: spec.protocol, address: spec.address, port: spec.port };
  const bind = (service: Service): TcpBinding => ({
    service: service.name,
    targetPort: targetOf(service),
    access: compileAccessList(service),
    wakes: compileWakeList(service.wakeList),
    wakeOn: service.wakeOn,
    proxyProtocol: service.proxyProtocol === 'off' ? undefined : service.proxyProtocol,
    proxies: service.acceptProxyProtocol && !isPassed ? options.trustedProxies : undefined,
    tls: isPassed ? undefined : offerTlsOf(service, options),
    bounds: boundsOf(service),
    keepAliveMs: service.tcpKeepAliveMs,
    track: options.trackerOf(service, spec),
    // A front door's socket is not for one service alone.
    openWarmPath: isPassed
      ? undefined
      : (user) => lifecycle.openWarmPath(service.name, { port: targetOf(service), user }),
    refusal: (client) => lifecycle.refusalOf(service.name, client),
    connect: (request) => lifecycle.connect(service.name, request),
  });
  const listener = new TcpListener({
    ...{ spec, relay, clock, logger, admission, onDrained, limiter: options.limiter },
    endLog: EndLog.create(options),
    binding: bind(options.service),
    hasComeBack: (client, { service }) => own?.hasComeBack(client, { ...place, service }) ?? false,
    onRefused: (client, { service }) => logRefused({ client, service }, options),
    onUnserved: (client, { binding: { service }, error }) =>
      logUnserved({ client, service, error, protocol: 'tcp' }, options),
  });
  const adapted = adapt(listener, { bind, drops: () => ({}), refusals: () => listener.refusals });
  return Object.assign(adapted, {
    dropEnded: () => listener.dropEnded(),
    take: (...arrival: Parameters<TcpListener['take']>) => listener.take(...arrival),
  });
}

function createUdp(spec: ListenerSpec, options: CreateOptions): ServiceListener {
  const { lifecycle, clock, admission, own, onDrained, loadDatagrams, udpBudget: budget } = options;
  const bind = (service: Service): UdpBinding => {
    const port = findTargetPort(service, spec);
    const sleepIfSilent = service.udp.readiness === 'reply';
    const wakes = compileWakeList(service.wakeList);
    return {
      bounds: { ...boundsOf(service), service: service.name },
      policy: service.udp,
      idleTimeoutMs: Math.min(service.idleTimeoutMs, service.rest.pauseAfterMs ?? service.idleTimeoutMs),
      countsBytes: service.rest.ignoreBelow.bytes > 0,
      access: compileAccessList(service),
      tellsClient: service.proxyProtocol === 'v2',
      proxies: service.acceptProxyProtocol ? options.trustedProxies : undefined,
      track: options.trackerOf(service, spec),
      lease: ({ endpoint, address }) =>
        lifecycle.takeFlowLease(service.name, {
          ...{ port, client: endpoint, address, sleepIfSilent },
          mayWake: wakes.mayWake(address),
        }),
      onRefused: ({ endpoint }) => logRefused({ client: endpoint, service: service.name }, options),
      onUnserved: ({ endpoint }, error) =>
        logUnserved({ client: endpoint, service: service.name, error, protocol: 'udp' }, options),
    };
  };
  const listener = new UdpListener({
    ...{ spec, clock, admission, own, onDrained, loadDatagrams, budget },
    endLog: EndLog.create(options),
    binding: bind(options.service),
  });
  return adapt(listener, { bind, drops: () => listener.drops, refusals: () => ({}) });
}

function adapt<Binding>(
  listener: Listener<Binding>,
  parts: {
    readonly bind: (service: Service) => Binding;
    readonly drops: () => Readonly<Record<string, number>>;
    readonly refusals: () => Readonly<Record<string, number>>;
  },
): ServiceListener {
  return {
    spec: listener.spec,
    get activeConnections() {
      return listener.activeConnections;
    },
    get blocked() {
      return listener.blocked;
    },
    listClients: (max) => listener.listClients(max),
    readTotals: () => listener.readTotals(),
    get drops() {
      return parts.drops();
    },
    get refusals() {
      return parts.refusals();
    },
    open: () => listener.open(),
    rebind: (service) => listener.rebind(parts.bind(service)),
    cutClients: () => listener.cutClients(),
    close: () => listener.close(),
    destroy: () => listener.destroy(),
  };
}

/** Without a certificate nobody is let in: nothing may go unencrypted that is to be encrypted. */
function offerTlsOf(service: Service, { offerTls }: Pick<ListenerParts, 'offerTls'>): OfferTls | undefined {
  return service.tls === undefined ? undefined : (offerTls?.(service) ?? (() => undefined));
}

function boundsOf({ maxConnections, maxConnectionsPerAddress }: Service) {
  return { maxConnections, maxConnectionsPerAddress };
}

function findTargetPort(service: Service, spec: ListenerSpec): TargetPort {
  const key = listenKey(spec);
  const listener = service.listeners.find((candidate) => listenKey(candidate) === key);
  if (listener === undefined) throw new Error(`service ${service.name} has no listener ${key}`);
  return listener.targetPort;
}
