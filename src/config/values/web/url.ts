import { showUrl } from '../../../model/text/show-url.ts';
import { parseAccessEntry } from '../address.ts';
import { accept, type Parsed, refuse, showValue } from '../parsed.ts';

const HTTP_URL = /^https?:\/\/\S+$/i;
const PLACEHOLDER = '{{container}}';
const HOST_NAME = /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.-]*$/u;
const IPV4 = /^[\d.]+$/;

/** Reads an http or https URL as it was written; `''` = explicitly none. */
export function parseHttpUrl(raw: unknown): Parsed<string> {
  if (typeof raw !== 'string' || !(raw === '' || isHttpUrl(raw))) {
    return refuse('invalid-url', `${showUrlValue(raw)} is not an http:// or https:// URL`);
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
      `${showUrlValue(raw)} has an unknown placeholder; only ${PLACEHOLDER} is replaced`,
    );
  }
  const parsed = parseHttpUrl(filled);
  return parsed.ok
    ? accept(raw)
    : refuse('invalid-url', `${showUrlValue(raw)} is not a URL such as http://${PLACEHOLDER}:8080/health`);
}

/** If it isn't a URL, the whole value may be a secret, so it isn't shown. */
function showUrlValue(raw: unknown): string {
  if (typeof raw !== 'string') return showValue(raw);
  const shown = showUrl(raw.trim());
  return shown === '…' ? 'the value' : JSON.stringify(shown);
}

function isHttpUrl(text: string): boolean {
  return HTTP_URL.test(text) && !text.includes('{{') && URL.canParse(text) && hasLogin(new URL(text));
}

/** Whether user and password can be sent: a `%` in them begins an escape. */
function hasLogin({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads where a URL may lead: a host name (the result is lower case and has no dot at its end), an IP address or a CIDR
 * range.
 */
export function parseUrlHost(raw: unknown): Parsed<string> {
  const range = parseAccessEntry(raw);
  if (range.ok) return range;
  const wrong = `${showValue(raw)} is not a host name, IP address or CIDR range such as hooks.lan or 192.168.0.0/16`;
  if (typeof raw !== 'string' || !HOST_NAME.test(raw)) return refuse('invalid-address', wrong);
  const url = `http://${raw}/`;
  const host = URL.canParse(url) ? new URL(url).hostname.replace(/\.$/, '') : '';
  // A URL takes a host that looks like a number for an address.
  return host === '' || IPV4.test(host) ? refuse('invalid-address', wrong) : accept(host);
}

/** Reads a host name as browsers send it; the result is lower case and has no dot at its end. */
export function parseHostName(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && HOST_NAME.test(raw)) return accept(raw.toLowerCase().replace(/\.$/, ''));
  return refuse('invalid-address', `${showValue(raw)} is not a host name such as proxy.lan, without a port`);
}
