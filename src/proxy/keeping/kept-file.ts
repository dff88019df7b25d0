/**
 * The file of what is kept across restarts. Input: its text, or what is to be kept. Output: what it holds, or why it can't be used; its text,
 * which is never longer than `MAX_KEPT_CHARACTERS`. Pure.
 */
import type { KeptHold, KeptWorkload } from '../../model/running/kept.ts';
import { SLEEP_KINDS, type Sleep, type SleepKind } from '../../model/running/sleep.ts';
import type { Wake } from '../../model/running/wake.ts';
import type { Life, Timeline } from '../../model/running/workload-report.ts';

/** What is kept of all workloads. Times are ms since the epoch. */
export interface Kept {
  readonly savedMs: number;
  /** By the keys of the workloads. */
  readonly workloads: ReadonlyMap<string, KeptWorkload>;
  readonly holds: readonly KeptHold[];
}

/** A newer program may write what this one would misread. */
const VERSION = 1;
export const MAX_KEPT_CHARACTERS = 4_194_304;
/** Of all workloads together; each has some, so that the usual time of a wake is known. */
const MAX_WAKES = { all: 10_000, each: 50, least: 5 } as const;
const DAY_MS = 86_400_000;
const MAX_UNSEEN_MS = 30 * DAY_MS;

const LIVES: readonly Life[] = ['unknown', 'asleep', 'waking', 'awake', 'failed', 'stopping'];
const RESULTS: readonly Wake['result'][] = ['ready', 'failed', 'ended'];

/** Writes what is kept. Of more than fits in, what was used last stays; what nobody had for 30 days goes. */
export function writeKept({ savedMs, workloads, holds }: Kept): string {
  const { all, each, least } = MAX_WAKES;
  const maxWakes = Math.min(each, Math.max(least, Math.floor(all / Math.max(1, workloads.size))));
  const parts = [...workloads]
    .filter(([, { seenMs }]) => savedMs - seenMs < MAX_UNSEEN_MS)
    .toSorted(([, a], [, b]) => (b.lastUsedMs ?? 0) - (a.lastUsedMs ?? 0))
    .map(([key, workload]) => `${JSON.stringify(key)}:${writeWorkload(workload, { savedMs, maxWakes })}`);
  const lasting = JSON.stringify(holds.filter(({ untilMs }) => untilMs > savedMs));
  const head = `{"version":${VERSION},"savedMs":${savedMs},"holds":${lasting},"workloads":{`;
  let room = MAX_KEPT_CHARACTERS - head.length - 3;
  const fitting = parts.filter((part) => {
    room -= part.length + 1;
    return room >= 0;
  });
  return `${head}${fitting.join(',')}}}\n`;
}

function writeWorkload(
  workload: KeptWorkload,
  { savedMs, maxWakes }: { readonly savedMs: number; readonly maxWakes: number },
): string {
  const { timeline, wakes, ...rest } = workload;
  // The one before the last day says how that began.
  const first = timeline.findLastIndex(({ atMs }) => atMs < savedMs - DAY_MS);
  const day = timeline.slice(Math.max(0, first));
  return JSON.stringify({
    ...rest,
    wakes: wakes.slice(-maxWakes).map(({ output: _, outputProblem: __, ...wake }) => wake),
    timeline: day.flatMap(({ atMs, life }) => [atMs, LIVES.indexOf(life)]),
    // Apart, so that an older version can read the rest.
    slept: day.flatMap(({ sleep }, index) => (sleep === undefined ? [] : [index, sleep])),
  });
}

