import { namespacedName } from './api/api-paths.ts';
import type { ObjectChange } from './api/object-cache.ts';
import type { SliceRecord } from './service-record.ts';

/** EndpointSlices by the Service that they belong to. */
export class SliceIndex {
  readonly #byService = new Map<string, Map<string, SliceRecord>>();

  /** The slices of the Service `namespace/name`. */
  of(serviceKey: string): readonly SliceRecord[] {
    return [...(this.#byService.get(serviceKey)?.values() ?? [])];
  }

  /** Takes a change, and returns the keys of the Services that it touches. */
  apply({ key, before, after }: ObjectChange<SliceRecord>): ReadonlySet<string> {
    const namespace = key.slice(0, key.indexOf('/'));
    const touched = new Set<string>();
    if (before !== undefined) touched.add(this.#remove(namespacedName(namespace, before.service), key));
    if (after !== undefined) {
      const serviceKey = namespacedName(namespace, after.service);
      const slices = this.#byService.get(serviceKey) ?? new Map<string, SliceRecord>();
      this.#byService.set(serviceKey, slices.set(key, after));
      touched.add(serviceKey);
    }
    return touched;
  }

  #remove(serviceKey: string, key: string): string {
    const slices = this.#byService.get(serviceKey);
    slices?.delete(key);
    if (slices?.size === 0) this.#byService.delete(serviceKey);
    return serviceKey;
  }
}
