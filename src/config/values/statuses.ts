import type { StatusRange } from '../../model/service.ts';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';

const RANGE = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/;

/** Reads HTTP statuses: `204`, `"401"` or `"200-399,401"`. */
export function parseStatuses(raw: unknown): Parsed<readonly StatusRange[]> {
  const text = typeof raw === 'number' ? String(raw) : raw;
  const ranges = typeof text === 'string' ? text.split(',').map((part) => parseRange(part.trim())) : [];
  if (ranges.length === 0 || ranges.includes(undefined)) {
    const right = 'HTTP statuses from 100 to 599 such as "200-399,401"';
    return refuse('invalid-value', `${showValue(raw)} is not a list of ${right}`);
  }
  return accept(ranges.filter((range) => range !== undefined));
}

/** As it is written in the file: `200-399,401`. */
export function formatStatuses(ranges: readonly StatusRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

function parseRange(text: string): StatusRange | undefined {
  const [, from, to = from] = RANGE.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  return first <= last ? { first, last } : undefined;
}
