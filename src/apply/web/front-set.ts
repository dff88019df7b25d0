import { formatListenAddress, type ListenerSpec, listenKey, type Service } from '../../model/service.ts';
import {
  type FrontDoor,
  type FrontPolicy,
  type FrontReport,
  NO_WEB,
  type WebAccess,
} from '../../model/web.ts';
import { HostTable } from '../../relay/http/message/host-table.ts';
import type { Web } from '../../relay/http/open-web.ts';
import type { WebDoor } from '../../relay/http/web-door.ts';
import type { WebRoute } from '../../relay/http/web-engine.ts';
import { WebTally } from '../../relay/http/web-tally.ts';
import type { Certificates } from '../../relay/tls/certificates.ts';
import { type ListenerTotals, oldestOf, type PresentClient } from '../../relay/listener.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { OwnListeners } from '../../system/net/own-listeners.ts';
import type { ListenerStatus } from '../listener-set.ts';
import { logAcceptError } from '../client-log.ts';
import type { PassListener } from '../service-listener.ts';
import { PortBinder } from '../port-binder.ts';
import type { bindWeb } from './bind-web.ts';

/** Silence after which the kernel probes a client of a front door, in ms: the services behind it may differ. */
const KEEP_ALIVE_MS = 60_000;

interface FrontSetOptions {
  /** Loads what serves HTTP; asked for when the first front door opens. */
  readonly loadWeb: () => Promise<Web>;
  /** Loads the certificates of the doors where TLS ends, which follow the policy by themselves. */
  readonly loadCertificates?: () => Promise<Certificates>;
  /** Makes what takes the connections for `tls_hosts` of a service that a front door passes on. */
  readonly createPass?: (spec: ListenerSpec, service: Service, onDrained: () => void) => PassListener;
  readonly bind: (service: Service, spec: ListenerSpec) => ReturnType<typeof bindWeb>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Is told of each bound front door. */
  readonly own?: OwnListeners | undefined;
  /** Called with whether the hosts of a service lead to it: some front door is bound. Told on each change. */
  readonly onServed?: (service: string, state: { readonly isServed: boolean }) => void;
  /** Told of a connection to a front door that was closed for what it began with. */
  readonly onTurnedAway?: (
    client: string,
    why: { readonly spec: ListenerSpec; readonly error: Error },
  ) => void;
  /** Called when a front door can't be bound, once until it can; with the reason. */
  readonly onLost?: (spec: ListenerSpec, reason: string) => void;
}

interface Front {
  readonly front: FrontDoor;
  readonly spec: ListenerSpec;
  readonly binder: PortBinder;
  readonly hosts: HostTable<WebRoute>;
  readonly bounds: Map<string, number>;
  /** By service. */
  readonly routes: Map<string, WebRoute>;
  /** By service: what takes connections that are passed through undecrypted; and which of them a server name leads to. */
  readonly passes: Map<string, { readonly listener: PassListener; hosts: readonly string[] }>;
  readonly passed: HostTable<PassListener>;
  /** What has clients yet: the door, and what takes those that it passes on. */
  readonly parts: Set<{ destroy(): void }>;
  door: WebDoor | undefined;
  isClosed: boolean;
}

/**
 * The front doors that all services share, and the hosts that lead from them to services. A port that can't be bound is
 * reported and tried again until it can; a closed door's requests are served until they end. `drain()` or `destroy()` ends it.
 */
export class FrontSet {
  readonly #options: FrontSetOptions;
  readonly #fronts = new Map<string, Front>();
  readonly #services = new Map<string, Service>();
  readonly #served = new Map<string, boolean>();
  readonly #draining = new Set<Front>();
  readonly #opening = new Set<Promise<void>>();
  readonly #onIdle = new Set<() => void>();
  #policy: FrontPolicy | undefined;
  #web: Web | undefined;
  #certificates: Certificates | undefined;

  constructor(options: FrontSetOptions) {
    this.#options = options;
  }

  /** What the front doors are to a service: none where no host leads to it. */
  specsOf({ name }: Service): readonly ListenerSpec[] {
    if (!this.#services.has(name)) return [];
    const { hosts = [], httpsPort } = this.#services.get(name)?.web ?? {};
    return [...this.#fronts.values()].flatMap(({ front, spec, routes }) => {
      // What has only hosts that are passed through has nothing where there is no TLS.
      if (hosts.length === 0) return front.tls ? [{ ...spec, targetPort: httpsPort ?? 443 }] : [];
      const { targetPort = spec.targetPort } = routes.get(name)?.binding ?? {};
      return [{ ...spec, targetPort }];
    });
  }

