import type { KubeObject } from './api-shapes.ts';
import { KubeRefusal } from './kube-errors.ts';

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
/** DNS-1123 labels with dots between them; each may be as long as the whole, as the API server takes it. */
const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const FORMS = { name: SUBDOMAIN, namespace: new RegExp(`^${LABEL}$`) } as const;

/**
 * An object out of the API server's answers, as it is: names become parts of paths, where one of another form would lead
 * anywhere in the API. @throws {KubeRefusal} where the name of the object, or of its namespace, is none.
 */
export function checkNames<T extends KubeObject>(object: T): T {
  const { name, namespace } = (object.metadata ?? {}) as { name?: unknown; namespace?: unknown };
  check('name', name);
  if (namespace !== undefined && namespace !== '') check('namespace', namespace);
  return object;
}

function check(what: keyof typeof FORMS, text: unknown): void {
  if (typeof text === 'string' && FORMS[what].test(text)) return;
  const shown = typeof text === 'string' ? JSON.stringify(text.slice(0, 80)) : typeof text;
  throw new KubeRefusal(`the API server tells ${shown} as the ${what} of an object`, { status: 502 });
}
