import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Demand,
  isGoingToSleep,
  isWaking,
  type LifecycleEffect,
  type LifecycleEvent,
  type LifecycleState,
  step,
} from '../../../src/lifecycle/workload/machine.ts';
import type { EngineState } from '../../../src/model/running/observation.ts';

const ENGINES = [
  ...(['unknown', 'missing', 'stopped', 'starting', 'running', 'paused', 'stopping'] as const),
  'stranded',
] as const;

/** Short names of the states, as the tables below write them. */
const STATES: Readonly<Record<string, LifecycleState>> = {
  unknown: { kind: 'unknown' },
  missing: { kind: 'missing' },
  stopped: { kind: 'stopped' },
  paused: { kind: 'paused' },
  waking: { kind: 'starting', phase: 'waking' },
  engine: { kind: 'starting', phase: 'engine' },
  gate: { kind: 'starting', phase: 'gate' },
  cut: { kind: 'starting', phase: 'interrupted' },
  ready: { kind: 'ready' },
  sleeping: { kind: 'stopping', phase: 'sleeping' },
  pausing: { kind: 'stopping', phase: 'pausing' },
  ending: { kind: 'stopping', phase: 'engine' },
  failed: { kind: 'failed', running: false },
  lame: { kind: 'failed', running: true },
};

/** What entering a state brings about; a state that is kept (`=`) brings about nothing. */
const EFFECTS: Readonly<Record<string, readonly LifecycleEffect[]>> = {
  waking: ['wake'],
  sleeping: ['sleep'],
  pausing: ['pause'],
  failed: ['refuse'],
  lame: ['refuse'],
};

/**
 * Next state by state and what the engine says, in the order of ENGINES. `a/b`: a where nothing may be done for anybody who
 * waits, b where the workload may be started for somebody, or even stopped and started; `a/b/c`: c where it may be started,
 * but not stopped. A state that a table leaves out keeps itself, whatever the engine says.
 */
const BY_ENGINE: Readonly<Record<string, string>> = {
  //                      unknown missing stopped        starting running paused        stopping stranded
  'observed unknown':
    '   =       missing stopped/waking engine   gate    paused/waking ending lame/sleeping/lame',
  'observed missing':
    '   =       =       stopped/waking engine   gate    paused/waking ending lame/sleeping/lame',
  'observed stopped':
    '   =       missing =/waking       engine   gate    paused/waking ending lame/sleeping/lame',
  'observed paused':
    '    =       missing stopped/waking engine   gate    =/waking      ending lame/sleeping/lame',
  'observed engine':
    '    =       missing failed         =        gate    paused/waking ending lame/sleeping/lame',
  'observed gate':
    '      =       missing failed         engine   =       paused/waking ending lame/sleeping/lame',
  'observed cut':
    '       =       missing failed/=       engine   gate    paused/waking ending lame/sleeping/lame',
  'observed ready':
    '     =       missing stopped/waking engine   =       paused/waking ending lame/sleeping/lame',
  'observed ending': '    =       missing stopped/waking engine   gate    paused/waking = lame/sleeping/lame',
  'observed failed':
    '    =       missing =              engine   gate    =             ending lame/sleeping/lame',
  'observed lame': '      =       missing stopped/waking =        =       paused/waking ending =/sleeping/=',
  'demanded stopped': ' =/waking =/waking =/waking     =/waking =/waking =/waking =/waking =/waking',
  'demanded paused': '  =/waking =/waking =/waking     =/waking =/waking =/waking =/waking =/waking',
  'demanded lame': '      gate    gate    gate           gate     gate    gate          gate =/sleeping/=',
  'woken waking':
    '       engine  missing failed         engine   gate    paused/waking ending lame/sleeping/lame',
  'wake-failed waking': ' failed  missing failed         engine   gate    failed        ending lame',
  'slept sleeping': '     unknown missing stopped/waking engine   gate    paused/waking ending lame',
  'sleep-failed sleeping': ' unknown missing stopped/waking engine gate   paused/waking ending lame',
  'slept pausing': '      unknown missing stopped/waking engine   gate    paused/waking ending lame',
  'sleep-failed pausing': '  unknown missing stopped/waking engine gate   paused/waking ending lame',
  'deadline-passed waking': ' failed failed failed       lame     lame    failed        failed lame',
  'deadline-passed engine': ' failed failed failed       lame     lame    failed        failed lame',
  'deadline-passed cut': ' failed failed failed          lame     lame    failed        failed lame',
  'deadline-passed gate': ' lame  lame    lame           lame     lame    lame          lame lame',
  'backoff-over failed':
    ' unknown/waking missing stopped/waking engine gate paused/waking ending lame/sleeping/lame',
  'backoff-over cut':
    '   unknown/waking missing stopped/waking engine gate paused/waking ending lame/sleeping/lame',
  'backoff-over lame': ' =/gate =/gate =/gate =/gate =/gate =/gate =/gate =/sleeping/=',
  'sleep-wanted ready': ' sleeping sleeping sleeping sleeping sleeping sleeping sleeping sleeping',
  'sleep-wanted paused': ' sleeping sleeping sleeping sleeping sleeping sleeping sleeping sleeping',
  'sleep-wanted engine': ' sleeping sleeping sleeping sleeping sleeping sleeping sleeping sleeping',
  'sleep-wanted gate': '  sleeping sleeping sleeping sleeping sleeping sleeping sleeping sleeping',
  'sleep-wanted cut': '   sleeping sleeping sleeping sleeping sleeping sleeping sleeping sleeping',
  'sleep-wanted lame': '  sleeping sleeping sleeping sleeping sleeping sleeping sleeping sleeping',
  'pause-wanted ready': ' pausing pausing pausing pausing pausing pausing pausing pausing',
};

