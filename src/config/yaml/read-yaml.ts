import { type Document, LineCounter, parseDocument } from 'yaml';
import type { Origin } from '../../model/origin.ts';
import type { Problem, ProblemCode } from '../../model/problem.ts';
import type { Path } from './path.ts';
import { createYamlSource, findRepeatedKeys } from './yaml-source.ts';
import { toValues } from './yaml-values.ts';

/** The origin of the value at a path, or of the key it stands under. */
export type LocateOrigin = (path: Path, at: 'key' | 'value') => Origin;

export interface YamlReading {
  /** The whole file as plain values, aliases and merge keys resolved; undefined if it is no usable YAML. */
  readonly root: unknown;
  readonly locate: LocateOrigin;
  readonly problems: readonly Problem[];
}

type OriginAt = (offset: number) => Origin;

/** Parses YAML 1.2 with merge keys; mistakes of syntax become problems with their place. */
export function readYaml(input: { readonly text: string; readonly file: string }): YamlReading {
  try {
    return readDocument(input);
  } catch (cause) {
    // The parser is recursive: thousands of nested levels overflow its stack.
    const origin: Origin = { kind: 'file', file: input.file, line: 1, column: 1 };
    const message = `the file can't be read as YAML: ${cause instanceof Error ? cause.message : String(cause)}`;
    return { root: undefined, locate: () => origin, problems: [error('yaml-syntax', { message, origin })] };
  }
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
  const originAt: OriginAt = (offset) => {
    const { line, col } = lineCounter.linePos(offset);
    return { kind: 'file', file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const source = createYamlSource(doc);
  const locate: LocateOrigin = (path, at) => {
    const place = source.findPlace(path);
    return originAt(at === 'key' ? place.keyOffset : place.valueOffset);
  };
  const problems = syntaxProblems(doc, { text, originAt });
  // A key that is given twice is harmless to the parser. After any other mistake it can only guess.
  if (doc.errors.length > 0) return { root: undefined, locate, problems };
  if (doc.contents === null) {
    const message = 'the file is empty; write "services: {}" if no service is meant';
    const empty = error('file-empty', { message, origin: originAt(0) });
    return { root: undefined, locate, problems: [...problems, empty] };
  }
  const { value, issues } = toValues(doc, source);
  if (issues.length === 0) return { root: value, locate, problems };
  const found = issues.map(({ offset, message }) =>
    error('yaml-syntax', { message, origin: originAt(offset) }),
  );
  return { root: undefined, locate, problems: [...problems, ...found] };
}

function syntaxProblems(
  doc: Document,
  { text, originAt }: { readonly text: string; readonly originAt: OriginAt },
): readonly Problem[] {
  const toProblem = (issue: Document['errors'][number] | Document['warnings'][number]) =>
    error('yaml-syntax', { message: describe(issue), origin: originAt(issue.pos[0]) });
  const warnings = doc.warnings.map((issue): Problem => ({ ...toProblem(issue), severity: 'warning' }));
  const repeated = findRepeatedKeys(doc).map((offset) =>
    error('yaml-syntax', { message: describeRepeated(offset, text), origin: originAt(offset) }),
  );
  return [...doc.errors.map(toProblem), ...repeated, ...warnings];
}

function describeRepeated(offset: number, text: string): string {
  const key = /^["']?([^\s:"']+)/.exec(text.slice(offset, offset + 100))?.[1];
  return `${key === undefined ? 'this key' : `the key "${key}"`} is given twice; keep one of them`;
}

function describe(issue: { readonly code: string; readonly message: string }): string {
  return issue.code === 'MULTIPLE_DOCS'
    ? 'the file holds several YAML documents; only one is read'
    : `not valid YAML: ${issue.message}`;
}

function error(
  code: ProblemCode,
  { message, origin }: { readonly message: string; readonly origin: Origin },
): Problem {
  return { code, severity: 'error', message, origin };
}
