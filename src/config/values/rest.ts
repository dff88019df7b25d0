/** How a service is put to sleep. */
import { DURATION_EXPECTED, formatDuration, parseDuration } from './duration.ts';
import type { BusyCheck, TrafficRate } from '../../model/running/sleep.ts';
import {
  accept,
  isMapping,
  type Parsed,
  type Reading,
  refuse,
  refuseAt,
  showSecret,
  showValue,
  WRONG_FORM,
} from './parsed.ts';
import { parseCommand } from './process.ts';
import { parseHealthcheckUrl } from './web/url.ts';

export const PAUSE_AFTER_EXPECTED = `${DURATION_EXPECTED}, or never`;
export const STOP_SIGNAL_EXPECTED = 'a signal such as SIGINT, or "" for none';

const SIGNALS = [
  ...['HUP', 'INT', 'QUIT', 'ILL', 'TRAP', 'ABRT', 'BUS', 'FPE', 'KILL', 'USR1', 'SEGV', 'USR2', 'PIPE'],
  ...['ALRM', 'TERM', 'CHLD', 'TSTP', 'TTIN', 'TTOU', 'URG', 'XCPU', 'XFSZ', 'VTALRM', 'PROF'],
  ...['WINCH', 'IO', 'PWR', 'SYS'],
];
/** Those that systems give no name, as of systemd in a container. */
const REAL_TIME = /^RTM(IN(\+([0-9]|[12][0-9]|30))?|AX(-([0-9]|[12][0-9]|30))?)$/;

/** Reads an idle time, or `never`. */
export function parsePauseAfter(raw: unknown): Parsed<number | 'never'> {
  return raw === 'never' ? accept(raw) : parseDuration(raw);
}

export function formatPauseAfter(after: number | 'never'): string {
  return after === 'never' ? after : formatDuration(after);
}

/** Reads the name of a signal; the result is in capitals and begins with `SIG`. `''` = explicitly none. */
export function parseStopSignal(raw: unknown): Parsed<string> {
  if (raw === '') return accept('');
  const name = typeof raw === 'string' ? raw.trim().toUpperCase().replace(/^SIG/, '') : '';
  if (SIGNALS.includes(name) || REAL_TIME.test(name)) return accept(`SIG${name}`);
  const remedy = typeof raw === 'number' ? '; write its name' : '';
  const stops = name === 'STOP' || name === 'CONT' ? '; sleep: pause pauses a service' : '';
  return refuse(
    'invalid-value',
    `${showValue(raw)} is not the name of a signal such as SIGINT${remedy}${stops}`,
  );
}

export const RATE_EXPECTED = 'a rate such as 1KiB/min, 200B/s or 0';

const UNITS = { B: 1, KB: 1_000, KiB: 1_024, MB: 1_000_000, MiB: 1_048_576 } as const;
const RATE = /^(\d{1,9}(?:\.\d{1,3})?) ?(B|KB|KiB|MB|MiB) ?\/ ?(s|min|h)$/i;
const NOTHING: TrafficRate = { bytes: 0, per: 'min' };

/** Reads a rate of bytes; `0` = everything counts. The result has whole bytes. */
export function parseTrafficRate(raw: unknown): Parsed<TrafficRate> {
  if (raw === 0 || raw === '0') return accept(NOTHING);
  const [, amount = '', unit = '', per = ''] = (typeof raw === 'string' ? RATE.exec(raw.trim()) : null) ?? [];
  const size = Object.entries(UNITS).find(([name]) => name.toLowerCase() === unit.toLowerCase())?.[1];
  const remedy = typeof raw === 'number' ? `; write "${raw}B/min"` : '';
  if (size === undefined)
    return refuse('invalid-value', `${showValue(raw)} is not ${RATE_EXPECTED}${remedy}`);
  const bytes = Math.round(Number(amount) * size);
  return accept(bytes === 0 ? NOTHING : { bytes, per: per.toLowerCase() as TrafficRate['per'] });
}

/** The spelling that parseTrafficRate reads back. */
export function formatTrafficRate({ bytes, per }: TrafficRate): string {
  if (bytes === 0) return '0';
  const units = (['MiB', 'KiB'] as const).filter((unit) => bytes % UNITS[unit] === 0);
  const [unit = 'B'] = units;
  return `${bytes / UNITS[unit]}${unit}/${per}`;
}