/** Next state of the events that say nothing about the engine. */
const WITHOUT_ENGINE: Readonly<Record<string, string>> = {
  'recovered lame': 'gate',
  'gate-passed gate': 'ready',
  'gate-failed gate': 'lame',
};

const ENGINE_EVENTS = [
  'observed',
  'demanded',
  'woken',
  'slept',
  'wake-failed',
  'sleep-failed',
  'deadline-passed',
  'backoff-over',
  'sleep-wanted',
  'pause-wanted',
] as const;
const DEMANDS = ['none', 'wake', 'restart'] as const;
const OTHER_EVENTS = ['recovered', 'gate-passed', 'gate-failed'] as const;

interface Case {
  readonly event: LifecycleEvent;
  readonly demand: Demand;
  readonly to: string;
}

function listCases(from: string, kind: LifecycleEvent['kind']): Case[] {
  if (kind === 'recovered' || kind === 'gate-passed' || kind === 'gate-failed') {
    const to = WITHOUT_ENGINE[`${kind} ${from}`] ?? '=';
    return DEMANDS.map((demand) => ({ event: { kind }, demand, to }));
  }
  const cells = BY_ENGINE[`${kind} ${from}`]?.trim().split(/\s+/) ?? [];
  return ENGINES.flatMap((engine, index) => {
    const [none = '=', restart = none, wake = restart] = cells[index]?.split('/') ?? [];
    const to = { none, restart, wake };
    return DEMANDS.map((demand) => ({ event: { kind, engine }, demand, to: to[demand] }));
  });
}

const PAIRS = [...ENGINE_EVENTS, ...OTHER_EVENTS].flatMap((kind) =>
  Object.keys(STATES).map((name) => [name, kind] as const),
);

describe('lifecycle machine', () => {
  test.each(PAIRS)('takes the step of the table when %s meets %s', (name, kind) => {
    const from = stateNamed(name);
    for (const { event, demand, to } of listCases(name, kind)) {
      const next = step(from, event, demand);
      const title = `${JSON.stringify(event)}, ${demand}`;
      const effects = EFFECTS[to] ?? [];
      expect(next, title).toEqual({ state: to === '=' ? from : stateNamed(to), effects });
      // The very object: whoever compares sees at once that nothing has changed.
      if (to === '=') expect(next.state, title).toBe(from);
    }
  });

  test.each([
    ['observed engine', 'stopped/cut'],
    ['observed gate', 'stopped/cut'],
    ['observed cut', 'stopped/='],
    ['woken waking', 'stopped/cut'],
    ['observed stopped', '=/waking'],
    ['observed ready', 'stopped/waking'],
    ['observed ending', 'stopped/waking'],
    ['observed lame', 'stopped/waking'],
    ['observed failed', '='],
    ['wake-failed waking', 'failed'],
    ['deadline-passed waking', 'failed'],
  ] as const)('goes on for whoever waits when others have stopped it: %s', (pair, cell) => {
    const [kind, name = ''] = pair.split(' ') as ['observed', string?];
    const [alone = '=', awaited = alone] = cell.split('/');
    const event = { kind, engine: 'stopped', stoppedBy: 'others' } as const;
    for (const demand of DEMANDS) {
      const to = demand === 'none' ? alone : awaited;
      const from = stateNamed(name);
      const state = to === '=' ? from : stateNamed(to);
      expect(step(from, event, demand)).toEqual({ state, effects: EFFECTS[to] ?? [] });
    }
  });

  test('never makes a call while another one is under way', () => {
    fc.assert(
      fc.property(anyState, fc.array(fc.tuple(anyEvent, anyDemand)), (start, events) => {
        let state = start;
        let call = callUnderWay(start);
        for (const [event, demand] of events) {
          if (isEndOf(event, 'wake') && call !== 'wake') continue;
          if (isEndOf(event, 'sleep') && call !== 'sleep') continue;
          if (isEndOf(event, 'wake') || isEndOf(event, 'sleep')) call = undefined;
          const next = step(state, event, demand);
          for (const effect of next.effects) {
            // Whoever refuses gives up the start.
            if (effect === 'refuse') call = undefined;
            if (effect !== 'wake' && effect !== 'sleep') continue;
            expect(call).toBeUndefined();
            call = effect;
          }
          state = next.state;
        }
      }),
    );
  });

  test('has a call under way in exactly the phases that say so', () => {
    fc.assert(
      fc.property(anyState, anyEvent, anyDemand, (state, event, demand) => {
        const next = step(state, event, demand);
        if (next.state === state) return;
        expect(next.effects.includes('wake')).toBe(callUnderWay(next.state) === 'wake');
        expect(next.effects.includes('sleep')).toBe(callUnderWay(next.state) === 'sleep');
        expect(next.effects.includes('pause')).toBe(callUnderWay(next.state) === 'pause');
      }),
    );
  });

  test('never reads an engine that could not be asked as anything', () => {
    fc.assert(
      fc.property(anyState, anyDemand, (state, demand) => {
        const next = step(state, { kind: 'observed', engine: 'unknown' }, demand);
        expect(next).toEqual({ state, effects: [] });
      }),
    );
  });

  test('refuses exactly when a start fails', () => {
    fc.assert(
      fc.property(anyState, anyEvent, anyDemand, (state, event, demand) => {
        const next = step(state, event, demand);
        const fails = next.state.kind === 'failed' && next.state !== state;
        expect(next.effects.includes('refuse')).toBe(fails);
      }),
    );
  });

  test('starts nothing without a demand, and stops nothing for one that may only start', () => {
    fc.assert(
      fc.property(anyState, anyEvent, anyDemand, (state, event, demand) => {
        const { effects } = step(state, event, demand);
        if (demand === 'none') expect(effects).not.toContain('wake');
        if (demand !== 'restart' && event.kind !== 'sleep-wanted') expect(effects).not.toContain('sleep');
      }),
    );
  });

  test('comes to an end for whoever waits, from any state, with an engine that goes on', () => {
    const choices = fc.array(fc.nat(100), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(anyState, choices, (start, luck) => {
        let state = start.kind === 'failed' ? step(start, leaveFailure(start), 'restart').state : start;
        for (const choice of luck) {
          if (state.kind === 'ready' || state.kind === 'failed') return;
          state = step(state, nextOf(state, choice), 'restart').state;
        }
        expect(['ready', 'failed']).toContain(state.kind);
      }),
    );
  });
});

