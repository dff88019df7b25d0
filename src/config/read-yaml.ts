import { type Document, isAlias, LineCounter, parseDocument, visit } from 'yaml';
import type { Origin } from '../model/origin.ts';
import type { Problem, ProblemCode } from '../model/problem.ts';
import type { Path } from './path.ts';
import { createPlaceFinder } from './yaml-source.ts';

/** The origin of the value at a path, or of the key it stands under. */
export type LocateOrigin = (path: Path, at: 'key' | 'value') => Origin;

export interface YamlReading {
  /** The whole file as plain values, aliases and merge keys resolved; undefined when it can't be read on. */
  readonly root: unknown;
  readonly locate: LocateOrigin;
  readonly problems: readonly Problem[];
}

/** Far above what a file of ten thousand services with one anchor needs, far below what an alias bomb does. */
const MAX_ALIAS_COUNT = 200_000;

/** Parses YAML 1.2 with merge keys; mistakes of syntax become problems with their place. */
export function readYaml({ text, file }: { readonly text: string; readonly file: string }): YamlReading {
  const lineCounter = new LineCounter();
  const doc = parseDocument(text, { lineCounter, merge: true, prettyErrors: false });
  const originAt = (offset: number): Origin => {
    const { line, col } = lineCounter.linePos(offset);
    return { kind: 'file', file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const find = createPlaceFinder(doc);
  const locate: LocateOrigin = (path, at) => {
    const place = find(path);
    return originAt(at === 'key' ? place.keyOffset : place.valueOffset);
  };
  const problems = [...syntaxProblems(doc, originAt), ...aliasProblems(doc, originAt)];
  // After anything but a key given twice, what follows is a guess of the parser's.
  const readable = doc.errors.every(({ code }) => code === 'DUPLICATE_KEY') && !problems.some(isBadAlias);
  if (!readable) return { root: undefined, locate, problems };
  if (doc.contents === null) {
    const message = 'the file is empty; write "services: {}" if no service is meant';
    return { root: undefined, locate, problems: [...problems, error('file-empty', message, originAt(0))] };
  }
  try {
    return { root: doc.toJS({ maxAliasCount: MAX_ALIAS_COUNT }), locate, problems };
  } catch (cause) {
    const message = `the aliases can't be resolved: ${cause instanceof Error ? cause.message : String(cause)}`;
    return { root: undefined, locate, problems: [...problems, error('yaml-syntax', message, originAt(0))] };
  }
}

function syntaxProblems(doc: Document, originAt: (offset: number) => Origin): readonly Problem[] {
  const errors = doc.errors.map((issue) => {
    const message =
      issue.code === 'DUPLICATE_KEY' ? 'this key is given twice; keep one of them' : describe(issue);
    return error('yaml-syntax', message, originAt(issue.pos[0]));
  });
  const warnings = doc.warnings.map(
    (issue): Problem => ({
      ...error('yaml-syntax', describe(issue), originAt(issue.pos[0])),
      severity: 'warning',
    }),
  );
  return [...errors, ...warnings];
}

function describe(issue: { readonly code: string; readonly message: string }): string {
  if (issue.code === 'MULTIPLE_DOCS') return 'the file holds several YAML documents; only one is read';
  return `not valid YAML: ${issue.message}`;
}

function aliasProblems(doc: Document, originAt: (offset: number) => Origin): readonly Problem[] {
  const problems: Problem[] = [];
  visit(doc, {
    Alias(_key, alias) {
      if (isAlias(alias) && alias.resolve(doc) === undefined) {
        const message = `*${alias.source} has no anchor; write &${alias.source} at an earlier value`;
        problems.push(error('yaml-syntax', message, originAt(alias.range?.[0] ?? 0)));
      }
    },
  });
  return problems;
}

function isBadAlias(problem: Problem): boolean {
  return problem.message.startsWith('*');
}

function error(code: ProblemCode, message: string, origin: Origin): Problem {
  return { code, severity: 'error', message, origin };
}
