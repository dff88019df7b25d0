import {
  accept,
  type Fault,
  isMapping,
  type Parsed,
  parseList,
  type Reading,
  refuse,
  refuseAt,
  showSecret,
  WRONG_FORM,
} from './parsed.ts';

/** Reads program and arguments. */
export function parseCommand(raw: unknown): Reading<readonly string[]> {
  const result = parseList(raw, parseArgument);
  if (!result.ok) return result;
  const [program] = result.value;
  if (program === undefined)
    return refuse('invalid-value', 'the list is empty; it must begin with a program');
  return program === ''
    ? refuseAt([0], 'invalid-value', '"" is empty; the first entry is the program')
    : result;
}

/** The remedy for a command that is no list; what follows its program may be a secret. */
export function hintAtCommand(raw: unknown): string {
  if (typeof raw !== 'string') return '';
  const [program = 'program', ...rest] = raw.split(/\s+/).filter((word) => word !== '');
  return `; write [${program}${rest.length === 0 ? '' : ', …'}], one argument an entry`;
}

/** Reads environment variables. */
export function parseVariables(raw: unknown): Reading<Readonly<Record<string, string>>> {
  if (!isMapping(raw)) return WRONG_FORM;
  const values: [string, string][] = [];
  const faults: Fault[] = [];
  for (const [name, item] of Object.entries(raw)) {
    if (item === null) continue;
    if (!/^[^=\0]+$/.test(name)) {
      faults.push(refuseName(name));
      continue;
    }
    const parsed = parseVariableValue(item);
    if (parsed.ok) values.push([name, parsed.value]);
    else faults.push({ code: parsed.code, path: [name], message: parsed.message });
  }
  return faults.length === 0 && !Object.values(raw).includes(null)
    ? accept(Object.fromEntries(values))
    : { ok: false, faults };
}

/** What follows the wrong character may be the value, which no message shows. */
function refuseName(name: string): Fault {
  const [begun = ''] = name.split(/[=\0]/, 1);
  const message = `a name holds no = and no NUL character; write ${begun === '' ? 'name' : begun}: value`;
  return { code: 'invalid-value', path: [], message };
}

/** Reads the directory that a program starts in: text that an operating system takes as a path. */
export function parseDirectory(raw: unknown): Parsed<string> {
  const parsed = parseArgument(raw);
  return parsed.ok && parsed.value === ''
    ? refuse('invalid-value', '"" is empty; write a directory')
    : parsed;
}

/** Reads text without NUL. It may be a secret: no message shows it. */
function parseArgument(raw: unknown): Parsed<string> {
  if (typeof raw === 'number' || typeof raw === 'boolean') {
    return refuse('wrong-type', `a ${typeof raw} is not text; write it in quotes`);
  }
  if (typeof raw !== 'string') return refuse('wrong-type', `${showSecret(raw)} is not text`);
  return raw.includes('\0') ? refuse('invalid-value', 'the text holds a NUL character') : accept(raw);
}

/** Reads the value of an environment variable; numbers and booleans become text. It may be a secret: no message shows it. */
function parseVariableValue(raw: unknown): Parsed<string> {
  const finite = typeof raw === 'number' ? Number.isFinite(raw) : typeof raw === 'boolean';
  if (finite) return accept(String(raw));
  if (typeof raw !== 'string') return refuse('wrong-type', `${showSecret(raw)} is not text`);
  return raw.includes('\0') ? refuse('invalid-value', 'the value holds a NUL character') : accept(raw);
}
