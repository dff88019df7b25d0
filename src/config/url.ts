import { accept, type Parsed, refuse, showValue } from './parsed.ts';

const HTTP_URL = /^https?:\/\/\S+$/i;
const PLACEHOLDER = '{{container}}';

/** Reads an http or https URL as it was written; `''` = explicitly none. */
export function parseHttpUrl(raw: unknown): Parsed<string> {
  if (typeof raw !== 'string' || !(raw === '' || isHttpUrl(raw))) {
    return refuse('invalid-url', `${showValue(raw)} is not an http:// or https:// URL`);
  }
  return accept(raw);
}

/** As parseHttpUrl, but `{{container}}` may stand where the workload's host goes. */
export function parseHealthcheckUrl(raw: unknown): Parsed<string> {
  if (typeof raw !== 'string') return parseHttpUrl(raw);
  const filled = raw.replaceAll(PLACEHOLDER, 'container');
  if (/\{\{|\}\}/.test(filled)) {
    return refuse(
      'invalid-url',
      `${showValue(raw)} has an unknown placeholder; only ${PLACEHOLDER} is replaced`,
    );
  }
  const parsed = parseHttpUrl(filled);
  return parsed.ok
    ? accept(raw)
    : refuse('invalid-url', `${showValue(raw)} is not a URL such as http://${PLACEHOLDER}:8080/health`);
}

function isHttpUrl(text: string): boolean {
  return HTTP_URL.test(text) && !text.includes('{{') && URL.canParse(text);
}
