import type { Wake } from '../../model/wake.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { LifecycleState } from './machine.ts';

/** What the log line of a transition needs to know beside the two states. */
export interface TransitionContext {
  /** What this workload is called in the log. */
  readonly name: string;
  /** Since the state before began. */
  readonly elapsedMs: number;
  /** Why the transition was made: the client that wakes it, the reason for its sleep, the engine's words. */
  readonly reason: string | undefined;
  /** The wake that has ended with this transition. */
  readonly wake?: Wake | undefined;
}

export interface TransitionLine {
  readonly level: 'info' | 'warn';
  readonly event: string;
  readonly message: string;
  /** Figures of the message, for machines. */
  readonly fields: Readonly<Record<string, number>>;
}

/** Logs the line of a transition, where there is one. */
export function logTransition(
  states: { readonly before: LifecycleState; readonly after: LifecycleState },
  context: TransitionContext & { readonly logger: Logger },
): void {
  const line = describeTransition(states, context);
  if (line === undefined) return;
  context.logger[line.level]({ event: line.event, service: context.name, ...line.fields }, line.message);
}

/** The line that tells a transition to the user; undefined where there is nothing to tell. Pure. */
export function describeTransition(
  states: { readonly before: LifecycleState; readonly after: LifecycleState },
  context: TransitionContext,
): TransitionLine | undefined {
  const { after } = states;
  const { name } = context;
  switch (after.kind) {
    case 'starting':
      if (after.phase === 'waking') return info('wake', `${name} is waking${because(context)}`);
      return after.phase === 'interrupted' ? describeInterruption(context) : undefined;
    case 'ready':
      return timed('awake', `${name} is awake`, context);
    case 'failed':
      if (states.before.kind !== 'starting')
        return {
          ...info('unreachable', `${name} can't be reached any more${because(context)}`),
          level: 'warn',
        };
      return { ...timed('wake-failed', `${name} did not become ready`, context), level: 'warn' };
    case 'stopping':
      return after.phase === 'sleeping'
        ? info('sleep', `${name} is going to sleep${because(context)}`)
        : undefined;
    case 'stopped':
      return describeStop(states.before, context);
    case 'paused':
      return info('paused', `${name} is paused`);
    case 'missing':
      return {
        ...info('missing', `${describeAbsence(context)}; it is used as soon as it appears`),
        level: 'warn',
      };
    case 'unknown':
      return undefined;
  }
}

function describeInterruption(context: TransitionContext): TransitionLine {
  const message = `${context.name} was stopped while it was starting, but not by the proxy${because(context)}`;
  return info('interrupted', `${message}; it is woken again if it stays down`);
}

function describeStop(before: LifecycleState, context: TransitionContext): TransitionLine | undefined {
  switch (before.kind) {
    case 'stopping':
      return timed('asleep', `${context.name} is asleep`, context);
    case 'unknown':
    case 'missing':
      return info('asleep', `${context.name} is asleep`);
    case 'ready':
    case 'paused':
    case 'starting':
      return info(
        'stopped',
        `${context.name} was not stopped by the proxy, but has stopped${because(context)}`,
      );
    case 'failed':
    case 'stopped':
      return undefined;
  }
}

/** What is missing may have another name than the service, and may be there where nobody looks. */
function describeAbsence({ name, reason }: TransitionContext): string {
  return reason === undefined || reason === '' ? `${name} does not exist` : `${name} is missing: ${reason}`;
}

function info(event: string, message: string): TransitionLine {
  return { level: 'info', event, message, fields: {} };
}

function timed(event: string, message: string, context: TransitionContext): TransitionLine {
  const durationMs = Math.round(context.elapsedMs) + (context.wake?.phases.queue ?? 0);
  const { words, fields } = describePhases(context.wake);
  const text = `${message} after ${durationMs} ms${words}${because(context)}`;
  return { ...info(event, text), fields: { durationMs, ...fields } };
}

/** How long each phase of a wake took; nothing of those that took none. */
function describePhases(wake: Wake | undefined): {
  readonly words: string;
  readonly fields: Readonly<Record<string, number>>;
} {
  const phases = Object.entries(wake?.phases ?? {}).filter(([, ms]) => ms > 0);
  if (phases.length < 2) return { words: '', fields: {} };
  return {
    words: ` (${phases.map(([phase, ms]) => `${phase} ${ms} ms`).join(', ')})`,
    fields: Object.fromEntries(phases.map(([phase, ms]) => [`${phase}Ms`, ms])),
  };
}

function because({ reason }: TransitionContext): string {
  return reason === undefined || reason === '' ? '' : `: ${reason}`;
}
