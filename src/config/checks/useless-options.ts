/** What is given and does nothing: for a workload of this kind, or beside the other values of the service. */
import type { Origin } from '../../model/origin.ts';
import type { Problem } from '../../model/problem.ts';
import { isSameData } from '../../model/same-data.ts';
import type { ListenerSpec, Service } from '../../model/service.ts';
import type { TraefikHost } from '../../model/web.ts';
import { toWorkloadRef, type WorkloadRef } from '../../model/workload.ts';
import {
  type Draft,
  FIELD_NAMES,
  type FieldName,
  fieldKeys,
  fieldSpec,
  hasEffect,
  labelSuffix,
} from '../fields.ts';
import { isWorkloadUnknown, type ReadService } from '../read/read-services.ts';
import { isWorkloadField, workloadNoun } from '../rules/workload-of.ts';
import { SETTING_NAMES, type SettingName, type SettingsDraft } from '../settings.ts';
import { parseAccessEntry } from '../values/address.ts';
import type { Path } from '../yaml/path.ts';
import { type Finding, uselessKey, warning } from './finding.ts';

/** A service as far as it is known: the value of each field when all layers are merged. */
type ReadValue = (field: FieldName) => unknown;

interface UselessOptions {
  readonly options: readonly FieldName[];
  /** The fields that decide whether the options do something. */
  readonly needs: readonly FieldName[];
  readonly isUseless: (read: ReadValue, ref: WorkloadRef) => boolean;
  /** Whoever writes what the options need, and leaves it empty, means it: as `print-effective-config` does. */
  readonly unlessWritten?: true;
  /** In words that follow an option's name; `name` gives a field's name as the place of the options writes it. */
  readonly why: (name: (field: FieldName) => string, read: ReadValue) => string;
}