const anyDemand = fc.constantFrom(...DEMANDS);
const anyState = fc.constantFrom(...Object.values(STATES));
const anyEvent: fc.Arbitrary<LifecycleEvent> = fc.oneof(
  fc.record({
    kind: fc.constantFrom(...ENGINE_EVENTS),
    engine: fc.constantFrom(...ENGINES),
    stoppedBy: fc.constantFrom('itself', 'others', undefined),
  }),
  fc.record({ kind: fc.constantFrom(...OTHER_EVENTS) }),
);

function stateNamed(name: string): LifecycleState {
  const state = STATES[name];
  if (state === undefined) throw new Error(`no state ${name}`);
  return state;
}

function callUnderWay(state: LifecycleState): 'wake' | 'sleep' | 'pause' | undefined {
  if (isWaking(state)) return 'wake';
  if (state.kind !== 'stopping' || state.phase === 'engine') return undefined;
  return state.phase === 'pausing' ? 'pause' : 'sleep';
}

function isEndOf(event: LifecycleEvent, call: 'wake' | 'sleep' | 'pause'): boolean {
  return call === 'wake'
    ? event.kind === 'woken' || event.kind === 'wake-failed'
    : event.kind === 'slept' || event.kind === 'sleep-failed';
}

/** How a client gets out of a failure: it demands, or the backoff ends. */
function leaveFailure(state: LifecycleState & { kind: 'failed' }): LifecycleEvent {
  return state.running
    ? { kind: 'demanded', engine: 'running' }
    : { kind: 'backoff-over', engine: 'stopped' };
}

/** What an engine that makes progress says next, one of the possibilities. */
function nextOf(state: LifecycleState, choice: number): LifecycleEvent {
  const observe = (...engines: EngineState[]): LifecycleEvent => ({
    kind: 'observed',
    engine: engines[choice % engines.length] ?? 'stopped',
  });
  switch (state.kind) {
    case 'unknown':
    case 'missing':
      return observe('stopped', 'running', 'paused');
    case 'stopped':
    case 'paused':
      return { kind: 'demanded', engine: 'stopped' };
    case 'stopping':
      return isGoingToSleep(state) ? { kind: 'slept', engine: 'stopped' } : observe('stopped');
    case 'starting':
      if (state.phase === 'gate') return choice % 2 === 0 ? { kind: 'gate-passed' } : observe('stopped');
      if (state.phase === 'interrupted') return { kind: 'backoff-over', engine: 'stopped' };
      if (state.phase === 'engine') return observe('running', 'stopped');
      return choice % 2 === 0
        ? { kind: 'woken', engine: 'running' }
        : { kind: 'wake-failed', engine: 'stopped' };
    case 'ready':
    case 'failed':
      throw new Error('there is nothing more to come');
  }
}
