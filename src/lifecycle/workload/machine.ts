/**
 * The state machine of one workload. Input: its state, an event, and whether anybody waits for it. Output: the next
 * state and the effects to carry out, in order. Pure; timers follow from the state (see `workload-controller.ts`).
 *
 * Guarantees: while a call of our own is under way (`waking`, `sleeping`) observations don't move the state, so a
 * stale event can't undo it; a workload that somebody waits for is woken as soon as it has stopped, and where others stop
 * it in the middle of a start; a `stranded` workload is stopped before it is started for a client; `unknown` is never read as
 * stopped.
 */
import type { EngineState, StoppedBy } from '../../model/observation.ts';

export type LifecycleState =
  | { readonly kind: 'unknown' | 'missing' | 'stopped' | 'ready' | 'paused' }
  /**
   * `waking`: our call is under way; `engine`: the engine is at it; `gate`: it runs and has to prove that it answers;
   * `interrupted`: others have stopped it meanwhile, and it is woken again if it stays down.
   */
  | { readonly kind: 'starting'; readonly phase: 'waking' | 'engine' | 'gate' | 'interrupted' }
  /** `sleeping`: our call is under way; `engine`: the engine is at it. */
  | { readonly kind: 'stopping'; readonly phase: 'sleeping' | 'engine' }
  /** The last start failed; `running`: it runs all the same, but didn't become ready. */
  | { readonly kind: 'failed'; readonly running: boolean };

export interface Transition {
  readonly before: LifecycleState;
  readonly after: LifecycleState;
}

/** What the engine said last: while a call of ours is under way it may have said more than the state shows. */
interface EngineSaid {
  readonly engine: EngineState;
  /** Goes with `stopped`; where it is undefined, a stop in the middle of a start counts as the workload's own. */
  readonly stoppedBy?: StoppedBy | undefined;
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
        | TimerEventKind;
    })
  | { readonly kind: 'recovered' | 'gate-passed' | 'gate-failed' };

/** What the timers of a workload tell. */
export type TimerEventKind = 'deadline-passed' | 'backoff-over' | 'sleep-wanted';

/** `refuse`: all clients that wait are refused. */
export type LifecycleEffect = 'wake' | 'sleep' | 'refuse';

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

/**
 * The next step; its state is the very same object where nothing changes.
 * @param wanted whether anybody waits for the workload to be awake.
 */
export function step(state: LifecycleState, event: LifecycleEvent, wanted: boolean): Step {
  const next = transition(state, event, wanted);
  if (next === undefined || (next.effects.length === 0 && isSameState(next.state, state))) {
    return { state, effects: [] };
  }
  return next;
}

/** The state of a workload that has to wait for its turn to be woken: asleep as the engine says, or unchanged. */
export function asleep(state: LifecycleState, engine: EngineState): LifecycleState {
  if (engine !== 'stopped' && engine !== 'paused') return state;
  return state.kind === engine ? state : { kind: engine };
}

function transition(state: LifecycleState, event: LifecycleEvent, wanted: boolean): Step | undefined {
  switch (event.kind) {
    case 'observed':
      return observe(state, event, wanted);
    case 'woken':
      return isWaking(state) ? afterWake(event, wanted) : undefined;
    case 'wake-failed':
      return isWaking(state) ? afterFailedWake(event.engine, wanted) : undefined;
    case 'slept':
    case 'sleep-failed':
      if (state.kind !== 'stopping' || state.phase !== 'sleeping') return undefined;
      // It could not be stopped: the stop is tried again for the next client.
      return event.engine === 'stranded' ? FAILED_RUNNING : settle(event.engine, wanted);
    case 'demanded':
      return demand(state, event.engine);
    case 'recovered':
      return state.kind === 'failed' && state.running ? GATE : undefined;
    case 'gate-passed':
      return isGate(state) ? { state: { kind: 'ready' }, effects: [] } : undefined;
    case 'gate-failed':
      return isGate(state) ? FAILED_RUNNING : undefined;
    case 'deadline-passed':
      if (state.kind !== 'starting') return undefined;
      return state.phase === 'gate' || isUnderWay(event.engine) ? FAILED_RUNNING : FAILED;
    case 'backoff-over':
      if (!isBackingOff(state)) return undefined;
      return event.engine === 'unknown' && wanted ? WAKING : settle(event.engine, wanted);
    case 'sleep-wanted':
      return canSleep(state) ? SLEEPING : undefined;
  }
}

