/** How the scripted API server answers a request about its objects when nothing is amiss. */
import type {
  KubeObject,
  ObjectMeta,
  ScalableWorkload,
  Scale,
} from '../../../src/backends/kubernetes/api/api-shapes.ts';
import {
  mergePatch,
  type ScriptedObjects,
  ScriptedRefusal,
  type StoredObject,
  withReplicas,
  withScale,
} from './scripted-kube-objects.ts';
import { isSelected, KUBE_RESOURCES, type KubeTarget } from './scripted-kube-paths.ts';

export interface KubeQuestion {
  readonly method: string;
  readonly target: KubeTarget;
  readonly query: URLSearchParams;
  /** `''` where there is no body. */
  readonly contentType: string;
  readonly body: unknown;
}

export interface KubeAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Reads and changes the objects as a request says. */
export class ScriptedAnswers {
  readonly #objects: ScriptedObjects;
  /** What is left of lists that are being paged through, by continue token. */
  readonly #pages = new Map<string, { readonly version: string; readonly items: readonly KubeObject[] }>();
  #tokens = 0;

  constructor(objects: ScriptedObjects) {
    this.#objects = objects;
  }

  /** @throws {ScriptedRefusal} */
  answer(question: KubeQuestion): KubeAnswer {
    const { method, target } = question;
    if (target.name === undefined)
      return method === 'POST' ? this.#create(question) : { status: 200, body: this.#list(question) };
    if (target.subresource === 'scale') return { status: 200, body: this.#scale(question) };
    const object = this.#find(question);
    switch (method) {
      case 'GET':
        return { status: 200, body: object };
      case 'PATCH':
        return { status: 200, body: this.#change(question, mergePatch(object, question.body)) };
      case 'PUT':
        return { status: 200, body: this.#change(question, question.body) };
      case 'DELETE':
        return { status: 200, body: this.#delete(question) };
      default:
        throw new ScriptedRefusal('the server does not allow this method', {
          status: 405,
          reason: 'MethodNotAllowed',
        });
    }
  }

  /** The rest of every list that is being paged through is lost. */
  forgetPages(): void {
    this.#pages.clear();
  }

  #list({ target, query }: KubeQuestion): unknown {
    const { namespace, resource } = target;
    const token = query.get('continue');
    const found = token === null ? this.#first(target, query) : this.#pages.get(token);
    if (found === undefined) {
      const message = 'The provided continue parameter is too old to display a consistent list result.';
      throw new ScriptedRefusal(message, { status: 410, reason: 'Expired' });
    }
    const items = found.items.filter((object) => isSelected(object, { namespace, query }));
    const limit = Number(query.get('limit') ?? 0) || items.length;
    const rest = items.slice(limit);
    const next = rest.length > 0 ? `page-${++this.#tokens}` : '';
    if (next !== '') this.#pages.set(next, { version: found.version, items: rest });
    const { apiVersion, kind } = KUBE_RESOURCES[resource];
    const metadata = { resourceVersion: found.version, ...(next !== '' && { continue: next }) };
    return { apiVersion, kind: `${kind}List`, metadata, items: items.slice(0, limit).map(asListed) };
  }

  #first({ namespace, resource }: KubeTarget, query: URLSearchParams) {
    const items = this.#objects.all(resource).filter((object) => isSelected(object, { namespace, query }));
    return { version: String(this.#objects.version), items };
  }

  #find({ target }: KubeQuestion): KubeObject {
    const { resource, namespace, name = '' } = target;
    const object = this.#objects.get(resource, namespace === undefined ? name : `${namespace}/${name}`);
    if (object !== undefined) return object;
    throw new ScriptedRefusal(`${describe(target)} not found`, { status: 404, reason: 'NotFound' });
  }

  #create({ target, body }: KubeQuestion): KubeAnswer {
    const { resource, namespace } = target;
    const wanted = body as KubeObject;
    const metadata: ObjectMeta = { ...wanted.metadata, ...(namespace !== undefined && { namespace }) };
    const { name } = metadata;
    if (this.#objects.get(resource, namespace === undefined ? name : `${namespace}/${name}`) !== undefined) {
      const message = `${describe({ ...target, name })} already exists`;
      throw new ScriptedRefusal(message, { status: 409, reason: 'AlreadyExists' });
    }
    return { status: 201, body: this.#objects.put(resource, { ...wanted, metadata }) };
  }

  #change(question: KubeQuestion, wanted: unknown): KubeObject {
    const object = this.#find(question);
    const changed = wanted as ScalableWorkload;
    this.#refuseOld(question, object);
    const manager = question.query.get('fieldManager') ?? 'unknown';
    const { replicas } = changed.spec ?? {};
    const isScaled = typeof replicas === 'number' && replicas !== (object as ScalableWorkload).spec?.replicas;
    const next = isScaled ? withReplicas(changed, { replicas, manager }) : changed;
    return this.#objects.put(question.target.resource, next as KubeObject);
  }

  #scale(question: KubeQuestion): Scale {
    const object = this.#find(question) as ScalableWorkload;
    const { method, body, query, contentType, target } = question;
    if (method === 'GET') return asScale(object);
    this.#refuseOld(question, object);
    const replicas = (body as Scale).spec?.replicas ?? object.spec?.replicas ?? 1;
    if (replicas === object.spec?.replicas) return asScale(object);
    const manager = query.get('fieldManager') ?? 'unknown';
    const operation = contentType.startsWith('application/apply-patch') ? 'Apply' : 'Update';
    const scaled = withScale(object, { replicas, manager, operation });
    return asScale(this.#objects.put(target.resource, scaled as StoredObject as KubeObject));
  }

  #delete(question: KubeQuestion): unknown {
    const { resourceVersion } = this.#find(question).metadata;
    const { preconditions } = Object(question.body) as {
      readonly preconditions?: { readonly resourceVersion?: string };
    };
    const wanted = preconditions?.resourceVersion ?? resourceVersion;
    if (wanted !== resourceVersion) {
      const message = `the ResourceVersion in the precondition (${wanted}) does not match the ResourceVersion in record (${resourceVersion})`;
      throw conflict(question.target, message);
    }
    this.#objects.remove(question.target.resource, keyOf(question.target));
    return { kind: 'Status', apiVersion: 'v1', status: 'Success' };
  }

  /** Optimistic locking: whoever names a version must name the newest. */
  #refuseOld({ target, body }: KubeQuestion, object: KubeObject): void {
    const version = (body as Partial<KubeObject>).metadata?.resourceVersion;
    if (version === undefined || version === '' || version === object.metadata.resourceVersion) return;
    throw conflict(
      target,
      'the object has been modified; please apply your changes to the latest version and try again',
    );
  }
}

function conflict(target: KubeTarget, why: string): ScriptedRefusal {
  const message = `Operation cannot be fulfilled on ${describe(target)}: ${why}`;
  return new ScriptedRefusal(message, { status: 409, reason: 'Conflict' });
}

function keyOf({ namespace, name = '' }: KubeTarget): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** `deployments.apps "db"`. */
function describe({ resource, name = '' }: KubeTarget): string {
  const { group } = KUBE_RESOURCES[resource];
  return `${group === '' ? resource : `${resource}.${group}`} "${name}"`;
}

/** In lists, objects don't say what they are. */
function asListed({ apiVersion: _, kind: __, ...object }: KubeObject): unknown {
  return object;
}

function asScale(object: ScalableWorkload): Scale {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name, namespace, uid, resourceVersion } as ObjectMeta,
    spec: { replicas: object.spec?.replicas ?? 1 },
    status: { replicas: object.status?.replicas ?? 0 },
  };
}
