import type { Socket } from 'node:net';
import type { WarmPath, WarmUser } from '../../model/running/warm-path.ts';
import { oldestOf, type PresentClient } from '../listener.ts';
import type { TcpAcceptor } from './tcp-acceptor.ts';
import type { RouteOptions, RouteTotals, TcpRelay, TcpRoute } from './tcp-relay.ts';

interface WarmListenerOptions {
  readonly acceptor: TcpAcceptor;
  readonly relay: TcpRelay;
  /** Called with a client that the main thread has to serve. */
  readonly onClient: (client: Socket, waitedMs: number) => void;
  /** Called when connections may have ended. */
  readonly onUse: () => void;
}

/** The rules for the clients that the relay thread lets in. */
type RoutePolicy = Pick<RouteOptions, 'access' | 'service' | 'name' | 'keepAliveMs'>;

/**
 * Lends a listener's socket to the relay while its service is ready, so that new connections cost the main thread nothing.
 * Several routes may live at once: one that accepts, and earlier ones whose connections go on.
 */
export class WarmListener {
  readonly #options: WarmListenerOptions;
  readonly #routes = new Set<TcpRoute>();
  /** Of the routes that are gone. */
  readonly #past = { accepted: 0, up: 0, down: 0 };
  /** Takes the socket back; undefined where it isn't lent. */
  #takeBack: (() => void) | undefined;

  constructor(options: WarmListenerOptions) {
    this.#options = options;
  }

  /** Open connections that the relay thread has accepted. */
  get activeConnections(): number {
    let count = 0;
    for (const route of this.#routes) count += route.activeConnections;
    return count;
  }

  /** Of all clients that the relay thread has connected. */
  readTotals(): RouteTotals {
    const sum = { ...this.#past };
    for (const route of this.#routes) addTotals(sum, route.readTotals());
    return sum;
  }

  /** Those clients, oldest first, `max` at most. */
  listClients(max: number): readonly PresentClient[] {
    return oldestOf(
      [...this.#routes].flatMap((route) => route.listClients(max)),
      max,
    );
  }

  /** Lends the socket if the service is ready and the relay supports it. */
  open(policy: RoutePolicy, openPath: (user: WarmUser) => WarmPath | undefined): void {
    if (this.#takeBack !== undefined || this.#options.relay.kind !== 'splice') return;
    let route: TcpRoute | undefined;
    const path = openPath({
      get lastUsedMs() {
        return route?.lastUsedMs ?? 0;
      },
      // Also when another route is open: the clients of this one may be there still.
      listUses: () => route?.listUses() ?? [],
      tryClose: () => {
        const isClosed = route?.tryClose() ?? true;
        if (isClosed) this.#takeBack?.();
        return isClosed;
      },
      close: () => this.close(),
    });
    if (path === undefined) return;
    route = this.#lend(path, policy);
    if (route === undefined) path.close();
  }

  /** Takes the socket back; connections go on. Idempotent. */
  close(): void {
    this.#takeBack?.();
  }

  /** Closes, and resets the connections. Idempotent. */
  destroy(): void {
    for (const route of this.#routes) route.destroy();
    this.close();
  }

  #lend(path: WarmPath, policy: RoutePolicy): TcpRoute | undefined {
    const { acceptor, relay, onClient, onUse } = this.#options;
    const route: TcpRoute | undefined = acceptor.lend((server) =>
      relay.openRoute(server, {
        ...policy,
        upstreams: path.endpoints,
        budgetMs: path.budgetMs,
        onUse: (count) => {
          path.used(count);
          if (route !== undefined && route !== this.#lent && count === 0) this.#forget(route);
          onUse();
        },
        onReturned: onClient,
        onLost: () => this.#takeBack?.(),
      }),
    );
    if (route === undefined) return undefined;
    this.#routes.add(route);
    this.#lent = route;
    this.#takeBack = () => {
      this.#takeBack = this.#lent = undefined;
      route.close();
      path.close();
      acceptor.takeBack(route.takeListener());
    };
    return route;
  }

  #forget(route: TcpRoute): void {
    if (this.#routes.delete(route)) addTotals(this.#past, route.readTotals());
  }

  /** The route that accepts clients now. */
  #lent: TcpRoute | undefined;
}

function addTotals(
  sum: { -readonly [K in keyof RouteTotals]: number },
  { accepted, up, down }: RouteTotals,
): void {
  sum.accepted += accepted;
  sum.up += up;
  sum.down += down;
}
