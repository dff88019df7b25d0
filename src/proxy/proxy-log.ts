import { describePlan, type IsBound } from '../apply/describe-plan.ts';
import type { Plan } from '../model/change.ts';
import { formatProblem, formatProblemForLog, type Problem } from '../model/problem.ts';
import type { Settings } from '../model/settings.ts';
import type { Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';

/** A mistake in a workload's labels is logged at most once in this time: the workload may come and go many times a second. */
const RETELL_MS = 60_000;

/** Logs each problem when it appears, and again only after it had disappeared. */
export class ProblemLog {
  readonly #logger: Logger;
  readonly #shown: RecentTexts;
  readonly #repeated: RecentTexts;
  #known = new Set<string>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#shown = new RecentTexts(clock);
    this.#repeated = new RecentTexts(clock);
  }

  /** Takes all problems of this moment and logs those that are new. */
  show(problems: readonly Problem[]): void {
    const lines = new Map(problems.map((problem) => [formatProblem(problem), problem]));
    for (const [line, problem] of lines) {
      if (this.#known.has(line)) continue;
      if (problem.origin.kind !== 'label' || this.#shown.isNew(line)) this.#log(problem);
    }
    this.#known = new Set(lines.keys());
  }

  /** Logs the problems of one workload again, once a minute at most. */
  repeat(key: string, problems: readonly Problem[]): void {
    if (!this.#repeated.isNew(key)) return;
    for (const problem of problems) this.#log(problem);
  }

  #log(problem: Problem): void {
    const { code, severity } = problem;
    const level = severity === 'error' ? 'error' : 'warn';
    this.#logger[level]({ event: 'problem', code }, formatProblemForLog(problem));
  }
}

/** Texts that came up within the last minute; older ones are forgotten. */
class RecentTexts {
  readonly #clock: Clock;
  /** By text, when it came up, on the monotonic clock; the oldest first. */
  readonly #sinceMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remembers a text; false if it was remembered already. */
  isNew(text: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    for (const [old, sinceMs] of this.#sinceMs) {
      if (nowMs - sinceMs < RETELL_MS) break;
      this.#sinceMs.delete(old);
    }
    if (this.#sinceMs.has(text)) return false;
    this.#sinceMs.set(text, nowMs);
    return true;
  }
}

/** Why a plan was made. */
export interface PlanCause {
  /** For the log: a file, or whose labels have changed. */
  readonly what: string;
  /** Somebody asked for the reload and waits for an answer, even if nothing has changed. */
  readonly isAwaited: boolean;
  /** The file was refused before, and is valid again. */
  readonly isMended?: boolean;
}

/** Logs one line about a plan that was applied; to be called when its listeners are bound or have failed to bind. */
export function logPlan(
  plan: Plan,
  options: {
    readonly logger: Logger;
    readonly cause: PlanCause;
    readonly isBound: IsBound;
    /** The settings of the proxy that have changed, by their names in the file. */
    readonly settings: readonly string[];
  },
): void {
  const { logger, cause, isBound, settings } = options;
  const isSame = plan.length === 0 && settings.length === 0;
  const level = isSame && !cause.isAwaited ? 'debug' : 'info';
  const mended = cause.isMended === true ? 'good again, in force; ' : '';
  const changes = [
    ...(plan.length > 0 || isSame ? [describePlan(plan, isBound)] : []),
    ...(settings.length > 0 ? [`settings changed: ${settings.join(', ')}`] : []),
  ];
  const message = `${cause.what}: ${mended}${changes.join('; ')}`;
  logger[level]({ event: 'reload', changes: plan.length }, message);
}

/** The line that says that everything is up. */
export function logReady(
  what: {
    readonly services: number;
    readonly listeners: Places;
    readonly fronts: Places;
    readonly status: Settings['status'];
  },
  logger: Logger,
): void {
  const { services, status, fronts } = what;
  const { bound: listeners } = what.listeners;
  const counts = [
    countOf(services, 'service'),
    countBound(what.listeners, 'listener'),
    ...(fronts.wanted === 0 ? [] : [countBound(fronts, 'front door')]),
  ].join(', ');
  const where = status === 'off' ? 'off' : `on port ${status.port}`;
  logger.info({ event: 'ready', services, listeners }, `ready: ${counts}, status ${where}`);
}

/** Where the proxy is to listen, and where it does. */
interface Places {
  readonly wanted: number;
  readonly bound: number;
}

/** `4 of 5 listeners` */
function countBound({ wanted, bound }: Places, noun: string): string {
  return `${bound === wanted ? '' : `${bound} of `}${countOf(wanted, noun)}`;
}

/** The line about an engine that came or went. */
export function logReachable(
  what: {
    readonly engine: string;
    readonly reachable: boolean;
    readonly reason: string;
    /** What to do about it; begins with `; ` where there is any. */
    readonly advice: string;
  },
  logger: Logger,
): void {
  const { engine, reachable, reason, advice } = what;
  if (reachable) return logger.info({ event: 'engine-reached' }, `${engine} answers`);
  logger.warn({ event: 'engine-lost' }, `cannot follow ${engine}: ${reason}; trying again${advice}`);
}

/** `1 service`, `2 services`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
