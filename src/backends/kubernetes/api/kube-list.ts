import type { KubeList, KubeObject } from './api-shapes.ts';
import type { KubeClient } from './kube-client.ts';
import { KubeRefusal } from './kube-errors.ts';
import { checkNames } from './object-names.ts';

const PAGE_OBJECTS = 500;

export interface ListOptions<T> {
  /** `/apis/apps/v1/namespaces/shop/deployments`. */
  readonly path: string;
  /** Selectors. */
  readonly query?: Readonly<Record<string, string>>;
  /** Keeps of each object what is needed; the rest of its page is freed before the next page is asked for. */
  select(object: KubeObject): T;
  /** From what the API server keeps in memory, which may be a little old, in place of asking etcd. */
  readonly fromMemory?: true;
  readonly signal: AbortSignal;
}

/**
 * Everything at one moment, in pages. A list that takes so long that the API server has forgotten its moment is begun
 * again, once.
 * @throws as `KubeClient.request`, and {KubeRefusal} where an object's name is none.
 */
export async function listObjects<T>(client: KubeClient, options: ListOptions<T>): Promise<ObjectList<T>> {
  try {
    return await listPages(client, options);
  } catch (error) {
    if (!isGone(error)) throw error;
    return await listPages(client, options);
  }
}

export interface ObjectList<T> {
  /** Of the moment; a watch from here on misses nothing. */
  readonly resourceVersion: string;
  readonly items: readonly T[];
}

/** Whether the API server no longer knows what was there at the moment that was asked for. */
export function isGone(error: unknown): boolean {
  return error instanceof KubeRefusal && error.status === 410;
}

async function listPages<T>(client: KubeClient, options: ListOptions<T>): Promise<ObjectList<T>> {
  const { path, signal } = options;
  const items: T[] = [];
  let next: string | undefined;
  for (;;) {
    const query = {
      ...options.query,
      limit: String(PAGE_OBJECTS),
      ...(next === undefined ? options.fromMemory && { resourceVersion: '0' } : { continue: next }),
    };
    const page = await client.request<KubeList<KubeObject>>({ method: 'GET', path, query, signal });
    for (const object of page.items ?? []) items.push(options.select(checkNames(object)));
    next = page.metadata.continue || undefined;
    if (next === undefined) return { resourceVersion: page.metadata.resourceVersion ?? '', items };
  }
}
