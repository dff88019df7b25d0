/**
 * Whether two values say the same: primitives, lists, and plain objects of these. As `isDeepStrictEqual()`, which takes five
 * times as long and is called for every service of the table.
 */
export function isSameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && isSameList(a, b);
  return isSameObject(a as PlainObject, b as PlainObject);
}

type PlainObject = Readonly<Record<string, unknown>>;

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) {
    if (!isSameData(a[index], b[index])) return false;
  }
  return true;
}

function isSameObject(a: PlainObject, b: PlainObject): boolean {
  const keys = Object.keys(a);
  if (Object.keys(b).length !== keys.length) return false;
  for (const key of keys) {
    if (!Object.hasOwn(b, key) || !isSameData(a[key], b[key])) return false;
  }
  return true;
}
