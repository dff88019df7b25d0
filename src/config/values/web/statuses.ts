import type { StatusRange } from '../../../model/service.ts';
import { accept, type Parsed, parseList, type Reading, refuse, showValue } from '../parsed.ts';

const RANGE = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/;

/** What HTTP statuses look like, for messages. */
export const STATUSES_EXPECTED = 'HTTP statuses such as "200-399,401" or ["200-399", 401]';

/** Reads HTTP statuses: `204`, `"401"`, `"200-399,401"` or, in the file, a list of these. */
export function parseStatuses(raw: unknown): Reading<readonly StatusRange[]> {
  if (!Array.isArray(raw)) return parseText(raw);
  if (raw.length === 0) return refuse('invalid-value', `the list is empty; write ${STATUSES_EXPECTED}`);
  const listed = parseList(raw, parseText);
  return listed.ok ? accept(listed.value.flat()) : listed;
}

function parseText(raw: unknown): Parsed<readonly StatusRange[]> {
  const text = typeof raw === 'number' ? String(raw) : raw;
  const ranges = typeof text === 'string' ? text.split(',').map((part) => parseRange(part.trim())) : [];
  if (ranges.length === 0 || ranges.includes(undefined)) {
    const right = 'HTTP statuses from 100 to 599, such as 204, "200-399,401" or ["200-399", 401]';
    return refuse('invalid-value', `${showValue(raw)} is none of the ${right}`);
  }
  return accept(ranges.filter((range) => range !== undefined));
}

function parseRange(text: string): StatusRange | undefined {
  const [, from, to = from] = RANGE.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  return first <= last ? { first, last } : undefined;
}
