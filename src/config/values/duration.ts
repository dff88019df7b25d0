import { accept, type Parsed, refuse, showValue } from './parsed.ts';

const MAX_SECONDS = 999_999_999;
const AMOUNT = String.raw`(\d{1,9}(?:\.\d{1,9})?)`;
const PLAIN_SECONDS = new RegExp(`^${AMOUNT}$`);
const UNITS = [
  { name: 'w', ms: 604_800_000 },
  { name: 'd', ms: 86_400_000 },
  { name: 'h', ms: 3_600_000 },
  { name: 'm', ms: 60_000 },
  { name: 's', ms: 1_000 },
  { name: 'ms', ms: 1 },
] as const;
const WITH_UNITS = new RegExp(`^(?=.)${UNITS.map(({ name }) => `(?:${AMOUNT}${name})?`).join('')}$`);
/** Units as people write them, for the remedy. */
const UNIT_WORDS =
  /([\d.]+)\s*(w|weeks?|d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|ms|msecs?|milliseconds?)\b[\s,]*(?:and\s)?/gi;
const NEVER = /^(never|forever|infinite|infinity|none|off|disabled)$/i;

/** What a duration looks like, for messages. */
export const DURATION_EXPECTED = 'a duration such as 90 (seconds), "90s", "1h30m" or "500ms"';

/**
 * Reads a duration into milliseconds: a number of seconds, or text with the units w, d, h, m, s, ms in this order.
 * The result is rounded to a millisecond; a duration of more than 0 is at least 1 ms.
 */
export function parseDuration(raw: unknown): Parsed<number> {
  const ms = typeof raw === 'string' ? readText(raw) : readNumber(raw);
  if (ms !== undefined) return accept(roundMs(ms));
  if (typeof raw === 'number' && raw < 0) {
    return refuse('invalid-duration', `${showValue(raw)} is negative; it must be ${DURATION_EXPECTED}`);
  }
  const remedy = isTooLong(raw)
    ? `; at most ${MAX_SECONDS} seconds, which are some 31 years`
    : typeof raw === 'string'
      ? hintAtText(raw)
      : '';
  return refuse('invalid-duration', `${showValue(raw)} is not ${DURATION_EXPECTED}${remedy}`);
}

function isTooLong(raw: unknown): boolean {
  return typeof raw === 'number' ? raw > MAX_SECONDS : typeof raw === 'string' && /^\d{10,}[a-z]*$/.test(raw);
}

/** The remedy for other words and spaces, and for what lasts for ever. */
function hintAtText(text: string): string {
  if (isNever(text)) return '; there is no end to write, so write a long one such as "52w"';
  const written = text.trim().replaceAll(UNIT_WORDS, (_all, amount: string, word: string) => {
    const unit = word.toLowerCase();
    return `${amount}${/^(ms|milli)/.test(unit) ? 'ms' : unit.slice(0, 1)}`;
  });
  return readText(written) === undefined ? '' : `; write "${written}"`;
}

function isNever(raw: unknown): boolean {
  return typeof raw === 'string' && NEVER.test(raw.trim());
}

/** As parseDuration, for how long a service stays awake that nobody uses. */
export function parseIdleDuration(raw: unknown): Parsed<number> {
  if (!isNever(raw)) return parseDuration(raw);
  const message = `${showValue(raw)} is not ${DURATION_EXPECTED}; to keep the service awake once it is, write a long one such as "52w"`;
  return refuse('invalid-duration', message);
}

/** As parseSeconds, for how long a service stays awake that nobody uses. */
export function parseIdleSeconds(raw: unknown): Parsed<number> {
  if (!isNever(raw)) return parseSeconds(raw);
  const message = `${showValue(raw)} is not a number of seconds such as 90; to keep the service awake once it is, write many, such as 31449600 for 52 weeks`;
  return refuse('invalid-duration', message);
}

/** As parseDuration, but refuses 0. */
export function parsePositiveDuration(raw: unknown): Parsed<number> {
  const parsed = parseDuration(raw);
  if (parsed.ok && parsed.value === 0) {
    return refuse(
      'invalid-duration',
      `${showValue(raw)} is not more than 0; it must be ${DURATION_EXPECTED}`,
    );
  }
  return parsed;
}

/** Reads the value of a `*_secs` spelling: a bare number of seconds, also as text; milliseconds. */
export function parseSeconds(raw: unknown): Parsed<number> {
  if (typeof raw === 'string' && !PLAIN_SECONDS.test(raw)) {
    return refuse('invalid-duration', `${showValue(raw)} is not a number of seconds such as 90`);
  }
  const parsed = parseDuration(raw);
  return parsed.ok
    ? parsed
    : refuse('invalid-duration', `${showValue(raw)} is not a number of seconds such as 90`);
}

/** As parseSeconds, but refuses 0. */
export function parsePositiveSeconds(raw: unknown): Parsed<number> {
  const parsed = parseSeconds(raw);
  if (parsed.ok && parsed.value === 0) {
    return refuse(
      'invalid-duration',
      `${showValue(raw)} is not more than 0; it must be a number of seconds such as 90`,
    );
  }
  return parsed;
}

/** Of silence, in what the kernel takes: see relay/tcp/keep-alive.ts. */
const MIN_KEEPALIVE_MS = 1_000;
const MAX_KEEPALIVE_MS = 32_767_000;

/** Makes a reader of durations refuse what is no time for keepalive probes. */
export function withinKeepalive(parse: (raw: unknown) => Parsed<number>): (raw: unknown) => Parsed<number> {
  return (raw) => {
    const parsed = parse(raw);
    if (!parsed.ok && isNever(raw)) return refuse(parsed.code, `${showValue(raw)} is no time; write 0`);
    if (!parsed.ok || parsed.value === 0) return parsed;
    if (parsed.value >= MIN_KEEPALIVE_MS && parsed.value <= MAX_KEEPALIVE_MS) return parsed;
    const message = `${showValue(raw)} is not within 1s to 32767s, which is what the kernel takes; 0 asks nobody`;
    return refuse('invalid-duration', message);
  };
}

/** The shortest exact form of whole milliseconds: `2m`, `1h30m`, `500ms`, `0`. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0';
  let restMs = durationMs;
  let text = '';
  for (const unit of UNITS) {
    const amount = Math.floor(restMs / unit.ms);
    restMs -= amount * unit.ms;
    if (amount > 0) text += `${amount}${unit.name}`;
  }
  return text;
}

function readText(text: string): number | undefined {
  if (PLAIN_SECONDS.test(text)) return Number(text) * 1_000;
  const match = WITH_UNITS.exec(text);
  if (match === null) return undefined;
  return UNITS.reduce((sumMs, unit, index) => sumMs + Number(match[index + 1] ?? 0) * unit.ms, 0);
}

function readNumber(raw: unknown): number | undefined {
  return typeof raw === 'number' && raw >= 0 && raw <= MAX_SECONDS ? raw * 1_000 : undefined;
}

function roundMs(ms: number): number {
  return ms > 0 ? Math.max(1, Math.round(ms)) : 0;
}
