/**
 * The state machine of one workload. Input: its state, an event, and what may be done for those who wait. Output: the next
 * state and the effects to carry out, in order. Pure; timers follow from the state (see `workload-controller.ts`).
 *
 * Guarantees: while a call of our own is under way (`waking`, `sleeping`, `pausing`) observations don't move the state, so a
 * stale event can't undo it; a workload that somebody waits for is woken as soon as it has stopped, and where others stop
 * it in the middle of a start; a `stranded` workload is stopped before it is started for a client; `unknown` is never read as
 * stopped; without a demand nothing is started.
 */
import type { EngineState, StoppedBy } from '../../model/running/observation.ts';

export type LifecycleState =
  | { readonly kind: 'unknown' | 'missing' | 'stopped' | 'ready' | 'paused' }
  /**
   * `waking`: our call is under way; `engine`: the engine is at it; `gate`: it runs and has to prove that it answers;
   * `interrupted`: others have stopped it meanwhile, and it is woken again if it stays down; `needs`: nothing has been asked
   * of its engine, since what it needs is woken before.
   */
  | { readonly kind: 'starting'; readonly phase: 'needs' | 'waking' | 'engine' | 'gate' | 'interrupted' }
  /** `sleeping`, `pausing`: our call is under way; `engine`: the engine is at it. */
  | { readonly kind: 'stopping'; readonly phase: 'sleeping' | 'pausing' | 'engine' }
  /** The last start failed; `running`: it runs all the same, but didn't become ready. */
  | { readonly kind: 'failed'; readonly running: boolean };

export interface Transition {
  readonly before: LifecycleState;
  readonly after: LifecycleState;
}

/** What the engine said last. While a call of ours is under way, that may be newer than the state. */
interface EngineSaid {
  readonly engine: EngineState;
  /** Goes with `stopped`; where it is undefined, a stop in the middle of a start counts as the workload's own. */
  readonly stoppedBy?: StoppedBy | undefined;
  /** It was run to its end, and has ended well. */
  readonly isCompleted?: boolean;
}

export type LifecycleEvent =
  | (EngineSaid & {
      readonly kind:
        | 'observed'
        | 'demanded'
        | 'woken'
        | 'slept'
        | 'wake-failed'
        | 'sleep-failed'
        | 'sleep-wanted'
        | 'pause-wanted'
        | 'needs-met'
        | 'called-off'
        | TimerEventKind;
    })
  | { readonly kind: 'recovered' | 'gate-passed' | 'gate-failed' | 'needs-failed' };

/** What the timers of a workload tell the machine. */
export type TimerEventKind = 'deadline-passed' | 'backoff-over';

/**
 * What may be done for those who wait for the workload to be awake. `none`: nothing, or nobody waits; `wake`: it may be started;
 * `restart`: it may even be stopped before.
 */
export type Demand = 'none' | 'wake' | 'restart';

/** `refuse`: all clients that wait are refused. */
export type LifecycleEffect = 'wake' | 'sleep' | 'pause' | 'refuse';

export interface Step {
  readonly state: LifecycleState;
  readonly effects: readonly LifecycleEffect[];
}

const WAKING: Step = { state: { kind: 'starting', phase: 'waking' }, effects: ['wake'] };
const INTERRUPTED: Step = { state: { kind: 'starting', phase: 'interrupted' }, effects: [] };
const GATE: Step = { state: { kind: 'starting', phase: 'gate' }, effects: [] };
const FAILED: Step = { state: { kind: 'failed', running: false }, effects: ['refuse'] };
const FAILED_RUNNING: Step = { state: { kind: 'failed', running: true }, effects: ['refuse'] };
const SLEEPING: Step = { state: { kind: 'stopping', phase: 'sleeping' }, effects: ['sleep'] };
const PAUSING: Step = { state: { kind: 'stopping', phase: 'pausing' }, effects: ['pause'] };

/**
 * The next step; its state is the very same object where nothing changes.
 * @param demand of those who wait for the workload to be awake; of a `demanded` event, with whoever demands it.
 */
export function step(state: LifecycleState, event: LifecycleEvent, demand: Demand): Step {
  const next = transition(state, event, demand);
  if (next === undefined || (next.effects.length === 0 && isSameState(next.state, state))) {
    return { state, effects: [] };
  }
  return next;
}

