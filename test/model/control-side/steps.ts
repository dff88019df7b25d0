import fc from 'fast-check';
import type { AwakeWindow } from '../../../src/model/awake-window.ts';
import type { Dependency, Service } from '../../../src/model/service.ts';
import { DEFAULT_REST, type RestPolicy } from '../../../src/model/running/sleep.ts';
import { aListener, aService } from '../../support/builders.ts';
import { CALL_SCRIPTS, type Truth } from './scripted-engine.ts';
import { CONTAINERS, type World } from './world.ts';

const NAMES = ['a', 'b', 'c'] as const;
const PORTS = [80, 81, 82, 83] as const;

/** One thing that happens, in words that a failure prints, and what it does. */
export interface Step {
  readonly words: string;
  happen(world: World): void | Promise<void>;
}

/** How services are put to sleep, and what counts as use; most say nothing of it. */
const rest: fc.Arbitrary<RestPolicy> = fc.oneof(
  { weight: 2, arbitrary: fc.constant(DEFAULT_REST) },
  {
    weight: 3,
    arbitrary: fc.record({
      idleWhen: fc.constantFrom('no_connections' as const, 'no_traffic' as const, 'no_traffic' as const),
      ignoreBelow: fc.constant(DEFAULT_REST.ignoreBelow),
      busyCheck: fc.constantFrom(undefined, { kind: 'command' as const, command: ['busy'] }),
      way: fc.constantFrom('stop' as const, 'stop' as const, 'pause' as const),
      pauseAfterMs: fc.constantFrom(undefined, 1_000, 5_000),
      stopSignal: fc.constant(undefined),
      minAwakeMs: fc.constantFrom(0, 0, 10_000),
    }),
  },
);

const container = fc.constantFrom(...CONTAINERS);
const port = fc.constantFrom(...PORTS);
const availability = fc.constantFrom('on_demand', 'on_demand', 'schedule', 'manual');

/** From noon on, two of four minutes. */
const WINDOWS: readonly AwakeWindow[] = Array.from({ length: 60 }, (_, index) => {
  return { days: [0, 1, 2, 3, 4, 5, 6], fromMinute: 720 + 4 * index, toMinute: 722 + 4 * index };
});

/** One for each service. */
function eachOf<T>(one: fc.Arbitrary<T>): fc.Arbitrary<readonly T[]> {
  return fc.array(one, { minLength: NAMES.length, maxLength: NAMES.length });
}

/**
 * A table of up to three services; some of them may share a container, and say the same then of what is the container's.
 * Dependants come later in the alphabet.
 */
const table: fc.Arbitrary<readonly Service[]> = fc
  .record({
    containers: fc.oneof(
      fc.shuffledSubarray([...CONTAINERS], { minLength: 0, maxLength: 3 }),
      fc.array(container, { minLength: 2, maxLength: 3 }),
    ),
    owners: fc.array(fc.nat(2), { minLength: PORTS.length, maxLength: PORTS.length }),
    idleTimes: eachOf(fc.constantFrom(0, 5_000, 60_000)),
    startTimes: eachOf(fc.constantFrom(2_000, 10_000)),
    maxPending: fc.constantFrom(2, 1_024),
    rest,
    schedule: fc.constantFrom('none', 'start', 'stop', 'both'),
    availabilities: eachOf(availability),
    hub: fc.boolean(),
    needs: eachOf(fc.constantFrom(undefined, 'started', 'healthy', 'completed')),
    windows: fc.constantFrom(-1, -1, 0, 1, 2),
  })
  .map(
    ({
      containers,
      owners,
      schedule,
      hub,
      availabilities,
      idleTimes,
      startTimes,
      windows,
      needs,
      ...policy
    }) =>
      containers.map((name, index) =>
        aService({
          ...policy,
          name: NAMES[index] ?? '',
          availability: availabilities[containers.indexOf(name)] ?? 'on_demand',
          idleTimeoutMs: idleTimes[index] ?? 0,
          startTimeoutMs: startTimes[index] ?? 2_000,
          workload: { kind: 'docker', container: name },
          listeners: PORTS.filter((_, place) => owners[place] === index).map((number) =>
            aListener({ port: number, targetPort: 80 }),
          ),
          ...(name === containers[0] && SCHEDULES[schedule]),
          ...(index === windows && { awake: WINDOWS }),
          dependants: hub && index === 0 && containers.length > 1 && containers[1] !== name ? [NAMES[1]] : [],
          dependsOn: dependOnLater(needs, { index, containers }),
        }),
      ),
  );

