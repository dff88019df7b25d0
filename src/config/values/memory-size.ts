import { formatMemory } from '../../model/text/memory-size.ts';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';

/** As `formatMemory()` writes it, and Compose. */
export const MEMORY_EXPECTED = 'an amount of memory such as 512MiB or 2GiB';

/** Powers of 1024, as Docker and Compose count them, too. */
const UNITS: Readonly<Record<string, number>> = { '': 0, b: 0, k: 1, m: 2, g: 3, t: 4 };

/** Reads an amount of memory: a whole number of bytes, or one with a unit: `2GiB`, `512m`. */
export function parseMemory(raw: unknown): Parsed<number> {
  if (typeof raw === 'number' && Number.isSafeInteger(raw) && raw >= 1) return accept(raw);
  const found = typeof raw === 'string' ? WRITTEN.exec(raw) : null;
  if (found === null) return refuse('invalid-value', `${showValue(raw)} is not ${MEMORY_EXPECTED}`);
  const [, digits = '', unit = ''] = found;
  return accept(Math.round(Number(digits) * 1024 ** (UNITS[unit.toLowerCase()] ?? 0)));
}

/** Of an amount in which nothing runs: a number without its unit was meant. Undefined for others. */
export function describeTooLittle(bytes: number): string | undefined {
  if (bytes >= 1024 ** 2) return undefined;
  return `${formatMemory(bytes)} is less than any program takes; a number alone means bytes: did you mean "${bytes % 1024 === 0 ? bytes / 1024 : bytes}MiB"?`;
}

/** As in the schema. */
const WRITTEN = /^\s*([1-9]\d{0,11}(?:\.\d{1,6})?)\s*([bBkKmMgGtT]?)([iI]?[bB])?\s*$/;
