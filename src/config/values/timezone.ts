import { accept, type Parsed, refuse, showValue } from './parsed.ts';

const SHAPE = /^[A-Za-z][A-Za-z0-9_+/-]*$/;

/** Reads the name of an IANA time zone that this machine knows. */
export function parseTimezone(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && SHAPE.test(raw) && isKnownZone(raw)) return accept(raw);
  return refuse('invalid-timezone', `${showValue(raw)} is not a known time zone such as Europe/Paris or UTC`);
}

function isKnownZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }) !== undefined;
  } catch {
    return false;
  }
}
