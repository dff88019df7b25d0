import { type Document, LineCounter, parseDocument } from 'yaml';
import type { FileOrigin, Origin } from '../../model/origin.ts';
import type { Problem, ProblemCode } from '../../model/problem.ts';
import { showUrls } from '../../model/text/show-url.ts';
import { showValue } from '../values/parsed.ts';
import type { Path } from './path.ts';
import { createSecretLines } from './secret-lines.ts';
import { createYamlSource, findRepeatedKeys } from './yaml-source.ts';
import { toValues } from './yaml-values.ts';

/** The origin of the value at a path, or of the key it stands under. */
export type LocateOrigin = (path: Path, at: 'key' | 'value') => FileOrigin;

export interface YamlReading {
  /** The whole file as plain values, aliases and merge keys resolved; undefined if it is no usable YAML. */
  readonly root: unknown;
  readonly locate: LocateOrigin;
  readonly problems: readonly Problem[];
}

/** Makes a mistake at an offset. */
type Complain = (offset: number, words: Words) => Problem;

interface Words {
  readonly message: string;
  /** Where the message shows something of the file: what to say where that may be a secret. Absent = it shows nothing. */
  readonly discreet?: string;
}

/** Parses YAML 1.2 with merge keys; mistakes of syntax become problems with their place. */
export function readYaml(input: { readonly text: string; readonly file: string }): YamlReading {
  try {
    return readDocument(input);
  } catch (cause) {
    // The parser is recursive: thousands of nested levels overflow its stack.
    const origin: FileOrigin = { kind: 'file', file: input.file, line: 1, column: 1 };
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = isOverflow(reason) ? TOO_DEEP : `the file can't be read as YAML: ${reason}`;
    return { root: undefined, locate: () => origin, problems: [error('yaml-syntax', { message, origin })] };
  }
}

const TOO_DEEP = 'the file is nested too deeply';

function isOverflow(message: string): boolean {
  return message.includes('Maximum call stack');
}

function readDocument({ text, file }: { readonly text: string; readonly file: string }): YamlReading {
  const lineCounter = new LineCounter();
  const doc = parseDocument(text, {
    lineCounter,
    merge: true,
    prettyErrors: false,
    // The library compares each key with all before it; findRepeatedKeys() takes linear time.
    uniqueKeys: false,
  });
  const originAt = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset);
    return { kind: 'file', file, line: Math.max(1, line), column: Math.max(1, col) } as const;
  };
  const mayHoldSecret = createSecretLines(text);
  const complain: Complain = (offset, { message, discreet }) => {
    const origin = originAt(offset);
    const shown = discreet !== undefined && mayHoldSecret(origin.line) ? discreet : message;
    return error('yaml-syntax', { message: shown, origin });
  };
  const source = createYamlSource(doc);
  const locate: LocateOrigin = (path, at) => {
    const place = source.findPlace(path);
    return originAt(at === 'key' ? place.keyOffset : place.valueOffset);
  };
  const problems = syntaxProblems(doc, { text, complain });
  // A key that is given twice is harmless to the parser. After any other mistake it can only guess.
  if (doc.errors.length > 0) return { root: undefined, locate, problems };
  if (doc.contents === null) {
    const message = 'the file is empty; write "services: {}" if no service is meant';
    const empty = error('file-empty', { message, origin: originAt(0) });
    return { root: undefined, locate, problems: [...problems, empty] };
  }
  const { value, issues } = toValues(doc, source);
  if (issues.length === 0) return { root: value, locate, problems };
  const found = issues.map(({ offset, ...words }) => complain(offset, words));
  return { root: undefined, locate, problems: [...problems, ...found] };
}

