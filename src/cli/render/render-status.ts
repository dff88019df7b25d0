/** `lazy-proxy status` as lines. Input: what the API answers. Output: lines without control characters that fit the terminal. Pure. */
import { escapeText } from '../../model/text/escape-text.ts';
import { formatProblem, type Problem } from '../../model/problem.ts';
import { widthOf } from '../../model/text/text-width.ts';
import type { Life } from '../../model/running/workload-report.ts';
import type {
  AboutAnswer,
  FindingAnswer,
  ListenerAnswer,
  ReloadAnswer,
  ServiceAnswer,
} from '../../status/api/answers.ts';
import {
  CONDITIONS,
  countOf,
  describeFinding,
  describeNext,
  describeState,
  describeWhy,
  formatBytes,
  formatListener,
  formatMoment,
  formatSince,
  formatSpan,
  type Times,
} from './service-words.ts';
import { type Cell, type Column, cutText, type Paint, renderTable, widthOfTable, wrapText } from './table.ts';

export interface StatusAnswers {
  readonly about: AboutAnswer;
  readonly services: readonly ServiceAnswer[];
  readonly reload: ReloadAnswer;
  readonly problems: readonly Problem[];
}

export interface Screen {
  /** Width of the terminal; undefined = any. */
  readonly columns: number | undefined;
  readonly paint: Paint;
}

const COLUMNS: readonly Column[] = [
  { title: 'SERVICE', minColumns: 12 },
  { title: 'STATE' },
  { title: 'SINCE' },
  { title: 'WHY', minColumns: 16 },
  { title: 'NEXT' },
  { title: 'PORTS', minColumns: 8 },
];
/** Where much of it doesn't fit: why something is so stands below each row. */
const NARROW_COLUMNS = COLUMNS.filter(({ title }) => title !== 'WHY');
/** Where any width will do: a longer reason would push what stands right of it out of sight. */
const MAX_WHY_COLUMNS = 120;
const MAX_PROBLEMS = 12;

/** The proxy in a line or two, its services as a table, what is wrong. */
export function renderStatus(answers: StatusAnswers, times: Times, screen: Screen): readonly string[] {
  const { reload, services, problems } = answers;
  // What is wrong with the file is told above, with its line.
  const told = new Set(reload.problems.map(({ text }) => text));
  const others = problems
    .map((problem) => ({ ...problem, text: formatProblem(problem) }))
    .filter(({ text }) => !told.has(text))
    .map(describeFinding);
  return [
    ...wrap(summarize(answers), screen),
    ...renderReload(reload, times, screen),
    '',
    ...renderServices(services, times, screen),
    ...renderProblems(others, screen),
  ];
}

/** The table alone; a reason that is too long gets lines of its own below its row, and where many are, all do. */
export function renderServices(
  services: readonly ServiceAnswer[],
  times: Times,
  screen: Screen,
): readonly string[] {
  if (services.length === 0) return ['There are no services.'];
  const parts = services.map((service) => ({
    head: [
      { text: service.name, style: 'bold' },
      describeState(service),
      { text: formatSince(service.since, times) },
    ] satisfies readonly Cell[],
    why: {
      text: describeWhy(service, times),
      style: service.failure === undefined ? 'plain' : 'red',
    } satisfies Cell,
    tail: [
      { text: describeNext(service, times) },
      { text: describePorts(service) },
    ] satisfies readonly Cell[],
  }));
  const { columns } = screen;
  const withoutWhy = parts.map(({ head, tail }) => [...head, ...tail]);
  const room =
    columns === undefined ? MAX_WHY_COLUMNS : columns - widthOfTable(COLUMNS, withoutWhy.map(addEmptyWhy));
  const isLong = ({ why }: (typeof parts)[number]) => widthOf(escapeText(why.text)) > Math.max(0, room);
  const isNarrow = parts.filter(isLong).length * 3 > parts.length;
  const [title = '', ...lines] = isNarrow
    ? renderTable(NARROW_COLUMNS, withoutWhy, screen)
    : renderTable(
        COLUMNS,
        parts.map((part) => [...part.head, isLong(part) ? { text: '' } : part.why, ...part.tail]),
        screen,
      );
  return [
    title,
    ...parts.flatMap((part, index) => {
      const { text, style } = part.why;
      const isBelow = text !== '' && (isNarrow || isLong(part));
      const why = isBelow ? wrapText(`  ${escapeText(text)}`, { columns, indent: '    ' }) : [];
      return [lines[index] ?? '', ...why.map((line) => screen.paint(line, style))];
    }),
  ];
}

function addEmptyWhy(cells: readonly Cell[]): readonly Cell[] {
  return [...cells.slice(0, 3), { text: '' }, ...cells.slice(3)];
}

const MAX_HOSTS = 3;

/** Its own ports, and for the front doors the names by which they lead to it: their ports are those of all. */
function describePorts({ listeners, urls = [] }: ServiceAnswer): string {
  const names = urls.map((url) => url.replace(/^https?:\/\/|\/$/g, ''));
  const isTold = ({ condition, hosts }: ListenerAnswer) => condition === 'bound' && hosts !== undefined;
  return [
    ...listeners.filter((listener) => !isTold(listener)).map(describePort),
    ...names.slice(0, MAX_HOSTS),
    ...(names.length > MAX_HOSTS ? [`+${names.length - MAX_HOSTS}`] : []),
  ].join(' ');
}

