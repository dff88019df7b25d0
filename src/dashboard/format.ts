/** Figures in words. Pure. */

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** `<0.1 s`, `0.4 s`, `12 s`, `4 min 10 s`, `3 h 5 min`, `12 d 4 h`: two units at most. */
export function formatDuration(ms: number): string {
  const wholeMs = Math.max(0, ms);
  if (wholeMs > 0 && wholeMs < 50) return '<0.1 s';
  if (wholeMs < 10_000) return `${(Math.round(wholeMs / 100) / 10).toString()} s`;
  const roundedMs = Math.round(wholeMs / 1_000) * 1_000;
  const index = UNITS.findIndex(([, unitMs]) => roundedMs >= unitMs);
  const [big, small] = [UNITS[index], UNITS[index + 1]];
  if (big === undefined) return '0 s';
  const count = Math.floor(roundedMs / big[1]);
  const rest = small === undefined ? 0 : Math.floor((roundedMs % big[1]) / small[1]);
  return rest === 0 || small === undefined ? `${count} ${big[0]}` : `${count} ${big[0]} ${rest} ${small[0]}`;
}

/** The same in one unit, for what counts minutes at best: `14 min`, `3 h`, `12 d`. */
export function formatAge(ms: number): string {
  const [unit = 's', unitMs = 1_000] = UNITS.find(([, size]) => ms >= size) ?? [];
  return `${Math.max(0, Math.floor(ms / unitMs))} ${unit}`;
}

/** `just now`, `4 s ago`; times of the API have whole seconds. */
export function formatAgo(ms: number): string {
  return ms < 1_000 ? 'just now' : `${formatAge(ms)} ago`;
}

/** A countdown: `1:02:03`, `4:10`, `0:07`. */
export function formatCountdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1_000));
  const two = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, index] = [bytes, 0];
  while (value >= 1_024 && index < names.length - 1) [value, index] = [value / 1_024, index + 1];
  const digits = index === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${names[index]}`;
}

/** `1 connection`, `2 connections`. */
export function formatCount(count: number, word: string): string {
  return `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`;
}

/** `a`, `a and b`, `a, b and c`. */
export function joinWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** Characters that can't be seen, or that turn what follows them, are written out: a name looks like what it is. */
export function showText(text: string): string {
  return text.replace(UNSEEN, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

const UNSEEN = /(?!\t)[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;
