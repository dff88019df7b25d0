import { describeOrigin, type Sourced } from '../../model/origin.ts';
import type { ListenerSpec, Protocol } from '../../model/service.ts';
import type { Settings } from '../../model/settings.ts';
import { showUrl } from '../../model/text/show-url.ts';
import type { Draft } from '../fields.ts';
import { type Finding, valueError, warning } from './finding.ts';
import type { Path } from '../yaml/path.ts';
import { parsePort } from '../values/ports.ts';
import { listPortItems, type ReadService } from '../read/read-services.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';
import { describeStatusPlace } from '../values/ports.ts';

/** The proxy connects to a local process at these addresses. If only one of them leads back, the other still works. */
const PROCESS_HOSTS = ['127.0.0.1', '::1'] as const;
const LOOPBACK_HOST = /^(?:127\.\d+\.\d+\.\d+|\[::1\])$/;

/** A listener of the file, or the status server's. */
interface Place {
  readonly address: string;
  readonly service: ReadService | undefined;
  readonly path: Path;
}

/**
 * Finds what leads back to the proxy itself, as far as the file tells for sure. If the proxy listens on every address of a
 * process's port, that is an error: no client could ever be served. If a webhook's URL leads to a listener of the proxy,
 * that is a warning: clients are served all the same. Other loops, such as through a container on the host's network, show
 * only when the proxy connects.
 */
export function findLoops(
  services: readonly ReadService[],
  { locate, status }: { readonly locate: LocateOrigin; readonly status: Sourced<Settings['status']> },
): readonly Finding[] {
  const suspects = services.filter(({ ref, draft }) => ref.kind === 'process' || urlsOf(draft).length > 0);
  if (suspects.length === 0) return [];
  const places = collectPlaces(services, status.value);
  const whose = ({ service, path }: Place, by: ReadService) =>
    service === undefined
      ? `the status server (${describeStatusPlace(status.origin)})`
      : `${service === by ? 'this service' : `service "${service.name}"`} (${describeOrigin(locate(path, 'value'))})`;
  return suspects.flatMap((service) => [
    ...findProcessLoops(service, { places, whose }),
    ...findWebhookLoops(service, { places, whose }),
  ]);
}

interface Places {
  readonly places: ReadonlyMap<string, readonly Place[]>;
  readonly whose: (place: Place, by: ReadService) => string;
}

function findProcessLoops(service: ReadService, { places, whose }: Places): readonly Finding[] {
  if (service.ref.kind !== 'process') return [];
  return listPortItems(service).flatMap(({ path, item, protocol }) => {
    for (const { targetPort } of listenersOf(item, { service, protocol })) {
      const known = places.get(`${protocol}/${targetPort}`) ?? [];
      const found = PROCESS_HOSTS.map((host) => known.find(({ address }) => covers(address, host)));
      const own = found.filter((place) => place !== undefined);
      if (own.length < PROCESS_HOSTS.length) continue;
      const who = [...new Set(own.map((place) => whose(place, service)))].join(' and ');
      const message = `${JSON.stringify(item)} leads back to the proxy: ${protocol} port ${targetPort} of this machine, where the process would have to listen, is listened on by ${who}; give the process another port`;
      return [valueError(path, 'leads-back', message)];
    }
    return [];
  });
}

/**
 * A webhook makes a loop only if the service that it leads to has a webhook, too; otherwise an event that arrives there
 * causes no other.
 */
function findWebhookLoops(service: ReadService, { places, whose }: Places): readonly Finding[] {
  return urlsOf(service.draft).flatMap(({ url, path }): readonly Finding[] => {
    if (!URL.canParse(url)) return [];
    const { hostname, port, protocol } = new URL(url);
    if (!LOOPBACK_HOST.test(hostname)) return [];
    const host = hostname.replace(/^\[|\]$/g, '');
    const known = places.get(`tcp/${port || (protocol === 'https:' ? 443 : 80)}`) ?? [];
    const place = known.find(({ address }) => covers(address, host));
    if (place?.service === undefined || urlsOf(place.service.draft).length === 0) return [];
    const message = `${showUrl(url)} is listened on by ${whose(place, service)}, which has a webhook: each event would make the next, so none is sent there`;
    return [warning([...service.path, ...path], { code: 'leads-back', at: 'value', message })];
  });
}

/** The URLs of a service's own webhooks, with their paths below it. */
function urlsOf({ webhook_url, webhooks }: Draft): readonly { readonly url: string; readonly path: Path }[] {
  const listed = webhooks?.value ?? [];
  return [
    ...(webhook_url?.value ? [{ url: webhook_url.value, path: ['webhook_url'] }] : []),
    ...listed.map(({ url }, index) => ({ url, path: ['webhooks', index, 'url'] })),
  ];
}

/** By protocol and port. */
function collectPlaces(
  services: readonly ReadService[],
  status: Settings['status'],
): ReadonlyMap<string, readonly Place[]> {
  const places = new Map<string, Place[]>();
  const add = (protocol: Protocol, { port, ...place }: Place & { readonly port: number }) => {
    const key = `${protocol}/${port}`;
    const known = places.get(key);
    if (known === undefined) places.set(key, [place]);
    else known.push(place);
  };
  if (status !== 'off') add('tcp', { ...status, service: undefined, path: [] });
  for (const service of services)
    for (const { path, item, protocol } of listPortItems(service))
      for (const { address, port } of listenersOf(item, { service, protocol }))
        add(protocol, { address, port, service, path });
  return places;
}

function listenersOf(
  item: unknown,
  { service, protocol }: { readonly service: ReadService; readonly protocol: Protocol },
): readonly ListenerSpec[] {
  const parsed = parsePort(item, protocol, { portNames: service.ref.kind === 'kubernetes' });
  return parsed.ok ? parsed.value : [];
}

/** Whether a socket that is bound to `address` takes what is sent to `host`, an address of this machine. */
function covers(address: string, host: string): boolean {
  if (address === '' || address === '::' || address === host) return true;
  return address === '0.0.0.0' && !host.includes(':');
}