const SCHEDULES = {
  none: {},
  start: { cronStart: '*/2 * * * *' },
  stop: { cronStop: '1-59/2 * * * *' },
  both: { cronStart: '*/2 * * * *', cronStop: '1-59/2 * * * *' },
} as const;

/**
 * What a service needs of those whose containers come later. What is to be completed is the last of three containers alone,
 * which needs nothing.
 */
function dependOnLater(
  conditions: readonly (Dependency['condition'] | undefined)[],
  { index, containers }: { readonly index: number; readonly containers: readonly string[] },
): readonly Dependency[] {
  const rankOf = (place: number) => containers.indexOf(containers[place] ?? '');
  return NAMES.flatMap((name, place) => {
    // All need the same of the last one: what ends by itself is never healthy.
    const condition = conditions[rankOf(place) === 2 ? 0 : (rankOf(index) + place) % conditions.length];
    if (condition === undefined || place >= containers.length || rankOf(place) <= rankOf(index)) return [];
    return [{ name, condition: condition === 'completed' && rankOf(place) < 2 ? 'started' : condition }];
  });
}

const truths: readonly Truth[] = ['absent', 'stopped', 'running', 'paused'];

const apply = table.map(
  (services): Step => ({
    words: `the table is ${JSON.stringify(services.map(({ name, workload, listeners, ...rest }) => ({ name, on: 'container' in workload && workload.container, ports: listeners.map((one) => one.port), is: rest.availability, rest: rest.rest, idle: rest.idleTimeoutMs, start: rest.startTimeoutMs, cron: [rest.cronStart, rest.cronStop], windows: rest.awake.length, of: rest.dependants, needs: rest.dependsOn.map((one) => `${one.name} ${one.condition}`), pending: rest.maxPending })))}`,
    happen: (world) => world.apply(services),
  }),
);

