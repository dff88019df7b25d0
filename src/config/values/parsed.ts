import type { ProblemCode } from '../../model/problem.ts';
import { showUrls } from '../../model/show-url.ts';

/** The outcome of parsing one value: the canonical value, or a mistake in words that follow the field's name. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: ProblemCode; readonly message: string };

/** A canonical value. */
export function accept<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

/** A mistake; `message` names the value and what would be right. */
export function refuse(code: ProblemCode, message: string): Parsed<never> {
  return { ok: false, code, message };
}

/** An environment variable that gives a value. */
export interface EnvironmentVariable<T = unknown> {
  readonly name: string;
  /** Reads its text, which is trimmed and not empty. */
  readonly parse: (text: string) => Parsed<T>;
  /** What happens where its text is not usable, for the warning. */
  readonly otherwise: string;
}

const MAX_SHOWN_CHARACTERS = 80;

/**
 * A user's value as a message shows it: text in quotes, collections by their kind, cut at 80 characters; of URLs scheme and
 * host alone.
 */
export function showValue(raw: unknown): string {
  if (raw === null || raw === undefined) return 'nothing';
  if (Array.isArray(raw)) return 'a list';
  if (typeof raw === 'object') return 'a mapping';
  const shown = typeof raw === 'string' ? JSON.stringify(showUrls(raw)) : String(raw);
  return shown.length > MAX_SHOWN_CHARACTERS ? `${shown.slice(0, MAX_SHOWN_CHARACTERS)}…` : shown;
}

/** Whether a value read from YAML is a mapping. */
export function isMapping(raw: unknown): raw is Readonly<Record<string, unknown>> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw);
}
