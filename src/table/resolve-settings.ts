import type { Environment } from '../config/environment.ts';
import type { FileConfig } from '../config/file.ts';
import type { SettingsDraft } from '../config/read-settings.ts';
import type { Origin, Sourced } from '../model/origin.ts';
import type { Settings } from '../model/settings.ts';

/** Process-wide settings given on the command line; absent = not given. */
export interface SettingsFlags {
  /** 0 = off. */
  readonly statusPort?: number | undefined;
  readonly dockerSocket?: string | undefined;
  readonly labels?: boolean | undefined;
  readonly labelPrefix?: string | undefined;
  readonly joinNetworks?: boolean | undefined;
}

/** The keys under which origins of settings are kept: their paths in the file. */
export type SettingName =
  | 'status'
  | 'docker.socket'
  | 'docker.labels'
  | 'docker.label_prefix'
  | 'docker.join_networks';

/** The settings in force, and where each was written. */
export interface ResolvedSettings {
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingName, Origin>>;
}

const DEFAULT_STATUS_PORT = 8080;
const DEFAULTS = {
  socket: '/var/run/docker.sock',
  labels: true,
  labelPrefix: 'lazy-tcp-proxy',
  joinNetworks: true,
} as const;

/** Merges the layers: flag > environment > file > built-in. */
export function resolveSettings(input: {
  readonly file: FileConfig | undefined;
  readonly environment: Environment;
  readonly flags: SettingsFlags;
}): ResolvedSettings {
  const { environment, flags } = input;
  const file: SettingsDraft = input.file?.settings ?? {};
  const status = resolveStatus(file.status, [
    fromFlag('--status-port', flags.statusPort),
    environment.statusPort,
  ]);
  const socket = firstSet(
    [fromFlag('--docker-socket', flags.dockerSocket), environment.dockerSocket, file.docker_socket],
    DEFAULTS.socket,
  );
  const labels = firstSet([fromFlag('--no-labels', flags.labels), file.docker_labels], DEFAULTS.labels);
  const labelPrefix = firstSet(
    [fromFlag('--label-prefix', flags.labelPrefix), file.docker_label_prefix],
    DEFAULTS.labelPrefix,
  );
  const joinNetworks = firstSet(
    [fromFlag('--join-networks', flags.joinNetworks), file.docker_join_networks],
    DEFAULTS.joinNetworks,
  );
  return {
    settings: {
      status: status.value,
      docker: {
        socket: socket.value,
        labels: labels.value,
        labelPrefix: labelPrefix.value,
        joinNetworks: joinNetworks.value,
      },
    },
    origins: {
      status: status.origin,
      'docker.socket': socket.origin,
      'docker.labels': labels.origin,
      'docker.label_prefix': labelPrefix.origin,
      'docker.join_networks': joinNetworks.origin,
    },
  };
}

/** A port from above keeps the address that the file gives: who binds to localhost must not be opened to the world. */
function resolveStatus(
  file: Sourced<Settings['status']> | undefined,
  ports: readonly (Sourced<number> | undefined)[],
): Sourced<Settings['status']> {
  const port = ports.find((candidate) => candidate !== undefined);
  if (port === undefined) return firstSet([file], { address: '', port: DEFAULT_STATUS_PORT });
  if (port.value === 0) return { value: 'off', origin: port.origin };
  const address = file === undefined || file.value === 'off' ? '' : file.value.address;
  return { value: { address, port: port.value }, origin: port.origin };
}

function firstSet<T>(layers: readonly (Sourced<T> | undefined)[], builtIn: T): Sourced<T> {
  return layers.find((layer) => layer !== undefined) ?? { value: builtIn, origin: { kind: 'default' } };
}

function fromFlag<T>(flag: string, value: T | undefined): Sourced<T> | undefined {
  return value === undefined ? undefined : { value, origin: { kind: 'flag', flag } };
}
