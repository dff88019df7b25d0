import type { Sourced } from '../model/origin.ts';
import type { DockerSettings, Settings } from '../model/settings.ts';
import { type Finding, valueError } from './finding.ts';
import { isMapping, type Parsed, showValue } from './parsed.ts';
import type { LocateOrigin } from './read-yaml.ts';
import { parseStatusListen } from './status-listen.ts';

/** The process-wide settings as one source wrote them; absent = unset. */
export interface SettingsDraft {
  readonly status?: Sourced<Settings['status']>;
  readonly docker_socket?: Sourced<DockerSettings['socket']>;
  readonly docker_labels?: Sourced<boolean>;
  readonly docker_label_prefix?: Sourced<string>;
  readonly docker_join_networks?: Sourced<boolean>;
}

const DOCKER_KEYS = ['socket', 'labels', 'label_prefix', 'join_networks'] as const;

/** Reads `status:` and `docker:`; what the schema refuses is reported by it, so only well-typed values are taken. */
export function readSettings(
  root: Readonly<Record<string, unknown>>,
  locate: LocateOrigin,
): { readonly settings: SettingsDraft; readonly findings: readonly Finding[] } {
  const settings: Record<string, unknown> = {};
  const findings: Finding[] = [];
  if (Object.hasOwn(root, 'status') && root['status'] !== null) {
    const { path, parsed } = readStatus(root['status']);
    if (!parsed.ok) findings.push(valueError(path, parsed.code, parsed.message));
    else if (parsed.value !== undefined)
      settings['status'] = { value: parsed.value, origin: locate(path, 'value') };
  }
  const docker = root['docker'];
  for (const key of DOCKER_KEYS) {
    if (!isMapping(docker) || !Object.hasOwn(docker, key)) continue;
    settings[`docker_${key}`] = { value: docker[key], origin: locate(['docker', key], 'value') };
  }
  return { settings, findings };
}

function readStatus(raw: unknown): {
  readonly path: readonly string[];
  readonly parsed: Parsed<Settings['status'] | undefined>;
} {
  if (raw === 'off' || raw === false) return { path: ['status'], parsed: { ok: true, value: 'off' } };
  if (!isMapping(raw)) {
    const message = `${showValue(raw)} is not off or a mapping such as {listen: "0.0.0.0:8080"}`;
    return { path: ['status'], parsed: { ok: false, code: 'invalid-value', message } };
  }
  if (!Object.hasOwn(raw, 'listen') || raw['listen'] === null) {
    return { path: ['status'], parsed: { ok: true, value: undefined } };
  }
  return { path: ['status', 'listen'], parsed: parseStatusListen(raw['listen']) };
}
