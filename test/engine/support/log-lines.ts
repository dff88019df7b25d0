import type { Readable } from 'node:stream';

/** One JSON line of the proxy's log. */
export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly msg: string;
  readonly event?: string;
  readonly service?: string;
  readonly client?: string;
  readonly [field: string]: unknown;
}

export interface LogLines {
  /** All lines so far. */
  all(): readonly LogLine[];
  /** Output that is no JSON. */
  strayText(): string;
  /** The first line, of those already there or still to come, for which `matches` holds; `from` skips lines. */
  waitFor(
    matches: (line: LogLine) => boolean,
    options?: { readonly timeoutMs?: number; readonly from?: number },
  ): Promise<LogLine>;
  /** Nothing more will come: whoever waits is told so. */
  end(reason: string): void;
}

/** Collects the JSON log of a child. */
export function collectLogLines(output: Readable): LogLines {
  const lines: LogLine[] = [];
  const waiting = new Set<() => void>();
  let stray = '';
  let partial = '';
  let endReason: string | undefined;
  const wakeAll = () => {
    for (const look of [...waiting]) look();
  };
  output.setEncoding('utf8');
  output.on('data', (text: string) => {
    const pieces = (partial + text).split('\n');
    partial = pieces.pop() ?? '';
    for (const piece of pieces) {
      const line = parseLine(piece);
      if (line === undefined) stray += `${piece}\n`;
      else lines.push(line);
    }
    wakeAll();
  });
  return {
    all: () => lines,
    strayText: () => stray + partial,
    waitFor: (matches, { timeoutMs = 30_000, from = 0 } = {}) =>
      new Promise((resolve, reject) => {
        const settle = (finish: () => void) => {
          waiting.delete(look);
          clearTimeout(timer);
          finish();
        };
        const fail = (why: string) => settle(() => reject(new Error(`${why}\n${describe(lines, stray)}`)));
        const timer = setTimeout(() => fail(`no such log line within ${timeoutMs} ms`), timeoutMs);
        const look = () => {
          const found = lines.slice(from).find(matches);
          if (found !== undefined) settle(() => resolve(found));
          else if (endReason !== undefined) fail(endReason);
        };
        waiting.add(look);
        look();
      }),
    end(reason) {
      endReason = reason;
      wakeAll();
    },
  };
}

function parseLine(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined;
  }
}

function describe(lines: readonly LogLine[], stray: string): string {
  const tail = lines.slice(-30).map((line) => `  ${line.level} ${line.event ?? ''} ${line.msg}`);
  return ['the log so far:', ...tail, stray].join('\n');
}