  /** The hosts by which a front door leads to a service; undefined where it isn't one. */
  webAt(spec: ListenerSpec, { name }: Service): WebAccess | undefined {
    const front = this.#fronts.get(listenKey(spec))?.front;
    const { hosts, tlsHosts } = this.#services.get(name)?.web ?? NO_WEB;
    if (front === undefined) return undefined;
    return front.tls ? { scheme: 'https', hosts: [...hosts, ...tlsHosts] } : { scheme: 'http', hosts };
  }

  /** The service that a host leads to. */
  serviceAt(host: string): string | undefined {
    for (const { hosts, passed, passes } of this.#fronts.values()) {
      const found = hosts.find(host.toLowerCase());
      if (found !== undefined) return found.binding.service;
      const pass = passed.find(host.toLowerCase());
      for (const [service, { listener }] of passes) if (listener === pass) return service;
    }
    return undefined;
  }

  /** A front door as one service sees it. */
  status(spec: ListenerSpec, { name }: Service): ListenerStatus {
    const front = this.#fronts.get(listenKey(spec));
    const tally = front?.routes.get(name)?.tally;
    const pass = front?.passes.get(name)?.listener;
    const { error, condition = 'pending' } = front?.binder ?? {};
    const { active: activeConnections = 0, blocked = 0, refusals = {} } = tally ?? {};
    return {
      activeConnections: activeConnections + (pass?.activeConnections ?? 0),
      ...{
        drops: {},
        refusals: addCounts(refusals, pass?.refusals),
        blocked: blocked + (pass?.blocked ?? 0),
      },
      ...{ condition, error },
    };
  }

