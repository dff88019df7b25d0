import { describeOrigin, type Origin } from './origin.ts';

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
  | 'no-listener'
  | 'dependency-cycle'
  | 'unknown-dependant'
  | 'refused-dependant'
  | 'own-container'
  | 'option-without-effect'
  | 'restart-needed'
  | 'engine-unreachable'
  | 'stays-awake';

/** A mistake of the user's, as a value. An `error` refuses what it is about; a `warning` refuses nothing. */
export interface Problem {
  readonly code: ProblemCode;
  readonly severity: 'error' | 'warning';
  /** What could not be done, the value, and what would be right; begins with the field's path where there is one. */
  readonly message: string;
  readonly origin: Origin;
}

/** One line: `lazy-proxy.yaml:14:12 error ports[0]: "80:http" is not [address:]listen:target`. */
export function formatProblem(problem: Problem): string {
  return `${describeOrigin(problem.origin)} ${problem.severity} ${problem.message}`;
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === 'error');
}