/** Options that do nothing beside other values of the same service. */
const USELESS_OPTIONS: readonly UselessOptions[] = [
  without(
    ['udp_ports'],
    FIELD_NAMES.filter((field) => field.startsWith('udp_') && field !== 'udp_ports'),
  ),
  without(['ports', 'http_ports', 'hosts', 'tls_hosts'], ['tcp_keepalive']),
  without(['ports', 'http_ports'], ['tls']),
  without(['hosts'], ['http_port']),
  without(['tls_hosts'], ['https_port']),
  without(['hosts', 'http_ports', 'ports'], ['basic_auth', 'api_key']),
  {
    ...without(['hosts', 'http_ports'], ['waiting_page', 'wake_paths', 'blocked']),
    // Beside a login the ports are for HTTP, too.
    isUseless: (read) =>
      isEmpty(read('hosts')) &&
      isEmpty(read('http_ports')) &&
      (isEmpty(read('ports')) || (isEmpty(read('basic_auth')) && isEmpty(read('api_key')))),
  },
  ...(['traefik_hosts', 'traefik_tcp_hosts'] as const).map(forTraefik),
  without(['http_healthcheck'], ['http_healthcheck_status']),
  without(['ports'], ['wake_on']),
  without(['ports', 'http_ports', 'hosts', 'tls_hosts', 'udp_ports'], ['proxy_protocol']),
  {
    ...without(['ports', 'http_ports', 'udp_ports'], ['accept_proxy_protocol']),
    why: (name, read) =>
      `has no effect without ${name('ports')}, ${name('http_ports')} or ${name('udp_ports')}${isEmpty(read('hosts')) && isEmpty(read('tls_hosts')) ? '' : '; all services share the front doors, for which http.accept_proxy_protocol says it'}`,
  },
  {
    options: ['max_connections_per_address'],
    needs: ['max_connections'],
    isUseless: (read) => {
      const most = Number(read('max_connections'));
      return most > 0 && Number(read('max_connections_per_address')) > most;
    },
    why: (name, read) =>
      `has no effect, because it is more than ${name('max_connections')}, which is ${read('max_connections')}`,
  },
  // It bounds the flows of UDP clients, too.
  besideSchedule('idle_timeout', ['udp_ports']),
  besideSchedule('min_awake'),
  besideSchedule('pause_after'),
  besideSchedule('idle_when'),
  besideSchedule('busy_check'),
  {
    options: ['idle_when'],
    needs: ['idle_timeout'],
    // Beside a schedule it has none anyway, and that is told.
    isUseless: (read) =>
      read('idle_when') === 'no_traffic' && read('idle_timeout') === 0 && !hasCron(read) && !isManual(read),
    why: (name) =>
      `no_traffic has no effect beside ${name('idle_timeout')}: 0, with which open connections keep the service awake; give a time without traffic`,
  },
  {
    options: ['idle_ignore_below'],
    needs: ['idle_when'],
    isUseless: (read) =>
      read('idle_when') !== 'no_traffic' &&
      !isSameData(read('idle_ignore_below'), fieldSpec('idle_ignore_below').builtIn),
    why: (name) => `has no effect without ${name('idle_when')}: no_traffic`,
  },
  {
    options: ['busy_check'],
    needs: [],
    isUseless: (read, ref) =>
      (ref.kind === 'swarm' || ref.kind === 'kubernetes') && hasCommand(read('busy_check')),
    why: () => 'has no effect with a command, which can only be run in a container; give it a url',
  },
  {
    options: ['pause_after'],
    needs: ['sleep', 'idle_timeout'],
    isUseless: (read) => pausesAnyhow(read) || Number(read('pause_after')) >= Number(read('idle_timeout')),
    why: (name, read) =>
      pausesAnyhow(read)
        ? `has no effect beside ${name('sleep')}: pause, with which ${name('idle_timeout')} pauses the service`
        : `has no effect, because it is not less than ${name('idle_timeout')}, which stops the service`,
  },
  besideAvailability('wake_list'),
  besideAvailability('wake_on'),
  { options: ['awake', 'cron_start', 'cron_stop'], needs: [], isUseless: isManual, why: () => BESIDE_MANUAL },
  {
    options: ['availability'],
    needs: ['awake', 'cron_start', 'cron_stop'],
    isUseless: (read) => read('availability') === 'schedule' && !hasCron(read) && isEmpty(read('awake')),
    why: (name) =>
      `is "schedule" without ${name('awake')}, ${name('cron_start')} or ${name('cron_stop')}, so neither clients nor a schedule start it; give one of them`,
  },
  {
    options: ['cron_stop'],
    needs: [],
    isUseless: (read) => !isEmpty(read('cron_stop')) && read('cron_stop') === read('cron_start'),
    why: (name) => `is the same as ${name('cron_start')}, so it can't be told what is meant then`,
  },
  {
    options: ['allow_data_loss'],
    needs: [],
    isUseless: (_valueOf, ref) => ref.kind === 'kubernetes' && ref.resource === 'deployment',
    why: () => 'has no effect on a Deployment; it is for StatefulSets',
  },
];

const BESIDE_MANUAL = 'has no effect beside availability: manual';

function hasCommand(check: unknown): boolean {
  return typeof check === 'object' && check !== null && 'kind' in check && check.kind === 'command';
}

function pausesAnyhow(read: ReadValue): boolean {
  return read('sleep') === 'pause' && read('pause_after') !== fieldSpec('pause_after').builtIn;
}

/**
 * What is idle is left to the schedule, where there is one, and to people. The value that a service has anyway says nothing: the
 * output of print-effective-config holds it.
 */
function besideSchedule(option: FieldName, unless: readonly FieldName[] = []): UselessOptions {
  return {
    options: [option],
    needs: unless,
    isUseless: (read) =>
      unless.every((field) => isEmpty(read(field))) &&
      (hasCron(read) || isManual(read)) &&
      !isSameData(read(option), fieldSpec(option).builtIn),
    why: (name, read) =>
      isManual(read)
        ? BESIDE_MANUAL
        : `has no effect beside ${name('cron_start')} or ${name('cron_stop')}: the schedule alone counts`,
  };
}

/** Who may wake a service matters only where clients wake it. */
function besideAvailability(option: FieldName): UselessOptions {
  return {
    options: [option],
    needs: [],
    isUseless: (read) =>
      read('availability') !== 'on_demand' && !isSameData(read(option), fieldSpec(option).builtIn),
    why: (name, read) =>
      `has no effect beside ${name('availability')}: ${read('availability')}, with which no client wakes the service`,
  };
}