function describePort(listener: ListenerAnswer): string {
  return `${formatListener(listener)}${listener.condition === 'bound' ? '' : ` (${CONDITIONS[listener.condition]})`}`;
}

function summarize({ about, services }: StatusAnswers): string {
  const counts = new Map<string, number>();
  for (const service of services) {
    const { text } = describeState(service);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const states = [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
  const engines = about.engines.map(({ name, answers, problem }) =>
    answers ? `${name} answers` : `${name} does not answer${problem === undefined ? '' : `: ${problem}`}`,
  );
  const parts = [
    `lazy-proxy ${about.version}, ${about.phase === 'serving' ? 'up' : about.phase} ${formatSpan(about.uptime_ms)}`,
    `${countOf(services.length, 'service')}${states === '' ? '' : `: ${states}`}`,
    ...summarizeSaved(services),
    ...summarizeRoom(about),
    ...engines,
  ];
  return parts.join('; ');
}

/** `room: 5 of 5 awake, gpu 1 of 1 (images), 3.0 GiB of 6.0 GiB; 2 workloads wait for room`. */
function summarizeRoom({ room }: AboutAnswer): readonly string[] {
  if (room === undefined) return [];
  const { awake, memory, waiting } = room;
  const taken = [
    // Which are awake at all is what the table below says.
    ...awake.map(({ group, taken: count, max, services }) =>
      group === undefined ? `${count} of ${max} awake` : `${group} ${count} of ${max}${listNames(services)}`,
    ),
    ...(memory === undefined ? [] : [`${formatBytes(memory.taken)} of ${formatBytes(memory.max)}`]),
  ];
  const waits = waiting === 1 ? '1 workload waits' : `${waiting} workloads wait`;
  return [`room: ${taken.join(', ')}${waiting === 0 ? '' : `; ${waits} for room`}`];
}

function listNames(names: readonly string[]): string {
  return names.length === 0 ? '' : ` (${names.join(', ')})`;
}

/** What the services would have run for, and taken, without the proxy. */
function summarizeSaved(services: readonly ServiceAnswer[]): readonly string[] {
  const sum = (lives: readonly Life[]) =>
    services.reduce(
      (all, { time_ms: times }) => all + lives.reduce((ms, life) => ms + (times?.[life] ?? 0), 0),
      0,
    );
  const asleepMs = sum(['asleep']);
  // As the page counts: what has failed, or isn't there, is neither saved nor used.
  const allMs = sum(['asleep', 'waking', 'awake', 'stopping']);
  const lastBytes = services.flatMap(({ memory }) => memory?.last_bytes ?? []);
  return [
    ...(asleepMs === 0 ? [] : [`asleep ${Math.floor((100 * asleepMs) / allMs)} % of the time`]),
    ...(lastBytes.length === 0
      ? []
      : [
          `about ${formatBytes(lastBytes.reduce((sum, bytes) => sum + bytes, 0))} of memory given back (known of ${countOf(lastBytes.length, 'service')})`,
        ]),
  ];
}

/** Whether the last edit is in force; nothing where it is. */
export function renderReload(reload: ReloadAnswer, times: Times, screen: Screen): readonly string[] {
  const { file = 'the configuration file', refused_since: since, problems, waiting } = reload;
  const refusal =
    since === undefined
      ? []
      : [
          ...wrap(
            `${file} is refused since ${formatMoment(since, times)}; the last good configuration stays in force:`,
            screen,
          ).map((line) => screen.paint(line, 'red')),
          ...problems.slice(0, MAX_PROBLEMS).flatMap((problem) => renderFinding(problem, screen)),
          ...more(problems.length - MAX_PROBLEMS),
        ];
  return [
    ...refusal,
    ...waiting.flatMap(({ text }) => wrap(text, screen).map((line) => screen.paint(line, 'yellow'))),
  ];
}

/** A mistake, and the line of the file where it is. */
function renderFinding(finding: FindingAnswer, screen: Screen): readonly string[] {
  const source = (finding.caret?.split('\n') ?? []).map((line) =>
    screen.columns === undefined ? escapeText(line) : cutText(escapeText(line), screen.columns),
  );
  return [...wrap(describeFinding(finding), screen), ...source];
}

function renderProblems(problems: readonly string[], screen: Screen): readonly string[] {
  if (problems.length === 0) return [];
  return [
    '',
    screen.paint(`${countOf(problems.length, 'problem')}:`, 'yellow'),
    ...problems.slice(0, MAX_PROBLEMS).flatMap((text) => wrap(text, screen)),
    ...more(problems.length - MAX_PROBLEMS),
  ];
}

function more(count: number): readonly string[] {
  return count > 0 ? [`… and ${count} more; the page and /problems of the status port have all`] : [];
}

function wrap(text: string, { columns }: Screen): readonly string[] {
  return wrapText(escapeText(text), { columns, indent: '  ' });
}
