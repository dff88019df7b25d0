import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, type YAMLMap } from 'yaml';
import { isMergeKey, mergeSources, startOf, type YamlSource } from './yaml-source.ts';
import { HIDDEN_MESSAGE, HIDDEN_SECRET } from '../secrets.ts';

/** Something in a document that can't be turned into a value. */
export interface ValueIssue {
  readonly offset: number;
  readonly message: string;
  /** Where the message shows what may be a secret: what to say instead. Absent = it shows none. */
  readonly discreet?: string;
}

/** Far more values than a file of ten thousand services has, and far fewer than an alias bomb unfolds to. */
const MAX_VALUES = 5_000_000;

/** Mappings of more keys than a service has hardly ever have their keys in common. */
const MAX_SHAPED_KEYS = 64;

interface Converted {
  readonly value: unknown;
  /** How many values it holds when aliases are unfolded. */
  readonly size: number;
}

const NOTHING: Converted = { value: null, size: 1 };
const NAMELESS_ANCHOR =
  'what begins with * names an anchor, and there is none of this name; write it in quotes if it is text';

/** Turns a document into plain values; aliases share one value. If there are issues, the value must not be used. */
export function toValues(
  doc: Document,
  source: YamlSource,
): { readonly value: unknown; readonly issues: readonly ValueIssue[] } {
  const issues: ValueIssue[] = [];
  const done = new Map<unknown, Converted | 'open'>();
  let merged = 0;
  const convert = (node: unknown): Converted => {
    const target = source.resolve(node);
    if (isAlias(node) && target === undefined) {
      issues.push({ offset: startOf(node) ?? 0, ...describeMissingAnchor(node) });
      return NOTHING;
    }
    const known = done.get(target);
    if (known === 'open') return fail(node, 'an alias to what it stands in has no end');
    if (known !== undefined) return known;
    done.set(target, 'open');
    const converted = convertNode(target);
    done.set(target, converted);
    return converted;
  };
  const convertNode = (node: unknown): Converted => {
    if (isMap(node)) {
      issues.push(...findBadMerges(node, source));
      // What is merged is copied: a chain of merges grows with the square of its length.
      if (merged > MAX_VALUES) return { value: null, size: merged };
      const pairs = source.pairsOf(node);
      merged += Math.max(0, pairs.size - node.items.length);
      const entries = [...pairs].map(([key, pair]) => [key, convert(pair.value)] as const);
      return join(
        entries.map(([, { size }]) => size),
        toObject(entries.map(([key, { value }]) => [key, value])),
      );
    }
    if (isSeq(node)) {
      const items = node.items.map(convert);
      return join(
        items.map(({ size }) => size),
        items.map(({ value }) => value),
      );
    }
    return { value: isScalar(node) ? node.value : null, size: 1 };
  };
  const fail = (node: unknown, message: string): Converted => {
    issues.push({ offset: startOf(node) ?? 0, message });
    return NOTHING;
  };
  const { value, size } = convert(doc.contents);
  if (size > MAX_VALUES)
    issues.push({ offset: 0, message: `its aliases unfold to more than ${MAX_VALUES} values` });
  return { value, issues };
}

/** V8 would keep a shape for each of the keys that no other object has: for a chain of merges, gigabytes of them. */
function toObject(entries: readonly (readonly [string, unknown])[]): Readonly<Record<string, unknown>> {
  if (entries.length <= MAX_SHAPED_KEYS) return Object.fromEntries(entries);
  const table = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of entries) table[key] = value;
  return Object.setPrototypeOf(table, Object.prototype) as Record<string, unknown>;
}

function join(sizes: readonly number[], value: unknown): Converted {
  return { value, size: sizes.reduce((sum, size) => sum + size, 1) };
}

function describeMissingAnchor({ source }: Alias): Pick<ValueIssue, 'message' | 'discreet'> {
  if (`*${source}` === HIDDEN_SECRET) return { message: HIDDEN_MESSAGE };
  // A host below any name; who names an anchor begins it with a letter.
  const remedy = source.startsWith('.')
    ? `what begins with * needs quotes: write "*${source}"`
    : `write &${source} at an earlier value`;
  return {
    message: `*${source} has no anchor; ${remedy}`,
    discreet: NAMELESS_ANCHOR,
  };
}

/** The aliases among what a merge key names. */
function aliasesOf(value: unknown): readonly Alias[] {
  return (isSeq(value) ? value.items : [value]).filter((item) => isAlias(item));
}

function findBadMerges(map: YAMLMap, source: YamlSource): readonly ValueIssue[] {
  return map.items
    .filter(({ key }) => isMergeKey(key))
    .flatMap((pair) => {
      const sources = mergeSources(pair, source);
      const offset = startOf(pair.value) ?? startOf(pair.key) ?? 0;
      if (sources.includes(map)) return [{ offset, message: "<<: a mapping can't be merged into itself" }];
      const missing = aliasesOf(pair.value).filter((alias) => source.resolve(alias) === undefined);
      if (missing.length > 0) {
        return missing.map((alias) => ({
          offset: startOf(alias) ?? offset,
          ...describeMissingAnchor(alias),
        }));
      }
      const wrong = sources.some((merged) => !isMap(merged));
      return wrong
        ? [{ offset, message: '<<: only a mapping, an alias to one, or a list of these can be merged' }]
        : [];
    });
}