/** The keys of a busy check, of which it has one. */
export const BUSY_CHECK_PARTS = ['url', 'command'] as const;
export const BUSY_CHECK_EXPECTED =
  'a mapping such as {url: "http://{{container}}:8080/busy"} or {command: [pgrep, backup]}, or off';

/** Text of a command is for the shell, as Compose's `CMD-SHELL`. */
const SHELL = ['/bin/sh', '-c'] as const;

/** A busy check as it was read; who wrote its URL is known when the layers are merged. */
export type ReadBusyCheck =
  | { readonly kind: 'url'; readonly url: string }
  | Extract<BusyCheck, { readonly kind: 'command' }>;

/** Reads how a service is asked whether it is busy. Commands may hold secrets: no message shows them. */
export function parseBusyCheck(raw: unknown): Reading<ReadBusyCheck | 'off'> {
  if (raw === 'off' || raw === false) return accept('off');
  if (typeof raw === 'string') {
    const part = /^https?:\/\//i.test(raw) ? 'url' : 'command';
    return refuse(
      'wrong-type',
      `text is not ${BUSY_CHECK_EXPECTED}; write busy_check: { ${part}: … } with the text as it is`,
    );
  }
  if (!isMapping(raw)) return WRONG_FORM;
  const { url, command } = raw;
  const given = BUSY_CHECK_PARTS.filter((part) => raw[part] !== undefined && raw[part] !== null);
  if (given.length > 1) return refuse('invalid-value', 'has both, url and command; give one of them');
  // What else is in it the schema tells.
  if (given.length === 0)
    return Object.keys(raw).length > 0
      ? WRONG_FORM
      : refuse('invalid-value', 'has neither url nor command; give one of them');
  if (command !== undefined && command !== null) return readCommand(command);
  const parsed = parseHealthcheckUrl(url);
  if (parsed.ok && parsed.value !== '') return accept({ kind: 'url', url: parsed.value });
  return parsed.ok
    ? refuseAt(['url'], 'invalid-url', '"" is no URL; write busy_check: off for none')
    : refuseAt(['url'], parsed.code, parsed.message);
}

function readCommand(raw: unknown): Reading<ReadBusyCheck> {
  const listed = typeof raw === 'string' ? readListText(raw) : raw;
  if (listed === undefined) return refuseAt(['command'], 'invalid-value', describeBrokenList(String(raw)));
  if (typeof listed === 'string') {
    const text = listed.trim();
    if (text === '' || text.includes('\0'))
      return refuseAt(['command'], 'invalid-value', 'the command is empty, or holds a NUL character');
    return accept({ kind: 'command', command: [...SHELL, text] });
  }
  if (!Array.isArray(listed))
    return refuseAt(
      ['command'],
      'wrong-type',
      `${showSecret(listed)} is not a command; write a list such as [pgrep, backup], or text for the shell`,
    );
  const parsed = parseCommand(listed);
  if (parsed.ok) return accept({ kind: 'command', command: parsed.value });
  if (!('faults' in parsed)) return refuseAt(['command'], parsed.code, parsed.message);
  return {
    ok: false,
    faults: parsed.faults.map((fault) => ({ ...fault, path: ['command', ...fault.path] })),
  };
}

/** A shell's own test, as `[ -e /busy ]`, begins and ends with a bracket beside a blank. */
const SHELL_TEST = /^\[\[?\s.*\s\]/s;

/** A label gives a list as JSON. @returns undefined where the text is meant as a list, and can't be read. */
function readListText(text: string): unknown {
  const trimmed = text.trim();
  if (!trimmed.startsWith('[')) return text;
  try {
    return JSON.parse(trimmed);
  } catch {
    return SHELL_TEST.test(trimmed) ? text : undefined;
  }
}

function describeBrokenList(text: string): string {
  const fault = text.trim().endsWith(']')
    ? 'its entries need double quotes, and commas between them'
    : 'its end, a ], is missing';
  return `the list can't be read: ${fault}; write a list as JSON, such as ["pgrep", "backup"], or text for the shell`;
}

/** The spelling that parseBusyCheck reads back. */
export function formatBusyCheck(check: BusyCheck | 'off'): unknown {
  if (check === 'off') return 'off';
  return check.kind === 'url' ? { url: check.url.url } : { command: check.command };
}
