import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Pair,
  visit,
  type YAMLMap,
} from 'yaml';
import type { Path } from './path.ts';

/** The offsets of a value and of the key it stands under. */
export interface Place {
  readonly keyOffset: number;
  readonly valueOffset: number;
}

/** A document with its aliases and merge keys resolved, each mapping looked at once. */
export interface YamlSource {
  /** The effective pairs of a mapping: own keys first, then those merged in, the earliest merge first. */
  pairsOf(map: YAMLMap): ReadonlyMap<string, Pair>;
  /** The node itself, or what an alias stands for; undefined = its anchor is not there. */
  resolve(node: unknown): unknown;
  /** Where the value at a path was written; for a path that isn't there, the nearest part that is. */
  findPlace(path: Path): Place;
}

/** Indexes a document. The library's own alias.resolve() walks the document each time, which is quadratic. */
export function createYamlSource(doc: Document): YamlSource {
  const targets = findAliasTargets(doc);
  const indexes = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();
  const resolve = (node: unknown): unknown => (isAlias(node) ? targets.get(node) : node);
  const source: YamlSource = {
    resolve,
    pairsOf(map) {
      let index = indexes.get(map);
      if (index === undefined) {
        // Set before the mapping is read, so that one that merges itself comes to an end.
        indexes.set(map, new Map());
        index = indexPairs(map, source);
        indexes.set(map, index);
      }
      return index;
    },
    findPlace: (path) => findPlace(path, { doc, source }),
  };
  return source;
}

/** The offsets of repeated keys: of each key that stands earlier in the same mapping. */
export function findRepeatedKeys(doc: Document): readonly number[] {
  const offsets: number[] = [];
  visit(doc, {
    Map(_key, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) offsets.push(startOf(key) ?? 0);
        seen.add(key.value);
      }
    },
  });
  return offsets;
}

/** Whether a key is the merge key `<<`. */
export function isMergeKey(key: unknown): boolean {
  return isScalar(key) && typeof key.value === 'symbol';
}

/** The mappings that a merge key names: one, or a list of them. */
export function mergeSources(pair: Pair, source: Pick<YamlSource, 'resolve'>): readonly unknown[] {
  const merged = source.resolve(pair.value);
  return isSeq(merged) ? merged.items.map(source.resolve) : [merged];
}

/** The offset at which a node begins; undefined for a node that isn't written in the text. */
export function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function findAliasTargets(doc: Document): ReadonlyMap<Alias, unknown> {
  const anchors = new Map<string, unknown>();
  const targets = new Map<Alias, unknown>();
  visit(doc, {
    Node(_key, node) {
      if (isAlias(node)) targets.set(node, anchors.get(node.source));
      else if ('anchor' in node && node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

function indexPairs(map: YAMLMap, source: YamlSource): ReadonlyMap<string, Pair> {
  const own = map.items.filter(({ key }) => !isMergeKey(key));
  const index = new Map(own.map((pair) => [keyText(source.resolve(pair.key)), pair]));
  for (const pair of map.items.filter(({ key }) => isMergeKey(key))) {
    for (const merged of mergeSources(pair, source).filter((node) => isMap(node))) {
      for (const [key, inherited] of source.pairsOf(merged)) {
        if (!index.has(key)) index.set(key, inherited);
      }
    }
  }
  return index;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value ?? '') : String(key ?? '');
}

function findPlace(
  path: Path,
  { doc, source }: { readonly doc: Document; readonly source: YamlSource },
): Place {
  let node = source.resolve(doc.contents);
  const start = startOf(node) ?? 0;
  let place: Place = { keyOffset: start, valueOffset: start };
  for (const step of path) {
    const child = childAt(node, { step, source });
    if (child === undefined) return place;
    node = source.resolve(isPair(child) ? child.value : child);
    place = placeOf(child, { node, parent: place });
  }
  return place;
}

function childAt(
  node: unknown,
  { step, source }: { readonly step: string | number; readonly source: YamlSource },
): unknown {
  if (isMap(node)) return source.pairsOf(node).get(String(step));
  return isSeq(node) ? node.items[Number(step)] : undefined;
}

function placeOf(
  child: unknown,
  { node, parent }: { readonly node: unknown; readonly parent: Place },
): Place {
  const valueOffset = startOf(node) ?? parent.valueOffset;
  if (!isPair(child)) return { keyOffset: valueOffset, valueOffset };
  const keyOffset = startOf(child.key) ?? valueOffset;
  // A value that isn't written has no place of its own; its key's place counts.
  const empty = node === null || (isScalar(node) && node.value === null && node.source === '');
  return { keyOffset, valueOffset: empty ? keyOffset : valueOffset };
}