/** What happens, and how often beside the others. */
const WEIGHTED: readonly { readonly weight: number; readonly arbitrary: fc.Arbitrary<Step> }[] = [
  {
    weight: 8,
    arbitrary: fc.record({ port, protocol: fc.constantFrom('tcp' as const, 'udp' as const) }).map((one) => ({
      words: `a ${one.protocol} client comes to ${one.port}`,
      happen: (world: World) => world.come(one.port, one.protocol),
    })),
  },
  {
    weight: 4,
    arbitrary: fc.nat(20).map((index) => ({
      words: `client ${index} carries something`,
      happen: (world: World) => world.carry(index),
    })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ container, isBusy: fc.constantFrom(true, false, undefined) }).map((one) => ({
      words: `${one.container} ${one.isBusy === undefined ? 'does not say whether it is' : one.isBusy ? 'is' : 'is not'} busy`,
      happen: (world: World) => world.engine.setBusy(one.container, one.isBusy),
    })),
  },
  {
    weight: 6,
    arbitrary: fc.nat(20).map((index) => ({
      words: `client ${index} leaves`,
      happen: (world: World) => world.leave(index),
    })),
  },
  {
    weight: 10,
    arbitrary: fc.constantFrom(0, 1, 10, 299, 301, 600, 2_000, 5_000, 11_000, 61_000, 130_000).map((ms) => ({
      words: `${ms} ms pass`,
      happen: (world: World) => world.clock.advance(ms),
    })),
  },
  {
    weight: 8,
    arbitrary: fc
      .record({ count: fc.integer({ min: 1, max: 4 }), times: fc.constantFrom(1, 1, 2) })
      .map((one) => ({
        words: `${one.count} events arrive, ${one.times} times each`,
        happen: (world: World) => world.engine.deliver(one),
      })),
  },
  {
    weight: 1,
    arbitrary: fc.constant({
      words: 'an event is lost',
      happen: (world: World) => world.engine.loseEvent(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ container, truth: fc.constantFrom(...truths) }).map((one) => ({
      words: `somebody makes ${one.container} ${one.truth}`,
      happen: (world: World) => world.engine.change(one.container, one.truth),
    })),
  },
  {
    weight: 1,
    arbitrary: fc.record({ container, exitCode: fc.constantFrom(0, 3) }).map((one) => ({
      words: `${one.container} ends with status ${one.exitCode}`,
      happen: (world: World) => world.engine.end(one.container, one.exitCode),
    })),
  },
  {
    weight: 3,
    arbitrary: fc.record({ container, script: fc.constantFrom(...CALL_SCRIPTS) }).map((one) => ({
      words: `the next call for ${one.container} ${one.script}`,
      happen: (world: World) => world.engine.script(one.container, one.script),
    })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ container, answers: fc.boolean() }).map((one) => ({
      words: `${one.container} ${one.answers ? 'answers' : 'refuses'}`,
      happen: (world: World) => world.engine.setAnswers(one.container, one.answers),
    })),
  },
  {
    weight: 2,
    arbitrary: fc.boolean().map((reachable) => ({
      words: `the engine is ${reachable ? 'back' : 'away'}`,
      happen: (world: World) => world.engine.setReachable(reachable),
    })),
  },
  {
    weight: 1,
    arbitrary: fc.record({ port, taken: fc.boolean() }).map((one) => ({
      words: `somebody ${one.taken ? 'takes' : 'frees'} port ${one.port}`,
      happen: (world: World) => void world.takenPorts[one.taken ? 'add' : 'delete'](one.port),
    })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ port, protocol: fc.constantFrom('tcp' as const, 'udp' as const) }).map((one) => ({
      words: `ten ${one.protocol} clients come to ${one.port} and leave`,
      happen: (world: World) => world.comeAndLeave(one.port, { protocol: one.protocol, times: 10 }),
    })),
  },
  { weight: 4, arbitrary: apply },
  {
    weight: 2,
    arbitrary: fc
      .record({ name: fc.constantFrom(...NAMES), ms: fc.constantFrom(1_000, 30_000, 300_000) })
      .map(({ name, ms }) => ({
        words: `somebody holds ${name} for ${ms} ms`,
        happen: (world: World) => world.hold(name, ms),
      })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...NAMES).map((name) => ({
      words: `somebody releases ${name}`,
      happen: (world: World) => world.release(name),
    })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        how: fc.constantFrom('ended' as const, 'killed' as const),
        cutAt: fc.option(fc.nat(), { nil: undefined }),
      })
      .map(({ how, cutAt }) => ({
        words: `the proxy is ${how}${cutAt === undefined ? '' : `, its file cut at ${cutAt}`}, and starts again`,
        happen: (world: World) => world.restart({ how, ...(cutAt !== undefined && { cutAt }) }),
      })),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(true, true, false).map((isLimited) => ({
      words: isLimited ? 'two may be awake at once' : 'all may be awake at once',
      happen: (world: World) => world.limit(isLimited),
    })),
  },
  {
    weight: 3,
    arbitrary: fc.record({ name: fc.constantFrom(...NAMES), availability }).map((one) => ({
      words: `${one.name} is ${one.availability} from now on`,
      happen: (world: World) => world.reload(one.name, { availability: one.availability }),
    })),
  },
];

const step: fc.Arbitrary<Step> = fc.oneof(...WEIGHTED);

const drain: Step = { words: 'the proxy drains', happen: (world) => world.drain() };

/** A history: a first table, then whatever happens, and perhaps, somewhere near the end, the proxy drains. */
export function arbitraryHistory(length: number): fc.Arbitrary<readonly Step[]> {
  return fc
    .record({
      first: apply,
      steps: fc.array(step, { maxLength: length, size: 'max' }),
      after: fc.option(fc.array(step, { maxLength: 20 }), { freq: 3 }),
    })
    .map(({ first, steps, after }) => [first, ...steps, ...(after === null ? [] : [drain, ...after])]);
}