function syntaxProblems(
  doc: Document,
  { text, complain }: { readonly text: string; readonly complain: Complain },
): readonly Problem[] {
  // The parser notices the end of its stack itself and goes on; what it says after that is of no use.
  if (doc.errors.some(({ message }) => isOverflow(message))) {
    return [complain(0, { message: TOO_DEEP })];
  }
  const toProblem = (issue: Document['errors'][number] | Document['warnings'][number]) => {
    const slip = findSlip(text, issue.pos[0]);
    return complain(slip?.offset ?? issue.pos[0], slip ?? describe(issue));
  };
  const warnings = doc.warnings.map((issue): Problem => ({ ...toProblem(issue), severity: 'warning' }));
  const repeated = findRepeatedKeys(doc).map((offset) =>
    complain(offset, { message: describeRepeated(offset, text) }),
  );
  return [...doc.errors.map(toProblem), ...repeated, ...warnings];
}

/** So much of a line is looked at for a slip: thousands of mistakes in one long line must not take quadratic time. */
const MAX_LINE_LENGTH = 1_000;
const STAR_SLIP = 'what begins with * needs quotes';
const UNQUOTED_STAR = /^(\s*(?:- +)?["']?[\w-]+["']?:\s+)(\*(?:$|[\s/,\d-].*))$/;
const NO_SPACE_AFTER_COLON = /^(\s*(?:- +)?)([a-z][a-z_]*):([^\s/].*)$/;
const NO_SPACE_AFTER_DASH = /^(\s*)-(["'[{\w].*)$/;

/** Finds the slip on a line with a syntax error that the parser describes by its consequences. */
function findSlip(text: string, offset: number): (Words & { readonly offset: number }) | undefined {
  const from = Math.max(0, offset - MAX_LINE_LENGTH);
  const begun = text.slice(from, offset);
  const start = from + begun.lastIndexOf('\n') + 1;
  if (start === from && from > 0) return undefined;
  const line = (text.slice(start, start + MAX_LINE_LENGTH).split('\n', 1)[0] ?? '').trimEnd();
  const tell = (before: string, { slip, remedy }: { readonly slip: string; readonly remedy: string }) => {
    const discreet = `not valid YAML: ${slip}`;
    return { message: `${discreet}; write ${remedy}`, discreet, offset: start + before.length };
  };
  const star = UNQUOTED_STAR.exec(line);
  if (star !== null) {
    const [, before = '', value = ''] = star;
    const shown = value.replace(/\s+#.*$/, '');
    return tell(before, { slip: STAR_SLIP, remedy: showValue(shown) });
  }
  const dash = NO_SPACE_AFTER_DASH.exec(line);
  if (dash !== null) {
    const [, before = '', rest = ''] = dash;
    return tell(before, { slip: 'a space is missing after the dash', remedy: `- ${showUrls(rest)}` });
  }
  const colon = NO_SPACE_AFTER_COLON.exec(line);
  if (colon === null) return undefined;
  const [, before = '', key = '', rest = ''] = colon;
  return tell(before, { slip: 'a space is missing after the colon', remedy: `${key}: ${showUrls(rest)}` });
}

function describeRepeated(offset: number, text: string): string {
  const key = /^["']?([^\s:"']+)/.exec(text.slice(offset, offset + 100))?.[1];
  return `${key === undefined ? 'this key' : `the key "${key}"`} is given twice; keep one of them`;
}

function describe({ code, message }: { readonly code: string; readonly message: string }): Words {
  if (code === 'MULTIPLE_DOCS') return { message: 'the file holds several YAML documents; only one is read' };
  if (code === 'BAD_ALIAS' && message.includes('empty string'))
    return { message: `not valid YAML: ${STAR_SLIP}` };
  // `!/metrics` in a list of paths.
  const [, path] = /^Unresolved tag: (!\/.*)$/s.exec(message) ?? [];
  if (path !== undefined) {
    const discreet = 'not valid YAML: what begins with ! needs quotes';
    return { message: `${discreet}; write ${showValue(path)}`, discreet };
  }
  // Many of the parser's messages end with what it has found.
  const kind = code.toLowerCase().replaceAll('_', ' ');
  return {
    message: `not valid YAML: ${message}`,
    discreet: `not valid YAML (${kind}); write text in quotes`,
  };
}

function error(
  code: ProblemCode,
  { message, origin }: { readonly message: string; readonly origin: Origin },
): Problem {
  return { code, severity: 'error', message, origin };
}
