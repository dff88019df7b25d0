import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { WebhookFormat } from '../../src/model/webhook.ts';
import { formatPost } from '../../src/status/webhook-format.ts';
import { toOriginal, type WebhookEvent } from '../../src/status/webhook-event.ts';

const timestamp = '2026-04-01T12:00:00Z';
const subject = { timestamp, container_id: 'a1', container_name: 'my_db' };
const connection = { ...subject, connection_id: 'c1', remote_addr: '::1', remote_port: 4242 };
const ended = { ...connection, duration_ms: 1_500, bytes_sent: 20, bytes_received: 10, listen_port: 5432 };
const FAILED: WebhookEvent = {
  ...{ event: 'wake_failed', ...subject, cause: 'for 10.0.0.5:4242', duration_ms: 1_500 },
  reason: 'exit <!channel> @everyone & *code* 3',
};
const EVERY: readonly WebhookEvent[] = [
  { event: 'container_started', ...subject },
  { event: 'container_stopped', ...subject },
  { event: 'tcp_conn_start', ...connection },
  { event: 'tcp_conn_end', ...ended },
  { event: 'udp_flow_start', ...connection },
  { event: 'udp_flow_end', ...ended },
  FAILED,
  {
    ...{ event: 'listener_lost', timestamp, container_name: 'my_db', protocol: 'tcp' },
    ...{ listen_address: '', listen_port: 80, reason: 'another program listens there' },
  },
  { event: 'reload_refused', timestamp, file: 'f.yaml', line: 3, column: 7, message: 'wrong', mistakes: 2 },
  { event: 'engine_lost', timestamp, engine: 'docker', reason: 'connect ENOENT' },
  { event: 'engine_back', timestamp, engine: 'docker', duration_ms: 4_000 },
];

const post = (
  format: WebhookFormat,
  event: WebhookEvent = FAILED,
  more: { headers?: Record<string, string>; secret?: string } = {},
) => formatPost(event, { format, headers: {}, service: 'db', ...more });

