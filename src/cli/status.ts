import { escapeJson, escapeText } from '../model/text/escape-text.ts';
import type { Problem } from '../model/problem.ts';
import { formatLocalTime, parseTimestamp } from '../system/clock.ts';
import { EXIT_OK, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import { messageOf } from '../system/message-of.ts';
import type { AboutAnswer, ReloadAnswer, ServiceAnswer } from '../status/api/answers.ts';
import { renderServices, renderStatus, type Screen } from './render/render-status.ts';
import { type CommandIo, type CommandParts, explainUnfit } from './running-proxy.ts';
import type { Times } from './render/service-words.ts';
import { createPaint } from './render/table.ts';

/** How often `--watch` asks, ms. */
const WATCH_MS = 1_000;

export interface StatusOptions {
  /** undefined = all. */
  readonly service: string | undefined;
  readonly watch: boolean;
  readonly json: boolean;
}

/** Shows the services of a running proxy, or one of them; returns the exit status. */
export async function status(options: StatusOptions, parts: CommandParts): Promise<number> {
  const { proxy, io } = parts;
  if (options.watch) return watch(options, parts);
  const { service } = options;
  if (options.json)
    printJson(await (service === undefined ? proxy.get('/api/services') : proxy.getService(service)), io);
  else printLines(await render(service, parts), io);
  return EXIT_OK;
}

/** What the API has answered, as a document. */
export function printJson(answer: unknown, io: CommandIo): void {
  for (const line of escapeJson(JSON.stringify(answer, undefined, 2)).split('\n')) io.stdout(line);
}

/** Lines without control characters, but for colours where a terminal takes them. */
export function printLines(lines: readonly string[], io: CommandIo): void {
  if (io.terminal === undefined) for (const line of lines) io.stdout(line);
  else io.terminal.write(`${lines.join('\n')}\n`);
}

/** The width of the terminal, and colours where they are wanted. */
export function screenOf({ terminal, env }: CommandIo): Screen {
  return {
    columns: terminal?.columns(),
    paint: createPaint(terminal !== undefined && (env['NO_COLOR'] ?? '') === ''),
  };
}

export function timesOf({ clock }: CommandIo): Times {
  return {
    nowMs: clock.nowMs(),
    parse: parseTimestamp,
    local: (timestamp) => formatLocalTime(timestamp, 'datetime'),
  };
}

/** A token that was typed, and that no one asks for, may be meant for another proxy. */
export function warnOfToken({ has_token: hasToken }: AboutAnswer, { proxy, io }: CommandParts): void {
  if (proxy.wasTokenTyped && hasToken === false)
    io.stderr('lazy-proxy: the proxy has no token, so --token changes nothing; it is set as status.token');
}

async function render(name: string | undefined, parts: CommandParts): Promise<readonly string[]> {
  const { proxy, io } = parts;
  if (name !== undefined) {
    const service = (await proxy.getService(name)) as ServiceAnswer;
    return renderServices([service], timesOf(io), screenOf(io));
  }
  const [about, services, reload, problems] = await Promise.all(
    ['/api', '/api/services?memory=true', '/api/reload', '/problems'].map((path) => proxy.get(path)),
  );
  warnOfToken(about as AboutAnswer, parts);
  const answers = {
    about: about as AboutAnswer,
    services: services as readonly ServiceAnswer[],
    reload: reload as ReloadAnswer,
    problems: problems as readonly Problem[],
  };
  return renderStatus(answers, timesOf(io), screenOf(io));
}

/** Draws anew each second until a signal ends it; a proxy that is away is asked again. */
async function watch({ service }: StatusOptions, parts: CommandParts): Promise<number> {
  const { proxy, io } = parts;
  const { terminal } = io;
  if (terminal === undefined) {
    io.stderr('lazy-proxy: --watch needs a terminal; --json is for programs');
    return EXIT_UNUSABLE;
  }
  const ended = new AbortController();
  const forget = io.onSignal(['SIGINT', 'SIGTERM'], () => ended.abort());
  // Another screen, which leaves the one before as it was; the cursor is hidden.
  terminal.write('\u001b[?1049h\u001b[?25l');
  try {
    while (!ended.signal.aborted) {
      const lines = await render(service, parts).catch((error: unknown) => [
        escapeText(messageOf(explainUnfit(error, proxy))),
      ]);
      const rows = terminal.rows();
      const left = lines.length - rows + 1;
      const shown = left > 1 ? [...lines.slice(0, rows - 1), `… and ${left} more lines`] : lines;
      terminal.write(`\u001b[H${shown.map((line) => `${line}\u001b[K`).join('\n')}\u001b[J`);
      await io.clock.sleep(WATCH_MS, ended.signal).catch(() => {});
    }
  } finally {
    terminal.write('\u001b[?25h\u001b[?1049l');
    forget();
  }
  return EXIT_OK;
}
