/** What the services of one workload share, and what is each one's own. Pure. */
import { isSameData } from '../../model/same-data.ts';
import { compareServiceNames, type WorkloadRef, workloadRefKey } from '../../model/workload.ts';
import { type Draft, FIELD_NAMES, type FieldName } from '../fields.ts';

/**
 * How a field counts where several services have the same workload.
 * - `name`: it says which workload is meant, or can't be shared.
 * - `one`: the workload has one value. What one service says counts for all of them; two that say different things are a mistake.
 * - `longest`: what one says counts for those that say nothing; of several values the longest counts.
 * - `clients`: likewise, but each service's own value counts for its own clients.
 * - `guard`: each service's own; a label counts for each of them, since it may be there to keep somebody out.
 * - `door`: each service's own; a label counts for the main service alone, or all would want the same port.
 */
type Sharing = 'name' | 'one' | 'longest' | 'clients' | 'guard' | 'door';

const SHARING: Readonly<Record<FieldName, Sharing>> = {
  ...{ container: 'name', swarm_service: 'name', deployment: 'name', statefulset: 'name' },
  ...{ command: 'name', cwd: 'name', env: 'name' },
  ...{ scale: 'one', service_name: 'one', upstream: 'one', allow_data_loss: 'one' },
  ...{ availability: 'one', cron_start: 'one', cron_stop: 'one', timezone: 'one', ignore_labels: 'one' },
  ...{ http_healthcheck: 'one', http_healthcheck_status: 'one', dependant_of_labels: 'one' },
  ...{ group: 'one', memory: 'one' },
  ...{ sleep: 'one', stop_signal: 'one', start_timeout: 'clients' },
  ...{ idle_when: 'one', idle_ignore_below: 'one', busy_check: 'one' },
  ...{ idle_timeout: 'longest', stop_timeout: 'longest', min_awake: 'longest', pause_after: 'longest' },
  ...{ allow_list: 'guard', block_list: 'guard', wake_list: 'guard', basic_auth: 'guard', api_key: 'guard' },
  ...{ max_pending: 'guard', max_connections: 'guard', max_connections_per_address: 'guard' },
  ...{ blocked: 'guard', webhook_url: 'guard', webhooks: 'guard', tcp_keepalive: 'guard' },
  ...{ ports: 'door', udp_ports: 'door', http_ports: 'door', hosts: 'door', tls_hosts: 'door' },
  ...{ http_port: 'door', https_port: 'door', tls: 'door', wake_on: 'door', proxy_protocol: 'door' },
  ...{
    accept_proxy_protocol: 'door',
    waiting_page: 'door',
    wake_paths: 'door',
    dependants: 'door',
    depends_on: 'door',
    awake: 'door',
  },
  ...{ traefik_hosts: 'door', traefik_tcp_hosts: 'door', udp_readiness: 'door', udp_flow_timeout: 'door' },
  ...{ udp_queue_datagrams: 'door', udp_queue_bytes: 'door', udp_queue_age: 'door' },
};

const SHARED_FIELDS = FIELD_NAMES.filter((field) => ['one', 'longest', 'clients'].includes(SHARING[field]));

/** A service of the file, and the workload that it stands for. */
interface Sharer {
  readonly name: string;
  readonly draft: Draft;
  readonly ref: WorkloadRef;
}

/** The services of each workload, the main one first. */
export function groupByWorkload<T extends Sharer>(services: readonly T[]): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const service of services) {
    const key = workloadRefKey(service.ref);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [service]);
    else group.push(service);
  }
  return [...groups.values()].map((group) => {
    if (group.length === 1) return group;
    return group.toSorted((a, b) => compareServiceNames(a.ref)(a.name, b.name));
  });
}

/** What a service takes over of what the others of its workload say, where it says nothing itself. */
export function inheritFrom(others: readonly Pick<Sharer, 'draft'>[]): Draft {
  if (others.length === 0) return {};
  const inherited = SHARED_FIELDS.flatMap((field) => {
    const found = others.find(({ draft }) => draft[field] !== undefined)?.draft[field];
    return found === undefined ? [] : [[field, found] as const];
  });
  return Object.fromEntries(inherited);
}

/** What of a workload's labels counts for a service that isn't its main one. */
export function leaveOutDoors(labels: Draft): Draft {
  const kept = Object.entries(labels).filter(([field]) => SHARING[field as FieldName] !== 'door');
  return Object.fromEntries(kept);
}

/** A field of which two services of one workload say different things. */
export interface Contradiction<T> {
  readonly field: FieldName;
  readonly earlier: T;
  readonly later: T;
}

/** @param services those of one workload, in the order of the file. */
export function findContradictions<T extends Sharer>(services: readonly T[]): readonly Contradiction<T>[] {
  return FIELD_NAMES.filter((field) => SHARING[field] === 'one').flatMap((field) => {
    const saying = services.filter(({ draft }) => draft[field] !== undefined);
    const [earlier] = saying;
    if (earlier === undefined) return [];
    return saying.flatMap((later) => {
      const isSame = isSameData(later.draft[field]?.value, earlier.draft[field]?.value);
      // Two services of one name are another mistake.
      return isSame || later.name === earlier.name ? [] : [{ field, earlier, later }];
    });
  });
}
