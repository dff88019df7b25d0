import type { Sourced } from '../../model/origin.ts';
import type { BackendName } from '../../model/settings.ts';
import type { Environment } from '../environment.ts';
import type { SettingsDraft } from '../read-settings.ts';
import type { EngineDefaults } from './workload-of.ts';

/** The sources of a setting apart from the file. */
export interface EngineLayers {
  readonly environment: Pick<Environment, 'backend' | 'builtInBackend' | 'namespaces'>;
  /** As given on the command line; undefined = not given. */
  readonly backend?: BackendName | undefined;
}

const DEFAULT_NAMESPACE = 'default';

/** The backend in force: flag > environment > file > built-in. */
export function resolveBackend(
  file: SettingsDraft,
  { environment, backend }: EngineLayers,
): Sourced<BackendName> {
  if (backend !== undefined) return { value: backend, origin: { kind: 'flag', flag: '--backend' } };
  return (
    environment.backend ??
    file.backend ??
    environment.builtInBackend ?? { value: 'docker', origin: { kind: 'default' } }
  );
}

/** The namespaces in force: environment > file > all. */
export function resolveNamespaces(
  file: SettingsDraft,
  { environment }: EngineLayers,
): Sourced<readonly string[]> {
  return environment.namespaces ?? file.kubernetes_namespaces ?? { value: [], origin: { kind: 'default' } };
}

/** What services of a file mean where they don't say so. */
export function resolveEngineDefaults(file: SettingsDraft, layers: EngineLayers): EngineDefaults {
  return toEngineDefaults(resolveBackend(file, layers).value, resolveNamespaces(file, layers).value);
}

/** A workload that names no namespace is in the only one that is served, else in `default`. */
export function toEngineDefaults(backend: BackendName, namespaces: readonly string[]): EngineDefaults {
  const [only = DEFAULT_NAMESPACE, ...others] = namespaces;
  return { backend, namespaces, namespace: others.length === 0 ? only : DEFAULT_NAMESPACE };
}