/** The state of a workload that has to wait for its turn to be woken: asleep as the engine says, or unchanged. */
export function asleep(state: LifecycleState, engine: EngineState): LifecycleState {
  if (awaitsNeeds(state)) return state;
  if (engine !== 'stopped' && engine !== 'paused') return state;
  return state.kind === engine ? state : { kind: engine };
}

function transition(state: LifecycleState, event: LifecycleEvent, demand: Demand): Step | undefined {
  switch (event.kind) {
    case 'observed':
      return observe(state, event, demand);
    case 'woken':
      return isWaking(state) ? afterWake(event, demand) : undefined;
    case 'wake-failed':
      return isWaking(state) ? afterFailedWake(event.engine, demand) : undefined;
    case 'slept':
    case 'sleep-failed':
      if (!isGoingToSleep(state)) return undefined;
      // It could not be stopped: the stop is tried again for the next client.
      return event.engine === 'stranded' ? FAILED_RUNNING : settle(event.engine, demand);
    case 'demanded':
      return answerDemand(state, event.engine, demand);
    case 'recovered':
      return state.kind === 'failed' && state.running ? GATE : undefined;
    case 'gate-passed':
      return isGate(state) ? { state: { kind: 'ready' }, effects: [] } : undefined;
    case 'gate-failed':
      return isGate(state) ? FAILED_RUNNING : undefined;
    case 'needs-met':
      return awaitsNeeds(state) ? settle(event.engine, demand) : undefined;
    case 'needs-failed':
      return awaitsNeeds(state) ? FAILED : undefined;
    case 'deadline-passed':
      if (state.kind !== 'starting') return undefined;
      return state.phase === 'gate' || isUnderWay(event.engine) ? FAILED_RUNNING : FAILED;
    case 'backoff-over':
      // It runs all the same: it is asked again for who keeps it.
      if (state.kind === 'failed' && state.running && demand !== 'none')
        return answerDemand(state, event.engine, demand);
      if (!isBackingOff(state)) return undefined;
      return event.engine === 'unknown' && demand !== 'none' ? WAKING : settle(event.engine, demand);
    case 'called-off':
      // Nothing runs yet.
      return awaitsNeeds(state) && demand === 'none' ? settle(event.engine, demand) : undefined;
    case 'sleep-wanted':
      if (awaitsNeeds(state)) return transition(state, { ...event, kind: 'called-off' }, demand);
      return canSleep(state) ? SLEEPING : undefined;
    case 'pause-wanted':
      return state.kind === 'ready' ? PAUSING : undefined;
  }
}

function observe(state: LifecycleState, said: EngineSaid, demand: Demand): Step | undefined {
  const { engine } = said;
  // The engine could not be asked: that changes nothing.
  if (engine === 'unknown') return undefined;
  switch (state.kind) {
    case 'unknown':
    case 'missing':
    case 'stopped':
    case 'paused':
      return settle(engine, demand);
    case 'ready':
      return engine === 'running' ? undefined : settle(engine, demand);
    case 'failed':
      // A workload that its engine restarts again and again counts as running, or nothing would ever put it to sleep.
      if (!state.running)
        // A workload that is asleep stays so until the backoff is over.
        return engine === 'stopped' || engine === 'paused' ? undefined : settle(engine, demand);
      return isUnderWay(engine) && !(engine === 'stranded' && demand === 'restart')
        ? undefined
        : settle(engine, demand);
    case 'stopping':
      return isGoingToSleep(state) || engine === 'stopping' ? undefined : settle(engine, demand);
    case 'starting':
      if (state.phase === 'waking') return undefined;
      if (state.phase === 'needs' && (engine === 'stopped' || engine === 'paused')) return undefined;
      if (state.phase === 'gate' && engine === 'running') return undefined;
      if (engine !== 'stopped') return settle(engine, demand);
      return state.phase === 'interrupted' && demand !== 'none' ? undefined : afterStop(said, demand);
  }
}

/** The state that follows from what the engine says, where no call of ours is under way. */
function settle(engine: EngineState, demand: Demand): Step {
  switch (engine) {
    case 'unknown':
    case 'missing':
      return { state: { kind: engine }, effects: [] };
    case 'stopped':
    case 'paused':
      return demand !== 'none' ? WAKING : { state: { kind: engine }, effects: [] };
    case 'starting':
      return { state: { kind: 'starting', phase: 'engine' }, effects: [] };
    case 'running':
      return GATE;
    case 'stranded':
      return demand === 'restart' ? SLEEPING : FAILED_RUNNING;
    case 'stopping':
      return { state: { kind: 'stopping', phase: 'engine' }, effects: [] };
  }
}

