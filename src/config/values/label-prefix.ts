import type { LabelPrefixes } from '../../model/label-names.ts';
import { accept, faultsOf, type Parsed, parseList, type Reading, refuse, showValue } from './parsed.ts';

/** What begins labels, for messages. */
export const LABEL_PREFIX_EXPECTED = 'a prefix such as lazy-proxy, or a list of them';

/** What can begin the key of an annotation or label, before the dot. */
const PREFIX = /^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$/;

/** Reads one prefix or a list of them, which the labels of a workload may begin with. */
export function parseLabelPrefixes(raw: unknown): Reading<LabelPrefixes> {
  if (!Array.isArray(raw)) {
    const one = parsePrefix(raw);
    return one.ok ? accept([one.value]) : one;
  }
  const list = parseList(raw, parsePrefix);
  if (!list.ok) return list;
  const [first, ...others] = list.value;
  if (first === undefined)
    return refuse('invalid-value', '[] names no prefix; labels: false leaves the labels out');
  const faults = list.value.flatMap((prefix, index) => {
    const message = describeClash(prefix, list.value.slice(0, index));
    return message === undefined ? [] : [{ code: 'invalid-value' as const, path: [index], message }];
  });
  return faults.length === 0 ? accept([first, ...others]) : { ok: false, faults };
}

/** Reads one prefix, or several with commas between them. */
export function parseLabelPrefixText(text: string): Parsed<LabelPrefixes> {
  const items = text.split(',').map((item) => item.trim());
  const prefixes = items.filter((item) => item !== '');
  if (prefixes.length === 0)
    return refuse('invalid-value', `${showValue(text)} names no prefix; --no-labels leaves the labels out`);
  const reading = parseLabelPrefixes(prefixes);
  if (reading.ok) return reading;
  const messages = faultsOf(reading).map(({ message }) => message);
  return refuse('invalid-value', messages.join('; '));
}

function parsePrefix(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && PREFIX.test(raw)) return accept(raw);
  return refuse('invalid-value', `${showValue(raw)} is not a prefix such as lazy-proxy; ${adviseOn(raw)}`);
}

function adviseOn(raw: unknown): string {
  if (typeof raw === 'number') return `write "${raw}"`;
  if (typeof raw !== 'string') return 'write a list for several';
  const text = raw.trim();
  const parts = text.split(/[\s,]+/).filter((part) => part !== '');
  if (parts.length > 1 && parts.every((part) => PREFIX.test(part))) return `write [${parts.join(', ')}]`;
  const bare = text.replace(/\.(\*|enabled)?$/, '');
  if (bare !== raw && PREFIX.test(bare)) return `write "${bare}"`;
  return 'it takes letters and digits, and between them ".", "_", "-" and "/"';
}

/** A label must belong to one prefix alone. */
function describeClash(prefix: string, earlier: readonly string[]): string | undefined {
  if (earlier.includes(prefix)) return `"${prefix}" is there already; leave it out`;
  const other = earlier.find((one) => prefix.startsWith(`${one}.`) || one.startsWith(`${prefix}.`));
  if (other === undefined) return undefined;
  const longer = prefix.length > other.length ? prefix : other;
  return `"${prefix}" and "${other}" can't stand together, because ${longer}.ports would be a label of both; leave one of them out`;
}