  /** Each of them, in the order in which they were opened. */
  list(): readonly FrontReport[] {
    return [...this.#fronts.values()].map(({ front, binder, bounds, door }) => {
      const { condition, error } = binder;
      const refused = Object.fromEntries(bounds);
      return { front, condition, error, connections: door?.connections ?? 0, refused };
    });
  }

  /** Whether a front door is bound. */
  isBound(front: FrontDoor): boolean {
    return this.#fronts.get(listenKey({ protocol: 'tcp', ...front }))?.binder.condition === 'bound';
  }

  readTotals(spec: ListenerSpec, { name }: Service): ListenerTotals | undefined {
    const [web, pass] = [this.#tally(spec, name)?.readTotals(), this.#pass(spec, name)?.readTotals()];
    if (web === undefined || pass === undefined) return web ?? pass;
    return {
      ...{ accepted: web.accepted + pass.accepted, up: web.up + pass.up, down: web.down + pass.down },
      unserved: addCounts(web.unserved, pass.unserved),
    };
  }

  listClients(
    spec: ListenerSpec,
    { service, max }: { readonly service: Service; readonly max: number },
  ): readonly PresentClient[] {
    const web = this.#tally(spec, service.name)?.listClients(max) ?? [];
    return oldestOf([...web, ...(this.#pass(spec, service.name)?.listClients(max) ?? [])], max);
  }

  /** Ends the requests for a service. */
  cutClients(spec: ListenerSpec, { name }: Service): void {
    this.#tally(spec, name)?.cutClients();
    this.#pass(spec, name)?.cutClients();
  }

  /** What all front doors share, from now on. */
  setPolicy(policy: FrontPolicy): void {
    this.#policy = policy;
    this.#certificates?.follow();
  }

  /** Requests for the hosts of this service go to it from now on, on its present terms. */
  setRoutes(service: Service): void {
    this.#services.set(service.name, service);
    for (const front of this.#fronts.values()) this.#setRoute(front, service);
    this.#tellServed();
  }

  /** Has every route look at its service anew, as where its clients are to be reported from now on. */
  rebindAll(): void {
    for (const service of [...this.#services.values()]) this.setRoutes(service);
  }

  /** No host leads to the service any more. */
  clearRoutes({ name }: Service): void {
    const service = this.#services.get(name);
    this.#services.delete(name);
    for (const front of this.#fronts.values()) this.#clearRoute(front, service);
    this.#tellServed();
  }

  open(front: FrontDoor): void {
    const { clock, logger } = this.#options;
    const { address, port } = front;
    const spec: ListenerSpec = { protocol: 'tcp', address, port, targetPort: port, mode: 'http' };
    const where = `${formatListenAddress(spec)}/${front.tls ? 'https' : 'http'}`;
    const binder = new PortBinder({
      open: () => this.#bind(opened),
      owner: () => ({ name: 'a front door' }),
      onTried: () => this.#tried(opened),
      ...{ where, clock, logger },
    });
    const opened: Front = {
      ...{ front, spec, binder, hosts: new HostTable(), bounds: new Map(), routes: new Map() },
      ...{ passes: new Map(), passed: new HostTable(), parts: new Set() },
      ...{ door: undefined, isClosed: false },
    };
    this.#fronts.set(listenKey(spec), opened);
    for (const service of this.#services.values()) this.#setRoute(opened, service);
    const opening = binder.start();
    this.#opening.add(opening);
    void opening.finally(() => this.#opening.delete(opening));
  }

  close(front: FrontDoor): void {
    const key = listenKey({ protocol: 'tcp', ...front });
    const closed = this.#fronts.get(key);
    if (closed === undefined) return;
    this.#fronts.delete(key);
    closed.isClosed = true;
    closed.binder.cancel();
    this.#options.own?.remove(closed.spec);
    if (closed.parts.size > 0) this.#draining.add(closed);
    closed.door?.close();
    for (const { listener } of [...closed.passes.values()]) listener.close();
    this.#tellServed();
  }

  /** Resolves when every bind under way has succeeded or failed once. */
  async settled(): Promise<void> {
    await Promise.all(this.#opening);
  }

  /** Closes all; resolves when the last request has ended. */
  drain(): Promise<void> {
    for (const { front } of [...this.#fronts.values()]) this.close(front);
    if (this.#draining.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.add(resolve));
  }

  /** Closes all and ends every connection now. */
  destroy(): void {
    void this.drain();
    for (const { parts } of [...this.#draining]) for (const part of [...parts]) part.destroy();
  }

  #pass(spec: ListenerSpec, service: string): PassListener | undefined {
    return this.#fronts.get(listenKey(spec))?.passes.get(service)?.listener;
  }

  #setPass(front: Front, service: Service): void {
    const { tlsHosts } = service.web;
    const { createPass } = this.#options;
    if (!front.front.tls || tlsHosts.length === 0 || createPass === undefined)
      return this.#clearPass(front, service.name);
    const known = front.passes.get(service.name);
    for (const host of known?.hosts ?? []) if (known !== undefined) front.passed.delete(host, known.listener);
    const listener: PassListener =
      known?.listener ?? createPass(front.spec, service, () => this.#partDrained(front, listener));
    if (known === undefined) front.parts.add(listener);
    else listener.rebind(service);
    front.passes.set(service.name, { listener, hosts: tlsHosts });
    for (const host of tlsHosts) front.passed.set(host, listener);
  }

  #clearPass({ passes, passed }: Front, service: string): void {
    const pass = passes.get(service);
    if (pass === undefined) return;
    for (const host of pass.hosts) passed.delete(host, pass.listener);
    passes.delete(service);
    pass.listener.close();
  }

  #partDrained(front: Front, part: { destroy(): void }): void {
    front.parts.delete(part);
    if (front.isClosed && front.parts.size === 0) this.#drained(front);
  }

  #tally(spec: ListenerSpec, service: string): WebTally | undefined {
    return this.#fronts.get(listenKey(spec))?.routes.get(service)?.tally;
  }

  #setRoute(front: Front, service: Service): void {
    const before = front.routes.get(service.name);
    this.#clearHosts(front, before);
    const binding = this.#options.bind(service, front.spec);
    const route: WebRoute = { binding, tally: before?.tally ?? new WebTally(), hosts: service.web.hosts };
    front.routes.set(service.name, route);
    for (const host of service.web.hosts) front.hosts.set(host, route);
    this.#setPass(front, service);
  }

  #clearRoute(front: Front, service: Service | undefined): void {
    if (service === undefined) return;
    this.#clearHosts(front, front.routes.get(service.name));
    this.#clearPass(front, service.name);
    front.routes.delete(service.name);
    this.#web?.engine.forget(service.name);
  }

  /** A host that leads to another service by now stays there. */
  #clearHosts({ hosts }: Front, route: WebRoute | undefined): void {
    for (const host of route?.hosts ?? []) if (route !== undefined) hosts.delete(host, route);
  }

  async #bind(front: Front): Promise<void> {
    if (front.door === undefined) {
      const web = await this.#options.loadWeb();
      this.#web = web;
      if (front.front.tls) this.#certificates = await this.#options.loadCertificates?.();
      if (front.isClosed) return;
      front.door ??= this.#createDoor(front, web);
      front.parts.add(front.door);
    }
    await front.door.open();
    if (front.isClosed) front.door.close();
  }

  #createDoor(front: Front, web: Web): WebDoor {
    const { own, logger } = this.#options;
    const { spec, hosts, bounds } = front;
    const { address, port } = spec;
    const door: WebDoor = web.createDoor({
      ...{ spec, name: `front door ${formatListenAddress(spec)}`, keepAliveMs: KEEP_ALIVE_MS },
      findRoute: (host) => hosts.find(host),
      takesProxyHeaders: () => this.#policy?.acceptProxyProtocol === true,
      onTurnedAway: (client, error) => this.#options.onTurnedAway?.(client, { spec, error }),
      ...(front.front.tls
        ? {
            offerTls: () => this.#certificates?.ofFront((host) => hosts.find(host)?.hosts),
            findPass: (name: string) => {
              const pass = front.passed.find(name);
              return pass && ((...arrival: Parameters<PassListener['take']>) => pass.take(...arrival));
            },
          }
        : { redirect: (host: string) => this.#redirect(host) }),
      hasComeBack: ({ address: from, port: fromPort, socket }) => {
        const reached = { host: socket.localAddress ?? '', port: socket.localPort ?? port };
        const place = { protocol: 'tcp', address, port, service: undefined, isFront: true } as const;
        return own?.hasComeBack({ address: from, port: fromPort, reached }, place) ?? false;
      },
      onAcceptError: (error) => logAcceptError(formatListenAddress(spec), { error, logger }),
      onRefused: (bound) => bounds.set(bound, (bounds.get(bound) ?? 0) + 1),
      onDrained: () => this.#partDrained(front, door),
    });
    return door;
  }

  /** Where a host that leads to a service is served over HTTPS, as far as it is to be. */
  #redirect(host: string): string | undefined {
    if (this.#policy?.redirect !== true || this.#certificates?.covers(host) !== true) return undefined;
    const secure = [...this.#fronts.values()].find(
      ({ front, binder }) => front.tls && binder.condition === 'bound',
    );
    if (secure === undefined) return undefined;
    const { port } = secure.front;
    return `https://${host}${port === 443 ? '' : `:${port}`}`;
  }

  #tried({ spec, binder }: Front): void {
    const { protocol, address, port } = spec;
    if (binder.condition === 'bound')
      this.#options.own?.add({ protocol, address, port, service: undefined, isFront: true });
    if (binder.failures === 1) this.#options.onLost?.(spec, binder.error ?? 'it is not free');
    this.#tellServed();
  }

  #tellServed(): void {
    const fronts = [...this.#fronts.values()];
    const all = new Set(fronts.map(({ binder }) => binder.condition));
    const secure = new Set(fronts.filter(({ front }) => front.tls).map(({ binder }) => binder.condition));
    for (const name of new Set([...this.#services.keys(), ...this.#served.keys()])) {
      const before = this.#served.get(name);
      const isKnown = this.#services.has(name);
      const conditions = (this.#services.get(name)?.web.hosts.length ?? 0) > 0 ? all : secure;
      // While a front door is still being bound, the last report stands.
      const isServed = isKnown && (conditions.has('bound') || (conditions.has('pending') && before === true));
      if (isKnown) this.#served.set(name, isServed);
      else this.#served.delete(name);
      if (isServed !== before) this.#options.onServed?.(name, { isServed });
    }
  }

  #drained(front: Front): void {
    this.#draining.delete(front);
    if (this.#draining.size > 0) return;
    for (const resolve of this.#onIdle) resolve();
    this.#onIdle.clear();
  }
}

function addCounts(
  counts: Readonly<Record<string, number>>,
  more: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> {
  const sum = { ...counts };
  for (const [name, count] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}
