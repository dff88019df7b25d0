/** How a service is put to sleep. */
import { DURATION_EXPECTED, formatDuration, parseDuration } from './duration.ts';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';

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
