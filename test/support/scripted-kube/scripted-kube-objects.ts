/** What the scripted API server keeps: objects with versions, and the events that led there. */
import { isDeepStrictEqual } from 'node:util';
import type {
  KubeObject,
  ManagedFields,
  ObjectMeta,
} from '../../../src/backends/kubernetes/api/api-shapes.ts';
import { KUBE_RESOURCES, type KubeResource, kubeKey } from './scripted-kube-paths.ts';

/** As it is stored: whatever fields it has, for tests to change. */
// biome-ignore lint/suspicious/noExplicitAny: an object of any resource
export type StoredObject = { metadata: any; spec?: any; status?: any; [field: string]: any };

export interface ObjectEvent {
  readonly version: number;
  readonly resource: KubeResource;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  readonly before: KubeObject | undefined;
}

/** A refusal in the API server's words. */
export class ScriptedRefusal extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(message: string, options: { readonly status: number; readonly reason: string }) {
    super(message);
    this.status = options.status;
    this.reason = options.reason;
  }
}

/** Keeps objects; each change has a version of its own, and is told. */
export class ScriptedObjects {
  readonly #objects = new Map<KubeResource, Map<string, KubeObject>>();
  readonly #told: (event: ObjectEvent) => void;
  #version = 1_000;
  #events: ObjectEvent[] = [];
  #oldest = 0;

  constructor(told: (event: ObjectEvent) => void) {
    this.#told = told;
  }

  get version(): number {
    return this.#version;
  }

  get(resource: KubeResource, key: string): KubeObject | undefined {
    return this.#of(resource).get(key);
  }

  all(resource: KubeResource): readonly KubeObject[] {
    return [...this.#of(resource).values()].sort((a, b) => (kubeKey(a) < kubeKey(b) ? -1 : 1));
  }

  /** Creates or replaces; version, uid and generation are set here. */
  put(
    resource: KubeResource,
    fields: Omit<KubeObject, 'metadata'> & { readonly metadata: ObjectMeta },
  ): KubeObject {
    const key = kubeKey(fields);
    const before = this.#of(resource).get(key);
    const version = ++this.#version;
    const { apiVersion, kind } = KUBE_RESOURCES[resource];
    const sameSpec = isDeepStrictEqual((before as StoredObject)?.spec, (fields as StoredObject).spec);
    const metadata = {
      creationTimestamp: '2026-04-01T12:00:00Z',
      ...structuredClone(fields.metadata),
      uid: before?.metadata.uid ?? `uid-${version}`,
      resourceVersion: String(version),
      generation: (before?.metadata.generation ?? 0) + (sameSpec ? 0 : 1) || 1,
    };
    const object: KubeObject = { ...structuredClone(fields), apiVersion, kind, metadata };
    this.#of(resource).set(key, object);
    const type = before === undefined ? 'ADDED' : 'MODIFIED';
    this.#record({ version, resource, type, object, before });
    return object;
  }

  remove(resource: KubeResource, key: string): KubeObject | undefined {
    const before = this.#of(resource).get(key);
    if (before === undefined) return undefined;
    this.#of(resource).delete(key);
    const version = ++this.#version;
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } };
    this.#record({ version, resource, type: 'DELETED', object, before });
    return object;
  }

  /** Events behind `version`; undefined where some of them are forgotten. */
  since(version: number, resource: KubeResource): readonly ObjectEvent[] | undefined {
    if (version < this.#oldest) return undefined;
    return this.#events.filter((event) => event.resource === resource && event.version > version);
  }

  /** Time passes without a change of what is kept: the next version is another. */
  moveOn(): void {
    this.#version += 10;
  }

  /** Forgets all events so far; whoever knows an older version must list again. */
  forget(): void {
    this.#events = [];
    this.#oldest = this.#version;
  }

  #record(event: ObjectEvent): void {
    this.#events.push(event);
    this.#told(event);
  }

  #of(resource: KubeResource): Map<string, KubeObject> {
    const objects = this.#objects.get(resource) ?? new Map<string, KubeObject>();
    this.#objects.set(resource, objects);
    return objects;
  }
}

/** RFC 7396: null removes, objects are merged, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const merged: Record<string, unknown> = isObject ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete merged[field];
    else merged[field] = mergePatch(merged[field], value);
  }
  return merged;
}

interface ReplicasOwner {
  readonly replicas: number;
  readonly manager: string;
  readonly subresource?: string;
  /** Default: `Update`. */
  readonly operation?: 'Apply' | 'Update';
}

/** Replicas as `manager` sets them: it owns the field from then on, and nobody else. */
export function withReplicas(object: KubeObject, owner: ReplicasOwner): StoredObject {
  const { replicas, manager, subresource, operation = 'Update' } = owner;
  const entry: ManagedFields = {
    manager,
    operation,
    ...(subresource !== undefined && { subresource }),
    fieldsV1: { 'f:spec': { 'f:replicas': {} } },
  };
  return setReplicas(object, { replicas, entries: [entry] });
}

/** Replicas as `manager` sets them in the scale: a patch to 0 isn't noted, nor one where nobody owned the field before. */
export function withScale(object: KubeObject, owner: ReplicasOwner): StoredObject {
  const isOwned = (object.metadata.managedFields ?? []).some(ownsReplicas);
  const isNoted = owner.operation === 'Apply' || (isOwned && owner.replicas > 0);
  if (isNoted) return withReplicas(object, { ...owner, subresource: 'scale' });
  return setReplicas(object, { replicas: owner.replicas, entries: [] });
}

function setReplicas(
  object: KubeObject,
  { replicas, entries }: { readonly replicas: number; readonly entries: readonly ManagedFields[] },
): StoredObject {
  const changed = structuredClone(object) as StoredObject;
  changed.spec = { ...changed.spec, replicas };
  const others = (object.metadata.managedFields ?? []).filter((entry) => !ownsReplicas(entry));
  changed.metadata.managedFields = [...others, ...entries];
  return changed;
}

function ownsReplicas({ fieldsV1 = {} }: ManagedFields): boolean {
  return Object.hasOwn(Object(fieldsV1['f:spec']), 'f:replicas');
}
