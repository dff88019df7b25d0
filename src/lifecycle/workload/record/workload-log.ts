import type { Observation, StoppedBy } from '../../../model/running/observation.ts';
import type { Wake } from '../../../model/running/wake.ts';
import type { Cancel, Clock } from '../../../system/clock.ts';
import type { Logger } from '../../../system/log/logger.ts';
import { awaitsNeeds, type LifecycleState, type Transition } from '../machine.ts';

/**
 * How long the line about a missing workload is held back. Often there is nothing to tell a moment later: the service goes too,
 * since its labels went with the workload, or the workload was replaced and the new one is there.
 */
const TELL_MISSING_AFTER_MS = 100;

/** Why a transition was made, for the log. */
interface Circumstances {
  /** The client that wakes the workload, the reason for its sleep, the engine's words. */
  readonly reason: string | undefined;
  /** The wake that has ended with this transition. */
  readonly wake: Wake | undefined;
  /** Who has stopped the workload, as far as the engine tells. */
  readonly stoppedBy: StoppedBy | undefined;
}

interface TransitionContext extends Circumstances {
  /** What this workload is called in the log. */
  readonly name: string;
  /** Since the state before began. */
  readonly elapsedMs: number;
}

interface TransitionLine {
  readonly level: 'info' | 'warn';
  readonly event: string;
  readonly message: string;
  /** Figures of the message, for machines. */
  readonly fields: Readonly<Record<string, number>>;
}

/** Logs the states of one workload. `close()` ends it. */
export class WorkloadLog {
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** When the present kind of state began, on the monotonic clock. */
  #sinceMs: number;
  #cancelMissing: Cancel | undefined;
  /** Why the workload is not put to sleep, as it was told last. */
  #toldStaysAwake: string | undefined;

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
    this.#sinceMs = clock.monotonicMs();
  }

  /** The state has changed. */
  changed(name: string, { before, after, ...circumstances }: Transition & Circumstances): void {
    const nowMs = this.#clock.monotonicMs();
    const line = describeTransition(
      { before, after },
      { ...circumstances, name, elapsedMs: nowMs - this.#sinceMs },
    );
    if (before.kind !== after.kind) this.#sinceMs = nowMs;
    this.#cancelMissing?.();
    this.#cancelMissing = undefined;
    if (line === undefined) return;
    const { level, event, message, fields } = line;
    const tell = () => this.#logger[level]({ event, service: name, ...fields }, message);
    if (after.kind === 'missing') this.#cancelMissing = this.#clock.schedule(TELL_MISSING_AFTER_MS, tell);
    else tell();
  }

  /** The engine has told of the workload: what, and what came of it. */
  observed(service: string, seen: Observation, { before, after }: Transition): void {
    if (this.#logger.shows?.('debug') === false) return;
    const [was, is] = [describeState(before), describeState(after)];
    const effect = was === is ? `stays ${is}` : `${was} → ${is}`;
    const message = `${service}: the engine says ${describeSeen(seen)}: ${effect}`;
    this.#logger.debug({ event: 'observed', service, engine: seen.state, before: was, after: is }, message);
  }

  /** The workload should be asleep, but must not be put to sleep: logged once for each reason. */
  staysAwake(service: string, reason: string): void {
    if (this.#toldStaysAwake === reason) return;
    this.#toldStaysAwake = reason;
    this.#logger.warn({ event: 'stays-awake', service }, `${service} is not put to sleep: ${reason}`);
  }

  cannotPause(service: string, reason: string): void {
    const message = `${service} can't be paused, so it is stopped instead: ${reason}`;
    this.#logger.warn({ event: 'cannot-pause', service }, message);
  }

  sleepFailed(service: string, reason: string | undefined): void {
    const message = `${service} could not be put to sleep: ${reason}`;
    this.#logger.warn({ event: 'sleep-failed', service }, message);
  }

  /** Idempotent. */
  close(): void {
    this.#cancelMissing?.();
  }
}

function describeSeen({ state, health, detail }: Observation): string {
  // While the workload is down, its health is that of an earlier run, or one to come.
  const isUp = state === 'running' || state === 'paused';
  const said = isUp && health !== 'none' ? `${state}, ${health}` : state;
  return detail === undefined || detail === '' ? said : `${said} (${detail})`;
}

/** `ready`, `starting (gate)`. */
function describeState(state: LifecycleState): string {
  return 'phase' in state ? `${state.kind} (${state.phase})` : state.kind;
}

/** The line that tells a transition to the user; undefined where there is nothing to tell. */
function describeTransition(
  { before, after }: Transition,
  context: TransitionContext,
): TransitionLine | undefined {
  const { name } = context;
  switch (after.kind) {
    case 'starting':
      // The line was logged when what it depends on began to be woken.
      if (after.phase === 'waking' && awaitsNeeds(before)) return undefined;
      if (after.phase === 'waking' || after.phase === 'needs')
        return info('wake', `${name} is waking${because(context)}`);
      return after.phase === 'interrupted' ? describeInterruption(context) : undefined;
    case 'ready':
      return timed('awake', `${name} is awake`, context);
    case 'failed':
      if (before.kind !== 'starting')
        return {
          ...info('unreachable', `${name} can't be reached any more${because(context)}`),
          level: 'warn',
        };
      return { ...timed('wake-failed', `${name} did not become ready`, context), level: 'warn' };
    case 'stopping':
      if (after.phase === 'engine') return undefined;
      return after.phase === 'pausing'
        ? info('sleep', `${name} is being paused${because(context)}`)
        : info('sleep', `${name} is going to sleep${because(context)}`);
    case 'stopped':
      return describeStop(before, context);
    case 'paused':
      return info('paused', `${name} is paused`);
    case 'missing':
      return {
        // The reason names the workload, whose name may differ from the service's.
        ...info('missing', `${name} is missing${because(context)}; it is used as soon as it appears`),
        level: 'warn',
      };
    case 'unknown':
      return undefined;
  }
}

function describeInterruption(context: TransitionContext): TransitionLine {
  const message = `somebody else stopped ${context.name} while it was starting${because(context)}`;
  return info('interrupted', `${message}; it is woken again if it stays down`);
}

function describeStop(before: LifecycleState, context: TransitionContext): TransitionLine | undefined {
  switch (before.kind) {
    case 'stopping':
      return timed('asleep', `${context.name} is asleep`, context);
    case 'unknown':
    case 'missing':
      return info('asleep', `${context.name} is asleep`);
    case 'starting':
      if (awaitsNeeds(before))
        return info('called-off', `${context.name} is not started after all${because(context)}`);
      return info('stopped', `${describeStopper(context)}${because(context)}`);
    case 'ready':
    case 'paused':
      return info('stopped', `${describeStopper(context)}${because(context)}`);
    case 'failed':
    case 'stopped':
      return undefined;
  }
}

function describeStopper({ name, stoppedBy }: TransitionContext): string {
  switch (stoppedBy) {
    case 'others':
      return `somebody else stopped ${name}`;
    case 'itself':
      return `${name} ended by itself`;
    case undefined:
      return `${name} has stopped, and the proxy did not stop it`;
  }
}

function info(event: string, message: string): TransitionLine {
  return { level: 'info', event, message, fields: {} };
}

function timed(event: string, message: string, context: TransitionContext): TransitionLine {
  const durationMs =
    Math.round(context.elapsedMs) + (context.wake?.phases.queue ?? 0) + (context.wake?.phases.room ?? 0);
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