function isManual(read: ReadValue): boolean {
  return read('availability') === 'manual';
}

function hasCron(read: ReadValue): boolean {
  return !isEmpty(read('cron_start')) || !isEmpty(read('cron_stop'));
}

/** What Traefik is told leads to ports that the service has. */
function forTraefik(field: 'traefik_hosts' | 'traefik_tcp_hosts'): UselessOptions {
  const findStrange = (read: ReadValue) => {
    const listeners = [
      ...(read('ports') as readonly ListenerSpec[]),
      ...(read('http_ports') as readonly ListenerSpec[]),
    ];
    const ports = new Set(listeners.map(({ port }) => port));
    return (read(field) as readonly TraefikHost[]).find(({ port }) => !ports.has(port));
  };
  return {
    options: [field],
    needs: ['ports', 'http_ports'],
    isUseless: (read) => findStrange(read) !== undefined,
    why: (name, read) => {
      const { host, port } = findStrange(read) ?? { host: '', port: 0 };
      return `gives ${host} port ${port}, which is no listen port under ${name('ports')} or ${name('http_ports')} of this service; Traefik is not told of it`;
    },
  };
}

function without(needed: readonly FieldName[], options: readonly FieldName[]): UselessOptions {
  return {
    options,
    needs: needed,
    unlessWritten: true,
    isUseless: (read) => needed.every((field) => isEmpty(read(field))),
    why: (name) =>
      `has no effect without ${needed
        .map(name)
        .join(', ')
        .replace(/, ([^,]*)$/, ' or $1')}`,
  };
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
}

/**
 * Finds options of a file's service that have no effect.
 * @param below what counts where the service says nothing: what other services of its workload say, and `defaults:`.
 */
export function findUselessOptions(service: ReadService, below: Draft): readonly Finding[] {
  if (isWorkloadUnknown(service)) return [];
  const { raw, ref } = service;
  const given = (fields: readonly FieldName[]) =>
    fields.flatMap(fieldKeys).filter((key) => Object.hasOwn(raw, key));
  const ofOtherKinds = FIELD_NAMES.filter((field) => !hasEffect(field, ref.kind)).flatMap((field) =>
    // findExclusive() tells of a key that names another workload.
    isWorkloadField(field)
      ? []
      : given([field]).map((key) => useless(service, key, describeUselessness(field, ref))),
  );
  const read = (field: FieldName) =>
    (service.draft[field] ?? below[field])?.value ?? fieldSpec(field).builtIn;
  const besideOthers = USELESS_OPTIONS.flatMap(({ options, needs, unlessWritten, isUseless, why }) => {
    if (unlessWritten && given(needs).length > 0) return [];
    const fitting = options.filter((field) => hasEffect(field, ref.kind));
    if (!needs.every((field) => isSettled(field, service)) || !isUseless(read, ref)) return [];
    return given(fitting).map((key) =>
      useless(
        service,
        key,
        why((field) => field, read),
      ),
    );
  });
  return [...ofOtherKinds, ...besideOthers, ...findHostBits(raw, service.path)];
}

/** Finds ranges in a mapping of the file's that were written with an address inside them. */
export function findHostBits(raw: Readonly<Record<string, unknown>>, path: Path): readonly Finding[] {
  return ACCESS_LISTS.flatMap((field) => {
    const items: readonly unknown[] = Array.isArray(raw[field]) ? raw[field] : [];
    return items.flatMap((item, index) => {
      const message = describeHostBits(item);
      if (message === undefined) return [];
      return [warning([...path, field, index], { code: 'invalid-address', at: 'value', message })];
    });
  });
}

/** Fields and settings that list addresses. */
const ACCESS_LISTS: readonly string[] = ['allow_list', 'block_list', 'wake_list', 'trusted_proxies'];

/** `10.0.0.1/8` lets in more than who reads it may think; undefined for what is no such range. */
export function describeHostBits(item: unknown): string | undefined {
  if (typeof item !== 'string' || !item.includes('/')) return undefined;
  const [range, address] = [parseAccessEntry(item), parseAccessEntry(item.split('/')[0])];
  if (!range.ok || !address.ok || range.value.split('/')[0] === address.value) return undefined;
  return `"${item}" means ${range.value}; write that, or "${address.value}" for the one address`;
}

