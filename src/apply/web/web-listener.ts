import type { Lifecycle } from '../../lifecycle/lifecycle.ts';
import { formatListenAddress, type ListenerSpec, listenKey, type Service } from '../../model/service.ts';
import type { Web } from '../../relay/http/open-web.ts';
import type { WebDoor } from '../../relay/http/web-door.ts';
import type { WebRoute } from '../../relay/http/web-engine.ts';
import { WebTally } from '../../relay/http/web-tally.ts';
import type { PresentClient, TrackClient } from '../../relay/listener.ts';
import type { OfferTls } from '../../relay/tls/tls-offer.ts';
import type { OwnListeners } from '../../system/net/own-listeners.ts';
import type { ServiceListener } from '../service-listener.ts';
import { type ClientLogParts, logAcceptError, logUnserved } from '../client-log.ts';
import { bindWeb } from './bind-web.ts';

export interface WebListenerOptions extends ClientLogParts {
  readonly service: Service;
  readonly lifecycle: Lifecycle;
  /** Loads what serves HTTP; asked for when the listener opens. */
  readonly loadWeb: () => Promise<Web>;
  readonly own?: OwnListeners | undefined;
  /** What the clients of a service at which TLS ends get. */
  readonly offerTls: (service: Service) => OfferTls | undefined;
  readonly trackerOf: (service: Service, listener: ListenerSpec) => TrackClient | undefined;
  readonly onDrained: () => void;
}

/** A listener of one service that forwards each HTTP request, whatever host it names. */
export class WebListener implements ServiceListener {
  readonly spec: ListenerSpec;
  readonly drops = {};
  readonly #options: WebListenerOptions;
  readonly #tally = new WebTally();
  readonly #bounds = new Map<string, number>();
  #service: Service;
  #route: WebRoute;
  #offer: OfferTls | undefined;
  #web: Web | undefined;
  #door: WebDoor | undefined;
  #isClosed = false;

  constructor(spec: ListenerSpec, options: WebListenerOptions) {
    this.spec = spec;
    this.#options = options;
    this.#service = options.service;
    this.#route = this.#bind(options.service);
    this.#offer = options.offerTls(options.service);
  }

  get activeConnections(): number {
    return this.#tally.active;
  }

  get blocked(): number {
    return this.#tally.blocked;
  }

  get refusals(): Readonly<Record<string, number>> {
    return { ...Object.fromEntries(this.#bounds), ...this.#tally.refusals };
  }

  readTotals() {
    return this.#tally.readTotals();
  }

  listClients(max: number): readonly PresentClient[] {
    return this.#tally.listClients(max);
  }

  async open(): Promise<void> {
    const { loadWeb } = this.#options;
    if (this.#door === undefined) {
      const web = await loadWeb();
      if (this.#isClosed) return;
      this.#web = web;
      this.#door ??= this.#createDoor(web);
    }
    await this.#door.open();
  }

  rebind(service: Service): void {
    this.#service = service;
    this.#route = this.#bind(service);
    this.#offer = this.#options.offerTls(service);
    this.#door?.setKeepAlive(service.tcpKeepAliveMs);
  }

  cutClients(): void {
    this.#tally.cutClients();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#web?.engine.forget(this.#service.name);
    if (this.#door === undefined) this.#options.onDrained();
    else this.#door.close();
  }

  destroy(): void {
    this.close();
    this.#door?.destroy();
  }

  #createDoor(web: Web): WebDoor {
    const { own, logger, onDrained } = this.#options;
    const { address, port } = this.spec;
    return web.createDoor({
      ...{ spec: this.spec, name: `http ${listenKey(this.spec)}`, keepAliveMs: this.#service.tcpKeepAliveMs },
      findRoute: () => this.#route,
      takesProxyHeaders: () => this.#service.acceptProxyProtocol,
      onTurnedAway: (client, error) =>
        logUnserved({ client, service: this.#service.name, error, protocol: 'tcp' }, this.#options),
      // Another listener takes its place where TLS comes or goes.
      offerTls: this.#offer && (() => this.#offer?.()),
      hasComeBack: ({ address: from, port: fromPort, socket }) => {
        const reached = { host: socket.localAddress ?? '', port: socket.localPort ?? port };
        const place = { protocol: 'tcp', address, port, service: this.#service.name } as const;
        return own?.hasComeBack({ address: from, port: fromPort, reached }, place) ?? false;
      },
      onAcceptError: (error) => logAcceptError(formatListenAddress(this.spec), { error, logger }),
      onRefused: (bound) => this.#bounds.set(bound, (this.#bounds.get(bound) ?? 0) + 1),
      onDrained,
    });
  }

  #bind(service: Service): WebRoute {
    const { lifecycle, trackerOf } = this.#options;
    const key = listenKey(this.spec);
    const { targetPort } = service.listeners.find((listener) => listenKey(listener) === key) ?? this.spec;
    const binding = bindWeb(service, { lifecycle, targetPort, track: trackerOf(service, this.spec) });
    return { binding, tally: this.#tally };
  }
}
