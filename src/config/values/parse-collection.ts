import { type Fault, type FieldResult, failField } from './field-result.ts';
import { isMapping, type Parsed, showValue } from './parsed.ts';
import { parseArgument, parseVariableValue } from './text.ts';

/** Reads a list; the mistakes of all its entries at once. */
export function parseList<T>(
  raw: unknown,
  parseItem: (item: unknown) => Parsed<T>,
): FieldResult<readonly T[]> {
  if (!Array.isArray(raw))
    return failField([], 'wrong-type', `${showValue(raw)} is not a list${listHint(raw)}`);
  const values: T[] = [];
  const faults: Fault[] = [];
  raw.forEach((item: unknown, index) => {
    const parsed = item === null ? missingItem() : parseItem(item);
    if (parsed.ok) values.push(parsed.value);
    else faults.push({ code: parsed.code, path: [index], message: parsed.message });
  });
  return faults.length === 0 ? { ok: true, value: values } : { ok: false, faults };
}

/** Reads program and arguments. */
export function parseCommand(raw: unknown): FieldResult<readonly string[]> {
  if (typeof raw === 'string') {
    const words = raw.split(/\s+/).filter((word) => word !== '');
    return failField([], 'wrong-type', `${showValue(raw)} is not a list; write [${words.join(', ')}]`);
  }
  const result = parseList(raw, parseArgument);
  if (!result.ok) return result;
  const [program] = result.value;
  if (program === undefined)
    return failField([], 'invalid-value', 'the list is empty; it must begin with a program');
  return program === ''
    ? failField([0], 'invalid-value', '"" is empty; the first entry is the program')
    : result;
}

/** Reads environment variables. */
export function parseVariables(raw: unknown): FieldResult<Readonly<Record<string, string>>> {
  if (!isMapping(raw)) {
    return failField(
      [],
      'wrong-type',
      `${showValue(raw)} is not a mapping; write name: value, one variable a line`,
    );
  }
  const values: [string, string][] = [];
  const faults: Fault[] = [];
  for (const [name, item] of Object.entries(raw)) {
    const parsed = /^[^=\0]+$/.test(name) ? parseVariableItem(item) : badVariableName(name);
    if (parsed.ok) values.push([name, parsed.value]);
    else faults.push({ code: parsed.code, path: [name], message: parsed.message });
  }
  return faults.length === 0 ? { ok: true, value: Object.fromEntries(values) } : { ok: false, faults };
}

function parseVariableItem(item: unknown): Parsed<string> {
  return item === null
    ? { ok: false, code: 'wrong-type', message: 'has no value; write "" for an empty one' }
    : parseVariableValue(item);
}

function badVariableName(name: string): Parsed<never> {
  return {
    ok: false,
    code: 'invalid-value',
    message: `${showValue(name)} is not the name of an environment variable`,
  };
}

function missingItem(): Parsed<never> {
  return { ok: false, code: 'wrong-type', message: 'has no value; remove the entry' };
}

function listHint(raw: unknown): string {
  if (typeof raw === 'string') return `; write [${JSON.stringify(raw)}]`;
  return typeof raw === 'number' ? `; write ["${raw}:${raw}"] for a port` : '';
}