function observe(state: LifecycleState, said: EngineSaid, wanted: boolean): Step | undefined {
  const { engine } = said;
  // The engine could not be asked: that changes nothing.
  if (engine === 'unknown') return undefined;
  switch (state.kind) {
    case 'unknown':
    case 'missing':
    case 'stopped':
    case 'paused':
      return settle(engine, wanted);
    case 'ready':
      return engine === 'running' ? undefined : settle(engine, wanted);
    case 'failed':
      // A workload that its engine restarts again and again counts as running, or nothing would ever put it to sleep.
      if (!state.running)
        // A workload that is asleep stays so until the backoff is over.
        return engine === 'stopped' || engine === 'paused' ? undefined : settle(engine, wanted);
      return isUnderWay(engine) && !(engine === 'stranded' && wanted) ? undefined : settle(engine, wanted);
    case 'stopping':
      return state.phase === 'sleeping' || engine === 'stopping' ? undefined : settle(engine, wanted);
    case 'starting':
      if (state.phase === 'waking') return undefined;
      if (state.phase === 'gate' && engine === 'running') return undefined;
      if (engine !== 'stopped') return settle(engine, wanted);
      return state.phase === 'interrupted' && wanted ? undefined : afterStop(said, wanted);
  }
}

/** The state that follows from what the engine says, where no call of ours is under way. */
function settle(engine: EngineState, wanted: boolean): Step {
  switch (engine) {
    case 'unknown':
    case 'missing':
      return { state: { kind: engine }, effects: [] };
    case 'stopped':
    case 'paused':
      return wanted ? WAKING : { state: { kind: engine }, effects: [] };
    case 'starting':
      return { state: { kind: 'starting', phase: 'engine' }, effects: [] };
    case 'running':
      return GATE;
    case 'stranded':
      return wanted ? SLEEPING : FAILED_RUNNING;
    case 'stopping':
      return { state: { kind: 'stopping', phase: 'engine' }, effects: [] };
  }
}

/**
 * The workload has stopped in the middle of a start. If it ended by itself, the start has failed. If others have stopped it,
 * they may be about to start it again or to replace it, so it is given a moment before it is woken.
 */
function afterStop({ stoppedBy }: EngineSaid, wanted: boolean): Step {
  if (stoppedBy !== 'others') return FAILED;
  return wanted ? INTERRUPTED : settle('stopped', wanted);
}

function afterWake(said: EngineSaid, wanted: boolean): Step {
  const { engine } = said;
  if (engine === 'stopped') return afterStop(said, wanted);
  if (engine === 'unknown') return { state: { kind: 'starting', phase: 'engine' }, effects: [] };
  return settle(engine, wanted);
}

function afterFailedWake(engine: EngineState, wanted: boolean): Step {
  if (engine === 'stranded') return FAILED_RUNNING;
  const raced =
    engine === 'missing' || engine === 'running' || engine === 'starting' || engine === 'stopping';
  return raced ? settle(engine, wanted) : FAILED;
}

function demand(state: LifecycleState, engine: EngineState): Step | undefined {
  if (state.kind === 'stopped' || state.kind === 'paused') return WAKING;
  if (state.kind === 'failed' && state.running) return engine === 'stranded' ? SLEEPING : GATE;
  return undefined;
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

/** Whether a start that we asked for is under way. */
export function isWaking(state: LifecycleState): boolean {
  return state.kind === 'starting' && state.phase === 'waking';
}

/** Whether a workload runs, or its start or stop is under way. */
export function mayRun(state: LifecycleState): boolean {
  if (state.kind === 'failed') return state.running;
  return state.kind === 'ready' || state.kind === 'starting' || state.kind === 'stopping';
}
