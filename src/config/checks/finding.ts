import type { Problem, ProblemCode } from '../../model/problem.ts';
import { formatPath, type Path } from '../yaml/path.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';

/** A mistake in a file before it has a position. */
export interface Finding {
  readonly code: ProblemCode;
  readonly severity: Problem['severity'];
  readonly path: Path;
  /** Whether the key or the value is what is wrong. */
  readonly at: 'key' | 'value';
  /** Without the path. */
  readonly message: string;
}

/** An error at a value. */
export function valueError(path: Path, code: ProblemCode, message: string): Finding {
  return { code, severity: 'error', path, at: 'value', message };
}

/** An error at a key. */
export function keyError(path: Path, code: ProblemCode, message: string): Finding {
  return { code, severity: 'error', path, at: 'key', message };
}

/** A warning at a value or key. */
export function warning(
  path: Path,
  options: { readonly code: ProblemCode; readonly at: Finding['at']; readonly message: string },
): Finding {
  return { ...options, severity: 'warning', path };
}

/** A warning at a key that does nothing, or less than it seems to. */
export function uselessKey(path: Path, message: string): Finding {
  return warning(path, { code: 'option-without-effect', at: 'key', message });
}

/** Adds the position, and the path in front of the message. */
export function toProblem(finding: Finding, locate: LocateOrigin): Problem {
  const place = formatPath(finding.path);
  return {
    code: finding.code,
    severity: finding.severity,
    message: place === '' ? finding.message : `${place}: ${finding.message}`,
    origin: locate(finding.path, finding.at),
  };
}

/** Sorts by position, then by message, and leaves out repetitions: a mistake in an anchor is found at each use of it. */
export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  const sorted = problems.toSorted(
    (a, b) => lineOf(a) - lineOf(b) || columnOf(a) - columnOf(b) || (a.message < b.message ? -1 : 1),
  );
  const seen = new Set<string>();
  return sorted.filter((problem) => {
    const key = JSON.stringify([lineOf(problem), columnOf(problem), problem.severity, problem.message]);
    return !seen.has(key) && seen.add(key);
  });
}

function lineOf({ origin }: Problem): number {
  return origin.kind === 'file' ? origin.line : 0;
}

function columnOf({ origin }: Problem): number {
  return origin.kind === 'file' ? origin.column : 0;
}
