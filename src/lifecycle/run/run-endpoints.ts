import { setMaxListeners } from 'node:events';
import {
  type Endpoint,
  type ExplainOwn,
  type Observation,
  portKey,
} from '../../model/running/observation.ts';
import type { Protocol, TargetPort } from '../../model/service.ts';

/** What of an observation says where a run answers. */
export type RunAddresses = Pick<Observation, 'hosts' | 'ports'>;

interface Target {
  readonly protocol: Protocol;
  readonly port: TargetPort;
}

/**
 * Where the ports of one run answer. Clients are spread over the endpoints of a mapped port. Of several hosts the one that
 * answered last is tried first, then the others in the order of the observation: a host that the proxy can't reach costs
 * time.
 */
export class RunEndpoints {
  #addresses: RunAddresses;
  #lastHost: string | undefined;
  readonly #explainOwn: ExplainOwn;
  readonly #counts = new Map<string, number>();
  readonly #lifetimes = new Map<string, AbortController>();

  /**
   * @param options.lastHost the host that answered last, in an earlier run perhaps.
   * @param options.explainOwn tells the proxy's own listeners, which are left out; default: there are none.
   */
  constructor(
    addresses: RunAddresses,
    options: { readonly lastHost?: string | undefined; readonly explainOwn?: ExplainOwn | undefined } = {},
  ) {
    this.#addresses = addresses;
    this.#lastHost = options.lastHost;
    this.#explainOwn = options.explainOwn ?? (() => undefined);
  }

  /** The host that answered last; undefined where none has, or where endpoints are equally good. */
  get lastHost(): string | undefined {
    return this.#lastHost;
  }

  get hosts(): readonly string[] {
    return this.#addresses.hosts;
  }

  /** Whether all endpoints of a port are equally good. */
  get areEqual(): boolean {
    return this.#addresses.ports !== undefined;
  }

  /** Which endpoints of a port are left out as the proxy's own listeners, in words; undefined where none is. */
  explainOwn(target: Target): string | undefined {
    const reasons = this.#findAll(target).flatMap((endpoint) => {
      const reason = this.#explainOwn(target.protocol, endpoint);
      return reason === undefined ? [] : [reason];
    });
    return reasons.length === 0 ? undefined : reasons.join(', ');
  }

  /** Why a port can't be reached at all, in words; undefined where it may be. */
  explainLoop(target: Target): string | undefined {
    return this.#find(target).length === 0 ? this.explainOwn(target) : undefined;
  }

  /** The endpoints of a port in the order in which they are to be tried; each call begins with the next of equal ones. */
  list(target: Target): readonly Endpoint[] {
    const endpoints = this.#find(target);
    if (!this.areEqual || endpoints.length < 2) return endpoints;
    const first = this.#countUp(target) % endpoints.length;
    return [...endpoints.slice(first), ...endpoints.slice(0, first)];
  }

  /** An endpoint has answered; whether that changes the order in which hosts are tried. */
  answered({ host }: Endpoint): boolean {
    if (this.areEqual || host === this.#lastHost) return false;
    const before = this.#orderedHosts();
    this.#lastHost = host;
    return before[0] !== host;
  }

  /** One endpoint after the other, best first. @throws where there is none. */
  next(target: Target): Endpoint {
    const endpoints = this.#find(target);
    const endpoint = endpoints[this.#countUp(target) % endpoints.length];
    if (endpoint === undefined) throw new Error(this.explainOwn(target) ?? 'the workload has no address');
    return endpoint;
  }

  /** Aborts when the endpoint is no longer one of the run's, or the run is over. */
  lifetime(endpoint: Endpoint): AbortSignal {
    const key = endpointKey(endpoint);
    let lifetime = this.#lifetimes.get(key);
    if (lifetime === undefined) {
      lifetime = new AbortController();
      // Every flow listens for the end of its endpoint: many are no leak.
      setMaxListeners(0, lifetime.signal);
      this.#lifetimes.set(key, lifetime);
    }
    return lifetime.signal;
  }

  /** Replaces the endpoints of mapped ports; flows to an endpoint that stays notice nothing. */
  replace(addresses: RunAddresses): void {
    this.#addresses = addresses;
    const present = new Set(Object.values(addresses.ports ?? {}).flatMap((list) => list.map(endpointKey)));
    for (const [key, lifetime] of [...this.#lifetimes]) {
      if (present.has(key)) continue;
      this.#lifetimes.delete(key);
      lifetime.abort(new Error('the endpoint is gone'));
    }
  }

  end(): void {
    for (const lifetime of this.#lifetimes.values()) lifetime.abort(new Error('the workload stopped'));
    this.#lifetimes.clear();
  }

  #find(target: Target): readonly Endpoint[] {
    return this.#findAll(target).filter(
      (endpoint) => this.#explainOwn(target.protocol, endpoint) === undefined,
    );
  }

  #findAll({ protocol, port }: Target): readonly Endpoint[] {
    const { ports } = this.#addresses;
    if (ports !== undefined) return ports[portKey(protocol, port)] ?? [];
    // A port has a name only where ports are mapped: the configuration is checked for that.
    return typeof port === 'number' ? this.#orderedHosts().map((host) => ({ host, port })) : [];
  }

  #orderedHosts(): readonly string[] {
    const { hosts } = this.#addresses;
    const last = this.#lastHost;
    if (last === undefined || !hosts.includes(last)) return hosts;
    return [last, ...hosts.filter((host) => host !== last)];
  }

  #countUp({ protocol, port }: Target): number {
    const key = portKey(protocol, port);
    const count = this.#counts.get(key) ?? 0;
    this.#counts.set(key, count + 1);
    return count;
  }
}

function endpointKey({ host, port }: Endpoint): string {
  return `${host} ${port}`;
}