/**
 * The workload has stopped in the middle of a start. If it ended by itself, the start has failed. If others have stopped it,
 * they may be about to start it again or to replace it, so it is given a moment before it is woken.
 */
function afterStop({ stoppedBy, isCompleted }: EngineSaid, demand: Demand): Step {
  if (isCompleted === true) return settle('stopped', 'none');
  if (stoppedBy !== 'others') return FAILED;
  return demand !== 'none' ? INTERRUPTED : settle('stopped', demand);
}

function afterWake(said: EngineSaid, demand: Demand): Step {
  const { engine } = said;
  if (engine === 'stopped') return afterStop(said, demand);
  if (engine === 'unknown') return { state: { kind: 'starting', phase: 'engine' }, effects: [] };
  return settle(engine, demand);
}

function afterFailedWake(engine: EngineState, demand: Demand): Step {
  if (engine === 'stranded') return FAILED_RUNNING;
  const raced =
    engine === 'missing' || engine === 'running' || engine === 'starting' || engine === 'stopping';
  return raced ? settle(engine, demand) : FAILED;
}

function answerDemand(state: LifecycleState, engine: EngineState, demand: Demand): Step | undefined {
  if (state.kind === 'stopped' || state.kind === 'paused') return demand === 'none' ? undefined : WAKING;
  if (state.kind !== 'failed' || !state.running) return undefined;
  if (engine !== 'stranded') return GATE;
  return demand === 'restart' ? SLEEPING : undefined;
}

function canSleep(state: LifecycleState): boolean {
  if (state.kind === 'starting') return state.phase !== 'waking';
  return state.kind === 'ready' || state.kind === 'paused' || (state.kind === 'failed' && state.running);
}

function isSameState(a: LifecycleState, b: LifecycleState): boolean {
  if (a.kind === 'starting') return b.kind === 'starting' && a.phase === b.phase;
  if (a.kind === 'stopping') return b.kind === 'stopping' && a.phase === b.phase;
  if (a.kind === 'failed') return b.kind === 'failed' && a.running === b.running;
  return a.kind === b.kind;
}

function isUnderWay(engine: EngineState): boolean {
  return engine === 'running' || engine === 'starting' || engine === 'stranded';
}

/** Whether the next start waits for the end of a backoff. */
export function isBackingOff(state: LifecycleState): boolean {
  return state.kind === 'failed' ? !state.running : isInterrupted(state);
}

/** Whether others have stopped it in the middle of a start. */
export function isInterrupted(state: LifecycleState): boolean {
  return state.kind === 'starting' && state.phase === 'interrupted';
}

/** Whether it runs and has to prove that it answers. */
export function isGate(state: LifecycleState): boolean {
  return state.kind === 'starting' && state.phase === 'gate';
}

/** Whether nobody gets to the workload, as the engine tells it, unless somebody starts it, or stops and starts it. */
export function needsStart(state: LifecycleState, engine: EngineState): boolean {
  switch (state.kind) {
    case 'stopped':
    case 'paused':
    case 'stopping':
      return true;
    case 'failed':
      return !state.running || engine === 'stranded';
    case 'starting':
      return state.phase === 'interrupted' || state.phase === 'needs';
    case 'unknown':
    case 'missing':
    case 'ready':
      return false;
  }
}

/** Whether it is to be started as soon as what it needs is there. */
export function awaitsNeeds(state: LifecycleState): boolean {
  return state.kind === 'starting' && state.phase === 'needs';
}

/** Whether a start that we asked for is under way. */
export function isWaking(state: LifecycleState): boolean {
  return state.kind === 'starting' && state.phase === 'waking';
}

/** Whether a stop or pause that we asked for is under way. */
export function isGoingToSleep(state: LifecycleState): boolean {
  return state.kind === 'stopping' && state.phase !== 'engine';
}

/** Whether a workload runs, or its start or stop is under way. */
export function mayRun(state: LifecycleState): boolean {
  if (state.kind === 'failed') return state.running;
  return state.kind === 'ready' || state.kind === 'starting' || state.kind === 'stopping';
}