/** What opens a service to clients. */
const DOORS = [
  'ports',
  'udp_ports',
  'http_ports',
  'hosts',
  'tls_hosts',
] as const satisfies readonly FieldName[];

/** Whether the file alone decides about a field: it has no mistake there, and no label can bring it. */
function isSettled(field: FieldName, { raw, draft, ref }: ReadService): boolean {
  if (fieldKeys(field).some((key) => Object.hasOwn(raw, key))) return draft[field] !== undefined;
  // Whoever gives the ports in the file gives the rest there, too.
  const hasPorts = DOORS.some((door) => Object.hasOwn(raw, door));
  return hasPorts || ref.kind === 'process' || raw['ignore_labels'] === true;
}

/** Finds labels that have no effect beside what file and labels say together of the service. */
export function findUselessLabels(
  service: Service,
  origins: Readonly<Partial<Record<FieldName, Origin>>>,
): readonly Problem[] {
  const ref = toWorkloadRef(service.workload);
  const read = (field: FieldName) => fieldSpec(field).of(service);
  return USELESS_OPTIONS.flatMap(({ options, isUseless, why }) =>
    options.flatMap((field): readonly Problem[] => {
      const origin = origins[field];
      if (origin?.kind !== 'label' || !isUseless(read, ref)) return [];
      const suffix = origin.label.slice(origin.label.lastIndexOf('.') + 1);
      const message = `${suffix}: ${why(labelSuffix, read)}`;
      return [{ code: 'option-without-effect', severity: 'warning', message, origin }];
    }),
  );
}

/** Settings of Docker that a service of the file needs, where that stands for a container or a Swarm service. */
const DOCKER_SERVICE_SETTINGS: readonly SettingName[] = ['docker.socket', 'docker.join_networks'];
/** It counts for the annotations of Kubernetes, too. */
const SHARED_SETTINGS: readonly SettingName[] = ['docker.label_urls'];

/** Finds settings of Docker in a file that chooses Kubernetes. */
export function findUselessSettings(
  settings: SettingsDraft,
  services: readonly ReadService[],
): readonly Finding[] {
  if (settings.backend?.value !== 'kubernetes') return [];
  const needsDocker = services.some(({ ref }) => ref.kind === 'docker' || ref.kind === 'swarm');
  return SETTING_NAMES.filter((name) => name.startsWith('docker.') && settings[name] !== undefined)
    .filter((name) => !SHARED_SETTINGS.includes(name))
    .filter((name) => !(needsDocker && DOCKER_SERVICE_SETTINGS.includes(name)))
    .map((name) => {
      const who = DOCKER_SERVICE_SETTINGS.includes(name) ? ', where no service is a container' : '';
      const message = `has no effect under backend: kubernetes${who}`;
      return uselessKey(name.split('.'), message);
    });
}

/** Why a field does nothing for a workload, in words that follow the field's name. */
export function describeUselessness(field: FieldName, ref: WorkloadRef): string {
  const onThis = `has no effect on a ${workloadNoun(ref)}`;
  switch (field) {
    case 'cwd':
    case 'env':
      return 'has no effect without command';
    case 'service_name':
    case 'upstream':
      return `${onThis}; it is for Deployments and StatefulSets`;
    case 'scale':
      return `${onThis}; it is for Swarm services, Deployments and StatefulSets`;
    case 'allow_data_loss':
      return `${onThis}; it is for StatefulSets`;
    case 'stop_timeout':
      return ref.kind === 'swarm'
        ? `${onThis}; the stop_grace_period of its containers counts`
        : `${onThis}; the terminationGracePeriodSeconds of its pods counts`;
    case 'sleep':
    case 'pause_after':
      return `${onThis}, which can only be stopped`;
    case 'ignore_labels':
      return `${onThis}, which has no labels`;
    default:
      return onThis;
  }
}

function useless({ path }: ReadService, key: string, message: string): Finding {
  return uselessKey([...path, key], message);
}
