import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type YAMLMap,
} from 'yaml';
import type { Path } from './path.ts';

/** The offsets of a value and of the key it stands under. */
export interface Place {
  readonly keyOffset: number;
  readonly valueOffset: number;
}

/** Finds where the value at a path was written, through aliases and merge keys. */
export type FindPlace = (path: Path) => Place;

/** A finder for one document; it indexes each mapping once, so that finding is cheap in files of any length. */
export function createPlaceFinder(doc: Document): FindPlace {
  const indexes = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();
  const pairsOf = (map: YAMLMap): ReadonlyMap<string, Pair> => {
    let index = indexes.get(map);
    if (index === undefined) {
      index = indexPairs(map, doc, new Set());
      indexes.set(map, index);
    }
    return index;
  };
  return (path) => {
    let node = resolve(doc.contents, doc);
    let place: Place = { keyOffset: startOf(node) ?? 0, valueOffset: startOf(node) ?? 0 };
    for (const step of path) {
      const child = isMap(node)
        ? pairsOf(node).get(String(step))
        : isSeq(node)
          ? node.items[Number(step)]
          : undefined;
      if (child === undefined) return place;
      node = resolve(isPair(child) ? child.value : child, doc);
      place = placeOf(child, node, place);
    }
    return place;
  };
}

function placeOf(child: unknown, node: unknown, parent: Place): Place {
  const valueOffset = startOf(node) ?? parent.valueOffset;
  if (!isPair(child)) return { keyOffset: valueOffset, valueOffset };
  const keyOffset = startOf(child.key) ?? valueOffset;
  // What isn't there has no place of its own.
  const empty = node === null || (isScalar(node) && node.value === null && node.source === '');
  return { keyOffset, valueOffset: empty ? keyOffset : valueOffset };
}

/** Own keys first, then those merged in, the earliest merge first: the order in which they win. */
function indexPairs(map: YAMLMap, doc: Document, seen: Set<YAMLMap>): ReadonlyMap<string, Pair> {
  const index = new Map<string, Pair>();
  if (seen.has(map)) return index;
  seen.add(map);
  for (const pair of map.items) {
    if (!isMergeKey(pair.key)) index.set(keyText(pair.key), pair);
  }
  for (const pair of map.items.filter(({ key }) => isMergeKey(key))) {
    const merged = resolve(pair.value, doc);
    for (const source of isSeq(merged) ? merged.items.map((item) => resolve(item, doc)) : [merged]) {
      if (!isMap(source)) continue;
      for (const [key, inherited] of indexPairs(source, doc, seen)) {
        if (!index.has(key)) index.set(key, inherited);
      }
    }
  }
  seen.delete(map);
  return index;
}

function resolve(node: unknown, doc: Document): unknown {
  return isAlias(node) ? node.resolve(doc) : node;
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && typeof key.value === 'symbol';
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value ?? '') : String(key);
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined;
}
