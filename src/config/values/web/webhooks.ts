import {
  isClientEvent,
  PROXY_EVENTS,
  SERVICE_EVENTS,
  type Webhook,
  WEBHOOK_EVENTS,
  WEBHOOK_FORMATS,
  type WebhookEventName,
} from '../../../model/webhook.ts';
import type { SecretMark } from '../../secrets.ts';
import type { Path } from '../../yaml/path.ts';
import {
  accept,
  type Fault,
  faultsOf,
  isMapping,
  type Parsed,
  parseList,
  type Reading,
  refuse,
  showSecret,
  showValue,
  WRONG_FORM,
} from '../parsed.ts';
import { suggestNearest } from '../suggest.ts';
import { parseChoice } from '../text.ts';
import { parseHttpUrl } from './url.ts';

/** The keys of a webhook. */
export const WEBHOOK_KEYS: readonly string[] = ['url', 'events', 'headers', 'secret', 'format'];

const SECRETS: SecretMark = { url: 'all', headers: 'values', secret: 'all' };

/** A list of webhooks, as a row of FIELDS or SETTINGS has it. */
export const WEBHOOKS = {
  expected: '[] for none',
  formHint: (raw: unknown, rest: Path = []) => {
    if (isMapping(raw)) return '; write - before url';
    if (typeof raw !== 'string' || rest.length > 1) return '';
    return rest.length === 0 ? '; write "- url: " before it' : '; write "url: " before it';
  },
  itemKeys: WEBHOOK_KEYS,
  secret: SECRETS,
} as const;

/** Names of headers that say how the body is sent, which the proxy does. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-lazy-proxy-signature',
]);

/** Reads the webhooks of the proxy as a whole: they get every event. */
export function parseProxyWebhooks(raw: unknown): Reading<readonly Webhook[]> {
  return parseWebhooks(raw, WEBHOOK_EVENTS);
}

/** Reads the webhooks of a service: they get what happens to it. */
export function parseServiceWebhooks(raw: unknown): Reading<readonly Webhook[]> {
  return parseWebhooks(raw, SERVICE_EVENTS);
}

function parseWebhooks(raw: unknown, known: readonly WebhookEventName[]): Reading<readonly Webhook[]> {
  if (!Array.isArray(raw)) return WRONG_FORM;
  const webhooks: Webhook[] = [];
  const faults: Fault[] = [];
  raw.forEach((item: unknown, index) => {
    const reading = parseWebhook(item, known);
    if (reading.ok) webhooks.push(reading.value);
    else faults.push(...faultsOf(reading).map((fault) => ({ ...fault, path: [index, ...fault.path] })));
  });
  return webhooks.length === raw.length ? accept(webhooks) : { ok: false, faults };
}

function parseWebhook(raw: unknown, known: readonly WebhookEventName[]): Reading<Webhook> {
  if (!isMapping(raw)) return WRONG_FORM;
  const { url, events, headers, secret, format } = raw;
  const parts = {
    url: unlessEmpty(url, () => parseUrl(url)),
    events: events === undefined ? accept(defaultEvents(known)) : parseEvents(events, known),
    headers: headers === undefined ? accept({}) : parseHeaders(headers),
    secret: secret === undefined ? accept(undefined) : unlessEmpty(secret, () => parseSecret(secret)),
    format:
      format === undefined
        ? accept('json' as const)
        : unlessEmpty(format, () => parseChoice(format, WEBHOOK_FORMATS)),
  };
  const faults = Object.entries(parts).flatMap(([key, part]) =>
    part.ok ? [] : faultsOf(part).map((fault) => ({ ...fault, path: [key, ...fault.path] as Path })),
  );
  const { url: place, events: wanted, headers: sent, secret: key, format: form } = parts;
  // The schema tells of unknown keys.
  const isKnown = Object.keys(raw).every((name) => WEBHOOK_KEYS.includes(name));
  if (!isKnown || !place.ok || !wanted.ok || !sent.ok || !key.ok || !form.ok) return { ok: false, faults };
  const rest = {
    headers: sent.value,
    ...(key.value !== undefined && { secret: key.value }),
    format: form.value,
  };
  return accept({ url: place.value, events: wanted.value, ...rest });
}

/** Single connections and flows have to be asked for: there may be very many. */
function defaultEvents(known: readonly WebhookEventName[]): readonly WebhookEventName[] {
  return known.filter((event) => !isClientEvent(event));
}

/** The schema tells of what is missing, or has no value. */
function unlessEmpty<T>(raw: unknown, parse: () => Reading<T>): Reading<T> {
  return raw === undefined || raw === null ? (WRONG_FORM as Reading<T>) : parse();
}

function parseUrl(raw: unknown): Reading<string> {
  return raw === '' ? refuse('invalid-url', '"" is not an http:// or https:// URL') : parseHttpUrl(raw);
}

function parseEvents(raw: unknown, known: readonly WebhookEventName[]): Reading<readonly WebhookEventName[]> {
  const result = parseList(raw, (item): Parsed<WebhookEventName> => {
    const found = known.find((event) => event === item);
    if (found !== undefined) return accept(found);
    if (PROXY_EVENTS.some((event) => event === item))
      return refuse(
        'invalid-value',
        `${String(item)} is an event of the whole proxy; write it in webhooks at the top of the file`,
      );
    const remedy = typeof item === 'string' ? suggestNearest(item, known) : '';
    return refuse(
      'invalid-value',
      `${showValue(item)} is no event${remedy === '' ? `; known are ${known.join(', ')}` : remedy}`,
    );
  });
  return result.ok ? accept([...new Set(result.value)]) : result;
}

/** Names keep their case. Values may be secrets: no message shows them. */
function parseHeaders(raw: unknown): Reading<Readonly<Record<string, string>>> {
  if (!isMapping(raw)) return WRONG_FORM;
  const values: [string, string][] = [];
  const faults: Fault[] = [];
  const seen = new Set<string>();
  for (const [name, item] of Object.entries(raw)) {
    if (item === null) continue;
    const parsed = parseHeader(name, item);
    if (!parsed.ok) faults.push({ code: parsed.code, path: [name], message: parsed.message });
    else if (seen.has(name.toLowerCase()))
      faults.push({ code: 'exclusive-keys', path: [name], message: 'the same header is given above' });
    else values.push([name, parsed.value]);
    seen.add(name.toLowerCase());
  }
  return faults.length === 0 && !Object.values(raw).includes(null)
    ? accept(Object.fromEntries(values))
    : { ok: false, faults };
}

function parseHeader(name: string, raw: unknown): Parsed<string> {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
    return refuse('invalid-value', 'a header has a name of letters, digits and signs such as -');
  if (OWN_HEADERS.has(name.toLowerCase()))
    return refuse('invalid-value', 'the proxy sets this header itself');
  if (typeof raw === 'number' || typeof raw === 'boolean') return accept(String(raw));
  if (typeof raw !== 'string') return refuse('wrong-type', `${showSecret(raw)} is not text`);
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(raw)
    ? accept(raw.trim())
    : refuse('invalid-value', 'the value holds a line break or another character that no header can');
}

/** No message shows it. */
function parseSecret(raw: unknown): Parsed<string | undefined> {
  if (raw === '') return accept(undefined);
  if (typeof raw === 'number') return refuse('wrong-type', 'a number is not text; write it in quotes');
  if (typeof raw !== 'string') return refuse('wrong-type', `${showSecret(raw)} is not text`);
  return accept(raw);
}
