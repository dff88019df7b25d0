import { describeOrigin, type Origin } from './origin.ts';
import { workloadRefKey } from './workload.ts';

/** Of the labels of one workload. */
const MAX_TOLD = 10;

/** The closed list of mistakes a user can make; a code never changes its meaning. */
export type ProblemCode =
  | 'yaml-syntax'
  | 'file-unreadable'
  | 'file-empty'
  | 'unknown-key'
  | 'missing-key'
  | 'wrong-type'
  | 'invalid-value'
  | 'invalid-port'
  | 'invalid-address'
  | 'invalid-duration'
  | 'invalid-cron'
  | 'invalid-timezone'
  | 'invalid-url'
  | 'exclusive-keys'
  | 'duplicate-service'
  | 'duplicate-workload'
  | 'listen-conflict'
  | 'listen-failed'
  | 'host-conflict'
  | 'bad-certificate'
  | 'leads-back'
  | 'no-listener'
  | 'dependency-cycle'
  | 'unknown-dependant'
  | 'refused-dependant'
  | 'own-container'
  | 'option-without-effect'
  | 'restart-needed'
  | 'engine-unreachable'
  | 'stays-awake'
  | 'sleep-failed'
  | 'cannot-pause'
  | 'busy-check'
  | 'unknown-memory'
  | 'wake-failed'
  | 'missing-workload';

/** A mistake of the user's, as a value. An `error` refuses what it is about; a `warning` refuses nothing. */
export interface Problem {
  readonly code: ProblemCode;
  readonly severity: 'error' | 'warning';
  /** What could not be done, the value, and what would be right; begins with the field's path where there is one. */
  readonly message: string;
  readonly origin: Origin;
  /** How many problems it stands for, where it is more than one. */
  readonly counts?: number;
}

/** One line: `lazy-proxy.yaml:14:12 error ports[0]: "80:http" is not [address:]listen:target`. */
export function formatProblem(problem: Problem): string {
  return `${describeOrigin(problem.origin)} ${problem.severity} ${problem.message}`;
}

/** The same for a log line, which has a level of its own: `lazy-proxy.yaml:14:12: ports[0]: "80:http" is …`. */
export function formatProblemForLog({ origin, message }: Problem): string {
  return `${describeOrigin(origin)}: ${message}`;
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === 'error');
}

/**
 * The same problems, but of the labels of each workload the first ten, errors before warnings, and one that counts the others:
 * whoever writes labels must not fill log and memory. What stands elsewhere stays whole.
 */
export function boundProblems(problems: readonly Problem[]): readonly Problem[] {
  const byWorkload = new Map<string, Problem[]>();
  for (const problem of problems) {
    if (problem.origin.kind !== 'label') continue;
    const key = workloadRefKey(problem.origin.workload);
    const others = byWorkload.get(key);
    if (others === undefined) byWorkload.set(key, [problem]);
    else others.push(problem);
  }
  const cut = new Map<Problem, Problem | undefined>();
  for (const all of byWorkload.values()) for (const [index, shown] of cutProblems(all)) cut.set(index, shown);
  if (cut.size === 0) return problems;
  return problems.flatMap((problem) => {
    if (!cut.has(problem)) return [problem];
    const shown = cut.get(problem);
    return shown === undefined ? [] : [shown];
  });
}

/** The problems of a long list beyond its first ones, each with its replacement: one that counts them all for the first, none for the others. */
function cutProblems(all: readonly Problem[]): readonly (readonly [Problem, Problem | undefined])[] {
  if (all.length <= MAX_TOLD + 1) return [];
  const ordered = all.toSorted((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
  const rest = ordered.slice(MAX_TOLD);
  return rest.map((problem, index) => {
    if (index > 0) return [problem, undefined];
    // Counts what an earlier count stands for, too.
    const count = rest.reduce((sum, { counts = 1 }) => sum + counts, 0);
    return [problem, { ...problem, message: `and ${formatCount(count)} more`, counts: count }];
  });
}

/** A whole number with its thousands apart: `99,990`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}
