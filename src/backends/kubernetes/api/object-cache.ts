/** What an informer tells: `before` is undefined for what is new, `after` for what is gone. */
export interface ObjectChange<T> {
  readonly key: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

export interface CacheEntry<T> {
  readonly key: string;
  readonly version: string;
  readonly value: T;
}

/**
 * Keeps what is known of one kind of object. It takes whole lists and single changes, and returns what differs. In a watch
 * each change is newer than the one before it; a change that is not newer was taken already, and is dropped.
 */
export class ObjectCache<T> {
  #entries = new Map<string, CacheEntry<T>>();
  #version: string | undefined;

  /** A watch from this version on misses nothing; undefined before the first list, and after `expire()`. */
  get version(): string | undefined {
    return this.#version;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)?.value;
  }

  *all(): IterableIterator<[string, T]> {
    for (const { key, value } of this.#entries.values()) yield [key, value];
  }

  /** Takes a whole list, and returns what it changes: first the deletions, then the rest. */
  replace(items: readonly CacheEntry<T>[], version: string): readonly ObjectChange<T>[] {
    const before = this.#entries;
    const after = new Map(items.map((item) => [item.key, item]));
    this.#entries = after;
    this.#version = version;
    const changes: ObjectChange<T>[] = [];
    for (const { key, value } of before.values())
      if (!after.has(key)) changes.push({ key, before: value, after: undefined });
    for (const { key, version, value } of after.values()) {
      const known = before.get(key);
      if (known === undefined || known.version !== version)
        changes.push({ key, before: known?.value, after: value });
    }
    return changes;
  }

  /** Undefined where the cache knows it already, or something newer. */
  put(item: CacheEntry<T>): ObjectChange<T> | undefined {
    const { key, version, value } = item;
    if (!this.advance(version)) return undefined;
    const before = this.get(key);
    this.#entries.set(key, item);
    return { key, before, after: value };
  }

  /** Undefined where the object is gone already, or the cache knows something newer. */
  remove(key: string, version: string): ObjectChange<T> | undefined {
    if (!this.advance(version)) return undefined;
    const before = this.get(key);
    return this.#entries.delete(key) ? { key, before, after: undefined } : undefined;
  }

  /** Moves the version on; false where it isn't newer. */
  advance(version: string): boolean {
    if (this.#version !== undefined && (compareVersions(version, this.#version) ?? 1) <= 0) return false;
    this.#version = version;
    return true;
  }

  /** The next step must be a whole list; until then the cache keeps what it has. */
  expire(): void {
    this.#version = undefined;
  }
}

/** Resource versions are numbers too long for JavaScript's own; they grow with every change in the cluster. */
const NUMBER = /^(0|[1-9]\d*)$/;

/**
 * Below 0 where `a` is older than `b`, 0 where they are the same, above 0 where it is newer; undefined where they can't
 * be compared.
 */
export function compareVersions(a: string, b: string): number | undefined {
  if (a === b) return 0;
  if (!NUMBER.test(a) || !NUMBER.test(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : 1;
}
