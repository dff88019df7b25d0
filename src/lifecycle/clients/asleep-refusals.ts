import type { Observation } from '../../model/running/observation.ts';
import type { Service } from '../../model/service.ts';
import { Refusal, withObstacle } from '../refusal.ts';
import { isInterrupted, type LifecycleState } from '../workload/machine.ts';

/** What the words of a refusal depend on. */
interface Sleeper {
  readonly policy: Pick<Service, 'availability' | 'timezone'>;
  readonly state: LifecycleState;
  readonly observation: Observation;
  /** Why no wake has worked lately. */
  readonly failure: string | undefined;
  /** When its schedule starts it next, ms since the epoch; undefined where it doesn't. */
  readonly nextStartMs: number | undefined;
  /** Whether other clients may wake it, but not this one. */
  readonly mayOthersWake: boolean;
}

/**
 * Refuses clients that may not wake what sleeps: `it is asleep, and clients don't wake it (availability: schedule); its next start
 * is at 2026-11-27 08:30 Europe/Paris`. The last refusal is kept: a flood of such clients must cost little.
 */
export class AsleepRefusals {
  #last: (Sleeper & { readonly refusal: Refusal }) | undefined;

  for(sleeper: Sleeper): Refusal {
    const last = this.#last;
    if (last !== undefined && isSameSleeper(last, sleeper)) return last.refusal;
    const refusal = new Refusal(sleeper.mayOthersWake ? 'wake-list' : 'asleep', describeAsleep(sleeper));
    this.#last = { ...sleeper, refusal };
    return refusal;
  }
}

function describeAsleep(sleeper: Sleeper): string {
  const { availability, timezone } = sleeper.policy;
  if (sleeper.mayOthersWake) return `${describeRest(sleeper)}, and this client may not wake it (wake_list)`;
  const why = `${describeRest(sleeper)}, and clients don't wake it (availability: ${availability})`;
  if (availability !== 'schedule') return why;
  if (sleeper.nextStartMs === undefined) return `${why}; its schedule has no start`;
  return `${why}; its next start is at ${formatMinute(sleeper.nextStartMs, timezone)}`;
}

function describeRest({ state, observation, failure }: Sleeper): string {
  if (isInterrupted(state)) return 'somebody else has stopped it';
  switch (state.kind) {
    case 'paused':
      return 'it is paused';
    case 'stopping':
      return 'it is being stopped';
    case 'failed':
      if (observation.state !== 'stranded') return withObstacle('its last start failed', failure);
      return withObstacle('nothing reaches it until it was stopped and started', observation.detail);
    default:
      return 'it is asleep';
  }
}

/** Whether the words would be the same; a quick test. */
function isSameSleeper(a: Sleeper, b: Sleeper): boolean {
  return (
    a.policy === b.policy &&
    a.state === b.state &&
    a.observation === b.observation &&
    a.failure === b.failure &&
    a.nextStartMs === b.nextStartMs &&
    a.mayOthersWake === b.mayOthersWake
  );
}

/** `2026-11-27 08:30 Europe/Paris` */
function formatMinute(atMs: number, timeZone: string): string {
  // The Swedish way to write a date is that of ISO 8601.
  const format = new Intl.DateTimeFormat('sv', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  return `${format.format(atMs)} ${timeZone}`;
}