/** Reads the file. @returns what it holds, or why it can't be used. */
export function readKept(text: string): Kept | { readonly why: string } {
  try {
    const file = asRecord(JSON.parse(text), 'the file');
    const { version } = file;
    if (version !== VERSION) {
      const isNewer = typeof version === 'number' && version > VERSION;
      return {
        why: isNewer ? `a newer lazy-proxy wrote it (version ${version})` : 'it has no known version',
      };
    }
    const workloads = Object.entries(asRecord(file['workloads'], 'workloads'));
    return {
      savedMs: asTime(file['savedMs'], 'savedMs'),
      workloads: new Map(workloads.map(([key, value]) => [key, readWorkload(value)])),
      holds: asList(file['holds'], 'holds').map(readHold),
    };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
}

function readWorkload(value: unknown): KeptWorkload {
  const workload = asRecord(value, 'a workload');
  const { lastUsedMs, lastSleep, wokenRun } = workload;
  return {
    services: asList(workload['services'], 'services').map((name) => asText(name, 'a service')),
    seenMs: asTime(workload['seenMs'], 'seenMs'),
    lastActiveMs: asTime(workload['lastActiveMs'], 'lastActiveMs'),
    wakes: asList(workload['wakes'], 'wakes').map(readWake),
    timeline: readTimeline(workload['timeline'], workload['slept']),
    ...(lastUsedMs !== undefined && { lastUsedMs: asTime(lastUsedMs, 'lastUsedMs') }),
    ...(lastSleep !== undefined && { lastSleep: readSleep(lastSleep) }),
    ...(wokenRun !== undefined && { wokenRun: asText(wokenRun, 'wokenRun') }),
  };
}

/** @param slept the places in the timeline where it is known why it slept, each with that. */
function readTimeline(value: unknown, slept: unknown): Timeline {
  const numbers = asList(value, 'timeline');
  const known = slept === undefined ? [] : asList(slept, 'slept');
  const sleeps = new Map<unknown, SleepKind>();
  for (let place = 0; place + 1 < known.length; place += 2) {
    const kind = known[place + 1];
    // One that only a newer version knows counts as none.
    if (isSleepKind(kind)) sleeps.set(known[place], kind);
  }
  return Array.from({ length: Math.floor(numbers.length / 2) }, (_, index) => {
    const life = LIVES[asTime(numbers[2 * index + 1], 'timeline')];
    if (life === undefined) throw new TypeError('timeline holds a state that is none');
    const sleep = sleeps.get(index);
    return { atMs: asTime(numbers[2 * index], 'timeline'), life, ...(sleep !== undefined && { sleep }) };
  });
}

function isSleepKind(value: unknown): value is SleepKind {
  return (SLEEP_KINDS as readonly unknown[]).includes(value);
}

function readWake(value: unknown): Wake {
  const wake = asRecord(value, 'a wake');
  const { by, reason, result } = wake;
  const phases = asRecord(wake['phases'], 'phases');
  // A version that knows more of them need not throw away what an older one has kept.
  const phase = (name: string) => asTime(phases[name] ?? 0, name);
  if (!RESULTS.includes(result as Wake['result'])) throw new TypeError('a wake has no known result');
  return {
    cause: asText(wake['cause'], 'cause'),
    atMs: asTime(wake['atMs'], 'atMs'),
    phases: {
      ...{ queue: phase('queue'), engine: phase('engine'), health: phase('health'), port: phase('port') },
      ...{ room: phase('room'), dependencies: phase('dependencies') },
    },
    result: result as Wake['result'],
    // It is shown and compared; what is no known cause counts as none.
    ...(by !== undefined && { by: asText(by, 'by') as NonNullable<Wake['by']> }),
    ...(reason !== undefined && { reason: asText(reason, 'reason') }),
  };
}

function readSleep(value: unknown): Sleep {
  const sleep = asRecord(value, 'a sleep');
  return {
    kind: asText(sleep['kind'], 'kind') as Sleep['kind'],
    words: asText(sleep['words'], 'words'),
    atMs: asTime(sleep['atMs'], 'atMs'),
  };
}

function readHold(value: unknown): KeptHold {
  const hold = asRecord(value, 'a hold');
  return {
    service: asText(hold['service'], 'service'),
    workload: asText(hold['workload'], 'workload'),
    untilMs: asTime(hold['untilMs'], 'untilMs'),
    by: asText(hold['by'], 'by'),
  };
}

function asRecord(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw new TypeError(`${what} is not a mapping`);
}

function asList(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(`${what} is not a list`);
}

function asText(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw new TypeError(`${what} is not a text`);
}

/** A time, or how long something took. */
function asTime(value: unknown, what: string): number {
  if (typeof value === 'number' && value >= 0) return value;
  throw new TypeError(`${what} is not a time`);
}
