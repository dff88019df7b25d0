/**
 * Input: an event, and who is to get it. Output: headers and body of the post, as that receiver documents them, with the signature.
 * Guarantees: pure. Text from workloads means nothing to a chat service: it mentions nobody and formats nothing.
 *
 * Sources: docs.ntfy.sh/publish, gotify.net/api-docs (POST /message), Discord's "Execute Webhook", Slack's "Incoming webhooks".
 */
import { createHmac } from 'node:crypto';
import { formatListenAddress } from '../model/service.ts';
import { describeCause } from '../model/running/wake.ts';
import type { Webhook } from '../model/webhook.ts';
import type { WebhookEvent } from './webhook-event.ts';

/** The header with the signature of the body. */
export const SIGNATURE_HEADER = 'x-lazy-proxy-signature';

/** Discord takes 2,000 characters, ntfy 4,096 bytes. */
const MAX_CHARACTERS = 1_900;
const MAX_NTFY_BYTES = 4_000;

export interface FormattedPost {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** @param options.service the service that the event is about; undefined where it is about the proxy. */
export function formatPost(
  event: WebhookEvent,
  options: Pick<Webhook, 'format' | 'headers' | 'secret'> & { readonly service: string | undefined },
): FormattedPost {
  const { secret, service } = options;
  const { headers, body } = FORMATS[options.format](event, service);
  return {
    body,
    headers: {
      ...headers,
      ...lowerNames(options.headers),
      ...(secret !== undefined && { [SIGNATURE_HEADER]: `sha256=${sign(body, secret)}` }),
    },
  };
}

function sign(body: string, secret: string): string {
  return createHmac('sha256', secret).update(body).digest('hex');
}

/** So that the user's replace the proxy's, however they are written. */
function lowerNames(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

type Format = (event: WebhookEvent, service: string | undefined) => FormattedPost;

const FORMATS: Readonly<Record<Webhook['format'], Format>> = {
  json: (event, service) => toJson(service === undefined ? event : { ...event, service }),
  ntfy(event, service) {
    const { title, message, level } = describeEvent(event, service);
    const { priority, tags } = NTFY[level];
    const headers = { 'content-type': 'text/plain; charset=utf-8', title, priority, tags };
    return { headers, body: cutBytes(message, MAX_NTFY_BYTES) };
  },
  gotify(event, service) {
    const { title, message, level } = describeEvent(event, service);
    return toJson({ title, message: cut(message), priority: GOTIFY_PRIORITIES[level] });
  },
  discord(event, service) {
    const { title, message } = describeEvent(event, service);
    const content = `**${escapeMarkdown(title)}**\n${escapeMarkdown(message)}`;
    return toJson({ content: cut(content), allowed_mentions: { parse: [] } });
  },
  slack(event, service) {
    const { title, message } = describeEvent(event, service);
    return toJson({ text: escapeSlack(cut(`${title}\n${message}`)), mrkdwn: false });
  },
};

type Level = 'news' | 'warning' | 'error';

const NTFY: Readonly<Record<Level, { readonly priority: string; readonly tags: string }>> = {
  news: { priority: '3', tags: 'information_source' },
  warning: { priority: '3', tags: 'warning' },
  error: { priority: '4', tags: 'rotating_light' },
};
/** From 4 on a phone makes a sound, from 8 on it insists. */
const GOTIFY_PRIORITIES: Readonly<Record<Level, number>> = { news: 2, warning: 5, error: 8 };

interface Described {
  /** ASCII, since it may become a header. */
  readonly title: string;
  readonly message: string;
  readonly level: Level;
}

/** An event in the words of people. */
function describeEvent(event: WebhookEvent, service: string | undefined): Described {
  const name = service ?? ('container_name' in event ? event.container_name : undefined) ?? 'A front door';
  switch (event.event) {
    case 'container_started':
    case 'container_stopped': {
      const isStart = event.event === 'container_started';
      const cause = event.cause === undefined ? '' : ` ${describeCause(event.cause)}`;
      const reason = event.reason === undefined ? '' : `: ${event.reason}`;
      // It may have been paused and unpaused as well.
      return {
        title: isStart ? `${name} was started` : `${name} sleeps`,
        message: isStart
          ? `The proxy has started ${event.container_name}${cause}.`
          : `The proxy has put ${event.container_name} to sleep${reason}.`,
        level: 'news',
      };
    }
    case 'tcp_conn_start':
    case 'udp_flow_start':
      return { title: `${name}: a client came`, message: `It comes from ${remoteOf(event)}.`, level: 'news' };
    case 'tcp_conn_end':
    case 'udp_flow_end': {
      const { duration_ms: ms, bytes_sent: sent, bytes_received: received, listen_port: port } = event;
      const message = `It came from ${remoteOf(event)} to port ${port}, stayed for ${ms / 1_000} s, was sent ${sent} bytes and has sent ${received}.`;
      return { title: `${name}: a client left`, message, level: 'news' };
    }
    case 'wake_failed': {
      const message = `${event.reason}\nIt was started ${describeCause(event.cause)}, and tried for ${event.duration_ms / 1_000} s.`;
      return { title: `${name} did not wake`, message, level: 'error' };
    }
    case 'listener_lost': {
      const where = formatListenAddress({ address: event.listen_address, port: event.listen_port });
      const title = `${name} can't listen on ${where}/${event.protocol}`;
      return { title, message: `${event.reason}\nIt is tried again until it works.`, level: 'error' };
    }
    case 'reload_refused': {
      const { file, line, column, message, mistakes } = event;
      const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
      const more = mistakes > 1 ? ` (and ${mistakes - 1} more)` : '';
      return {
        title: 'The configuration is refused',
        message: `${place}: ${message}${more}\nThe last good configuration stays in force.`,
        level: 'error',
      };
    }
    case 'engine_lost':
      return {
        title: `The engine is lost: ${event.engine}`,
        message: `${event.reason}\nWhat is awake is served on; what sleeps can't be woken before it is back.`,
        level: 'error',
      };
    case 'engine_back':
      return {
        title: `The engine is back: ${event.engine}`,
        message: `It was away for ${Math.round(event.duration_ms / 1_000)} s.`,
        level: 'news',
      };
  }
}

function remoteOf(event: { readonly remote_addr: string; readonly remote_port: number }): string {
  return formatListenAddress({ address: event.remote_addr, port: event.remote_port });
}

function toJson(value: unknown): FormattedPost {
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

function escapeMarkdown(text: string): string {
  return text.replaceAll(/[\\*_~|`>#[\]()<-]/g, '\\$&');
}

function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Keeps pairs of UTF-16 units together. */
function cut(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text;
  return `${text.slice(0, MAX_CHARACTERS).replace(/[\ud800-\udbff]$/, '')}…`;
}

function cutBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  // What is left of a character that was cut has no meaning.
  return `${Buffer.from(text)
    .subarray(0, maxBytes)
    .toString()
    .replace(/\ufffd+$/, '')}…`;
}