describe('formatPost', () => {
  test('gives a program the event, and the service', () => {
    const { headers, body } = post('json');
    expect(headers).toEqual({ 'content-type': 'application/json' });
    expect(JSON.parse(body)).toEqual({ ...FAILED, service: 'db' });
  });

  test('gives ntfy the message as its body, and title, priority and tags as headers', () => {
    expect(post('ntfy')).toEqual({
      headers: {
        'content-type': 'text/plain; charset=utf-8',
        title: 'db did not wake',
        priority: '4',
        tags: 'rotating_light',
      },
      body: 'exit <!channel> @everyone & *code* 3\nIt was started for 10.0.0.5:4242, and tried for 1.5 s.',
    });
  });

  test('says of what has been paused or stopped alike that it was put to sleep', () => {
    const { headers, body } = post('ntfy', { event: 'container_stopped', ...subject });
    expect([headers['title'], body]).toEqual(['db sleeps', 'The proxy has put my_db to sleep.']);
    expect(post('ntfy', { event: 'container_started', ...subject }).headers['title']).toBe('db was started');
  });

  test('says for whom something was started, and why it sleeps, but not to what expects the original', () => {
    const started = { event: 'container_started', ...subject, cause: 'for 10.0.0.5:1' } as const;
    const stopped = { event: 'container_stopped', ...subject, reason: 'idle for 60 s' } as const;
    expect(post('ntfy', started).body).toBe('The proxy has started my_db for 10.0.0.5:1.');
    expect(post('ntfy', stopped).body).toBe('The proxy has put my_db to sleep: idle for 60 s.');
    expect(JSON.parse(post('json', stopped).body)).toEqual({ ...stopped, service: 'db' });
    expect(toOriginal(stopped)).toEqual({ event: 'container_stopped', ...subject });
    expect(toOriginal(FAILED)).toEqual(FAILED);
  });

  test('says what an engine that is lost, or a port that is taken, means', () => {
    const of = (name: string) => EVERY.find(({ event }) => event === name) as WebhookEvent;
    expect(post('ntfy', of('engine_lost')).body).toBe(
      "connect ENOENT\nWhat is awake is served on; what sleeps can't be woken before it is back.",
    );
    expect(post('ntfy', of('listener_lost')).body).toBe(
      'another program listens there\nIt is tried again until it works.',
    );
  });

  test('gives Gotify title, message and priority as JSON', () => {
    const { headers, body } = post('gotify');
    expect(headers).toEqual({ 'content-type': 'application/json' });
    expect(JSON.parse(body)).toEqual({
      title: 'db did not wake',
      message: expect.stringContaining('@everyone & *code* 3'),
      priority: 8,
    });
  });

  test('gives Discord a content that mentions nobody and formats nothing of the event', () => {
    const { headers, body } = post('discord');
    expect(headers).toEqual({ 'content-type': 'application/json' });
    const { content, ...rest } = JSON.parse(body);
    expect(rest).toEqual({ allowed_mentions: { parse: [] } });
    expect(content).toMatch(/^\*\*db did not wake\*\*\n/);
    expect(content).toContain('\\*code\\* 3');
  });

  test('gives Slack a text in which nothing is a command', () => {
    const { headers, body } = post('slack');
    expect(headers).toEqual({ 'content-type': 'application/json' });
    expect(JSON.parse(body)).toEqual({
      text: 'db did not wake\nexit &lt;!channel&gt; @everyone &amp; *code* 3\nIt was started for 10.0.0.5:4242, and tried for 1.5 s.',
      mrkdwn: false,
    });
  });

  test('keeps within what the receivers take, in whole characters', () => {
    const long: WebhookEvent = { ...FAILED, reason: '🔥'.repeat(10_000) } as WebhookEvent;
    expect(JSON.parse(post('discord', long).body).content.length).toBeLessThanOrEqual(2_000);
    const { body } = post('ntfy', long);
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(4_096);
    expect(body).toMatch(/^(🔥)+…$/u);
    expect(JSON.parse(post('slack', long).body).text).toMatch(/🔥…$/u);
  });

  test.each(['ntfy', 'gotify', 'discord', 'slack'] as const)('has words for every event: %s', (format) => {
    for (const event of EVERY) {
      const { headers, body } = post(format, event);
      expect(`${JSON.stringify(headers)}${body}`).not.toMatch(/undefined|NaN|\[object/);
      for (const value of Object.values(headers)) expect(value).toMatch(/^[\x20-\x7e]+$/);
      expect(body.length).toBeGreaterThan(10);
    }
  });

  test('sends the headers of the file, which come before its own', () => {
    const { headers } = post('ntfy', FAILED, { headers: { Authorization: 'Bearer x', Priority: '1' } });
    expect(headers).toMatchObject({ authorization: 'Bearer x', priority: '1' });
  });

  test('signs the very body with the secret, as the documentation verifies it', () => {
    const { headers, body } = post('json', FAILED, { secret: 's3cret' });
    const expected = createHmac('sha256', 's3cret').update(body).digest('hex');
    expect(headers['x-lazy-proxy-signature']).toBe(`sha256=${expected}`);
    expect(post('json').headers).not.toHaveProperty('x-lazy-proxy-signature');
  });
});

describe('the documented check of a signature', () => {
  const [, code = ''] = /```js\n(.*?)```/s.exec(readFileSync('docs/webhooks.md', 'utf8')) ?? [];
  const load = async (): Promise<(body: Buffer, signature: string | undefined, secret: string) => boolean> =>
    (await import(`data:text/javascript,${encodeURIComponent(code)}`)).isFromProxy;

  test('takes what the proxy sends, and nothing else', async () => {
    const isFromProxy = await load();
    const { headers, body } = post('json', FAILED, { secret: 's3cret' });
    const signature = headers['x-lazy-proxy-signature'];
    expect(isFromProxy(Buffer.from(body), signature, 's3cret')).toBe(true);
    expect(isFromProxy(Buffer.from(`${body} `), signature, 's3cret')).toBe(false);
    expect(isFromProxy(Buffer.from(body), signature, 'other')).toBe(false);
    expect(isFromProxy(Buffer.from(body), undefined, 's3cret')).toBe(false);
  });
});
