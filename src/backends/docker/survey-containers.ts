/** What containers there are, for somebody who is about to put the proxy before them. */
import type { Protocol } from '../../model/service.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { askOnce, type EngineQueryOptions } from '../engine/engine-connection.ts';
import type { InspectedContainer, InspectedPorts } from '../engine/engine-shapes.ts';
import { sharedNetworkOwner } from '../engine/network/addresses.ts';
import { findOwnContainer, ownSystem, type OwnSystem } from '../engine/network/own-container.ts';

/** A port of the machine that leads to a container, or does so while it runs. */
export interface PublishedPort {
  readonly protocol: Protocol;
  /** As whoever published it wrote it; `''` = every address. */
  readonly address: string;
  /** Undefined = the engine chooses one at each start. */
  readonly port: number | undefined;
  readonly targetPort: number;
}

export interface SurveyedContainer {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isRunning: boolean;
  readonly published: readonly PublishedPort[];
  /** Declared, whether published or not. */
  readonly exposed: readonly { readonly protocol: Protocol; readonly port: number }[];
  /** Published or declared ports of another protocol, such as `9899/sctp`. */
  readonly foreignPorts: readonly string[];
  /** Whose network it has: `own`, `host`, or the name or id of another container. */
  readonly network: { readonly kind: 'own' | 'host' } | { readonly kind: 'container'; readonly of: string };
  /** `--rm`: the engine removes it when it stops. */
  readonly isRemovedAtStop: boolean;
  /** Whether it runs this proxy, or the one whose place it takes. */
  readonly isProxy: boolean;
}

export interface ContainerSurvey {
  /** By name. */
  readonly containers: readonly SurveyedContainer[];
  /** How many there are beyond those. */
  readonly left: number;
  /** Whether this process itself runs in a container of this engine. */
  readonly isInContainer: boolean;
}

/** More than these make no file that somebody reads. */
const MAX_CONTAINERS = 1_000;
/** Looked at at the same time. */
const PARALLEL = 8;
const IMAGE_TITLE = 'org.opencontainers.image.title';
const PROXY_IMAGE = /(?:^|\/)lazy-(?:tcp-)?proxy(?:[:@]|$)/;

/**
 * Looks at all containers, running or not, without observing them.
 * @throws {Error} where the engine can't be asked.
 */
export function surveyContainers(
  options: EngineQueryOptions & { readonly system?: OwnSystem },
): Promise<ContainerSurvey> {
  return askOnce(options, async (client, signal) => {
    const inspect = (container: string) => client.inspect(container, signal);
    const own = await findOwnContainer({ system: options.system ?? ownSystem, inspect });
    const ids = (await client.list(signal)).map(({ Id }) => Id);
    const found = await inspectAll(ids.slice(0, MAX_CONTAINERS), { client, signal });
    const containers = found.map((container) => describeContainer(container, own));
    return {
      containers: containers.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      left: Math.max(0, ids.length - MAX_CONTAINERS),
      isInContainer: own !== undefined,
    };
  });
}

/** Those that are gone meanwhile are left out. */
async function inspectAll(
  ids: readonly string[],
  { client, signal }: { readonly client: EngineClient; readonly signal: AbortSignal },
): Promise<readonly InspectedContainer[]> {
  const found: InspectedContainer[] = [];
  const rest = ids.values();
  const work = async () => {
    for (const id of rest) {
      const container = await client.inspect(id, signal);
      if (container !== undefined) found.push(container);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return found;
}

function describeContainer(
  container: InspectedContainer,
  own: InspectedContainer | undefined,
): SurveyedContainer {
  const { Name = '', Config, HostConfig, State } = container;
  const labels = Config?.Labels ?? {};
  const isRunning = State?.Running === true;
  const keys = [...Object.keys(Config?.ExposedPorts ?? {}), ...Object.keys(HostConfig?.PortBindings ?? {})];
  const owner = sharedNetworkOwner(container);
  return {
    name: Name.replace(/^\//, ''),
    labels,
    isRunning,
    published: listPublished(HostConfig?.PortBindings ?? {}, {
      actual: isRunning ? (container.NetworkSettings?.Ports ?? {}) : {},
    }),
    exposed: keys.flatMap((key) => {
      const port = readPort(key);
      return port === undefined ? [] : [{ protocol: port.protocol, port: port.targetPort }];
    }),
    foreignPorts: [...new Set(keys.filter((key) => readPort(key) === undefined))],
    network:
      owner === undefined
        ? { kind: HostConfig?.NetworkMode === 'host' ? 'host' : 'own' }
        : { kind: 'container', of: owner },
    isRemovedAtStop: HostConfig?.AutoRemove === true,
    isProxy:
      container.Id === own?.Id ||
      labels[IMAGE_TITLE] === 'lazy-proxy' ||
      PROXY_IMAGE.test(Config?.Image ?? ''),
  };
}

/** Of a range the engine has chosen one while the container runs: clients know that one. */
function listPublished(
  bindings: InspectedPorts,
  { actual }: { readonly actual: InspectedPorts },
): readonly PublishedPort[] {
  return Object.entries(bindings).flatMap(([key, places]) => {
    const port = readPort(key);
    if (port === undefined) return [];
    return (places ?? []).map(({ HostIp = '', HostPort = '' }) => {
      const [first = ''] = HostPort.split('-');
      const isRange = HostPort.includes('-');
      const now = isRange
        ? actual[key]?.find((place) => isWithin(place.HostPort, HostPort))?.HostPort
        : undefined;
      return { ...port, address: HostIp, port: toPort(now ?? first) };
    });
  });
}

function isWithin(port: string | undefined, range: string): boolean {
  const [first = 0, last = 0] = range.split('-').map(Number);
  return Number(port) >= first && Number(port) <= last;
}

/** Reads `80/tcp`; undefined for what the proxy doesn't relay. */
function readPort(key: string): { readonly protocol: Protocol; readonly targetPort: number } | undefined {
  const [, digits, protocol = 'tcp'] = /^(\d+)(?:\/(\w+))?$/.exec(key) ?? [];
  const targetPort = toPort(digits ?? '');
  if (targetPort === undefined || (protocol !== 'tcp' && protocol !== 'udp')) return undefined;
  return { protocol, targetPort };
}

/** Undefined for 0, which stands for any port, and for what is none. */
function toPort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port <= 65_535 ? port : undefined;
}
