import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createConnectionEnd,
  createConnectionStart,
  createContainerEvent,
  type WebhookEvent,
} from '../../src/status/webhook-event.ts';
import { WEBHOOK_EVENTS } from '../../src/model/webhook.ts';
import { WebhookSender, type WebhookTarget } from '../../src/status/webhook-sender.ts';
import type { CheckTarget } from '../../src/system/net/http-client.ts';
import { type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { aWebhook } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';

interface Post {
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly response: ServerResponse;
  /** The sender has gone away before the answer. */
  gone: boolean;
}

describe('WebhookSender', () => {
  let clock: FakeClock;
  let lines: string[];
  let sender: WebhookSender;
  let server: Server;
  let posts: Post[];
  let base: string;
  /** What the receiver answers with, unless the test does it. */
  let status: number | undefined;
  beforeEach(async () => {
    clock = new FakeClock();
    lines = [];
    posts = [];
    status = 200;
    const logger: Logger = { ...silentLogger, warn: (_fields, message) => void lines.push(message) };
    sender = new WebhookSender({ clock, logger });
    server = createServer(async (request, response) => {
      const { url = '', method = '', headers } = request;
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const post = {
        path: url,
        method,
        headers,
        body: Buffer.concat(chunks).toString(),
        response,
        gone: false,
      };
      response.once('close', () => {
        post.gone = !response.writableFinished;
      });
      posts.push(post);
      if (status !== undefined) response.writeHead(status).end('thanks');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    sender.close();
    await settle();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await settle();
    expect(clock.pending).toBe(0);
  });
  const anEvent = (name = 'db'): WebhookEvent =>
    createContainerEvent('container_started', {
      // Which the original's receivers don't get.
      ...{ subject: { id: 'a1', name }, nowMs: clock.nowMs(), why: 'for 10.0.0.5:1' },
    });
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  const turns = async () => {
    for (let turn = 0; turn < 50; turn++) await settle();
  };
  const names = () => posts.map(({ body }) => JSON.parse(body).container_name);

  test('posts an event as JSON', async () => {
    sender.send(aWebhook(`${base}/hooks/db?x=1`), anEvent());
    await until(() => posts.length === 1);
    const [post] = posts;
    expect(post?.method).toBe('POST');
    expect(post?.path).toBe('/hooks/db?x=1');
    expect(post?.headers['content-type']).toBe('application/json');
    expect(post?.headers['user-agent']).toBe('lazy-proxy');
    expect(post?.headers['content-length']).toBe(String(post?.body.length));
    expect(JSON.parse(post?.body ?? '')).toEqual({
      event: 'container_started',
      timestamp: '2026-04-01T12:00:00Z',
      container_id: 'a1',
      container_name: 'db',
    });
    await turns();
    expect(lines).toEqual([]);
    expect(posts).toHaveLength(1);
  });

  test('posts the events of one receiver in order, one at a time', async () => {
    status = undefined;
    const all = Array.from({ length: 20 }, (_, index) => `e${index}`);
    for (const name of all) sender.send(aWebhook(`${base}/`), anEvent(name));
    for (let count = 1; count <= all.length; count++) {
      await until(() => posts.length === count);
      await turns();
      expect(posts).toHaveLength(count);
      posts.at(-1)?.response.end();
    }
    expect(names()).toEqual(all);
  });

  test('posts to 64 receivers at once and no more', async () => {
    status = undefined;
    for (let receiver = 0; receiver < 70; receiver++) sender.send(aWebhook(`${base}/${receiver}`), anEvent());
    await until(() => posts.length === 64);
    await turns();
    const expected = Array.from({ length: 64 }, (_, receiver) => `/${receiver}`);
    expect(posts.map(({ path }) => path).sort()).toEqual(expected.sort());
    posts[0]?.response.end();
    await until(() => posts.length === 65);
    await turns();
    expect(posts.slice(64).map(({ path }) => path)).toEqual(['/64']);
  });

  test('gives each receiver its turn when many are busy', async () => {
    for (let receiver = 0; receiver < 8; receiver++) {
      for (let count = 0; count < 10; count++) sender.send(aWebhook(`${base}/${receiver}`), anEvent());
    }
    sender.send(aWebhook(`${base}/last`), anEvent());
    await until(() => posts.length === 81);
    expect(posts.findIndex(({ path }) => path === '/last')).toBeLessThan(40);
  });

  test('delays nobody because one receiver hangs', async () => {
    status = undefined;
    sender.send(aWebhook(`${base}/hangs`), anEvent());
    sender.send(aWebhook(`${base}/hangs`), anEvent());
    await until(() => posts.length === 1);
    status = 200;
    for (let count = 0; count < 20; count++) sender.send(aWebhook(`${base}/well`), anEvent());
    await until(() => posts.length === 21);
    expect(posts.filter(({ path }) => path === '/hangs')).toHaveLength(1);
  });

  test('gives a receiver 5 s, warns once, and goes on with the next event', async () => {
    status = undefined;
    sender.send(aWebhook(`${base}/secret`), anEvent('one'));
    await until(() => posts.length === 1);
    sender.send(aWebhook(`${base}/secret`), anEvent('two'));
    await clock.advance(4_999);
    expect(lines).toEqual([]);
    await clock.advance(1);
    await until(() => posts.length === 2);
    expect(lines).toEqual([
      `webhook container_started of web to ${base.slice('http://'.length)} failed: no answer within 5 s`,
    ]);
    await until(() => posts[0]?.gone === true);
    expect(names()).toEqual(['one', 'two']);
  });

  test('does not wait for the rest of an answer that has begun', async () => {
    status = undefined;
    sender.send(aWebhook(`${base}/`), anEvent());
    await until(() => posts.length === 1);
    posts[0]?.response.writeHead(200).write('and so on');
    await until(() => posts[0]?.gone === true);
    expect(lines).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test.each([404, 500, 301])('warns of an answer of %i, and does not try again', async (code) => {
    status = code;
    sender.send(aWebhook(`${base}/`), anEvent());
    await until(() => lines.length === 1);
    await turns();
    expect(lines[0]).toContain(`it answered ${code}`);
    expect(posts).toHaveLength(1);
  });

  test.each([200, 202, 204])('is content with %i', async (code) => {
    status = code;
    sender.send(aWebhook(`${base}/`), anEvent());
    await until(() => posts.length === 1);
    await turns();
    expect(lines).toEqual([]);
  });

  test('warns when nobody listens, without the path, which may hold a secret', async () => {
    const port = await freePort();
    sender.send(aWebhook(`http://user:password@127.0.0.1:${port}/services/T0/B0/secret?token=x`), anEvent());
    await until(() => lines.length === 1);
    expect(lines[0]).toContain(`webhook container_started of web to 127.0.0.1:${port} failed: `);
    expect(lines[0]).toContain('ECONNREFUSED');
    expect(lines[0]).not.toMatch(/secret|token|password|services/);
  });

  test('warns when a receiver breaks off', async () => {
    status = undefined;
    sender.send(aWebhook(`${base}/`), anEvent());
    await until(() => posts.length === 1);
    posts[0]?.response.destroy();
    await until(() => lines.length === 1);
    expect(lines[0]).toContain('failed: ');
  });

  test('asks where the URL of a label leads before it connects, and never where that of the file does', async () => {
    const targets: unknown[] = [];
    const logger: Logger = { ...silentLogger, warn: (_fields, message) => void lines.push(message) };
    const checkLabelUrl: CheckTarget = (target) => {
      targets.push(target);
      return 'it may not';
    };
    const guarded = new WebhookSender({ clock, logger, checkLabelUrl });
    guarded.send(aWebhook(`${base}/secret`, 'label'), anEvent());
    await until(() => lines.length === 1);
    const { host, port } = new URL(base);
    expect(lines).toEqual([`webhook container_started of web to ${host} failed: it may not`]);
    expect(targets).toEqual([{ host: '127.0.0.1', address: '127.0.0.1', port: Number(port) }]);
    guarded.send(aWebhook(`${base}/secret`), anEvent());
    await until(() => posts.length === 1);
    expect(targets).toHaveLength(1);
    guarded.close();
  });

  test('sends nothing to the URL of a label unless it is told where that may lead', async () => {
    sender.send(aWebhook(`${base}/`, 'label'), anEvent());
    await until(() => lines.length === 1);
    expect(lines[0]).toContain('a webhook URL of a label is not allowed');
    expect(posts).toHaveLength(0);
  });

  test('warns once a second, and says how many more failed', async () => {
    status = 500;
    for (let count = 0; count < 4; count++) sender.send(aWebhook(`${base}/`), anEvent());
    await until(() => posts.length === 4);
    await turns();
    expect(lines).toHaveLength(1);
    await clock.advance(1_000);
    sender.send(aWebhook(`${base}/`), anEvent());
    await until(() => lines.length === 2);
    expect(lines[1]).toContain('failed (and 3 more): ');
  });

  test('drops what is more than 1,024 events behind, with a warning, and keeps the order of the rest', async () => {
    status = undefined;
    for (let count = 0; count < 1_030; count++) sender.send(aWebhook(`${base}/`), anEvent(`e${count}`));
    expect(lines).toEqual([expect.stringContaining('1024 events wait already')]);
    await until(() => posts.length === 1);
    status = 200;
    posts[0]?.response.end();
    await until(() => posts.length === 1_025);
    await turns();
    expect(posts).toHaveLength(1_025);
    expect(names().at(-1)).toBe('e1024');
  });

  test('is flushed when everything is sent', async () => {
    sender.send(aWebhook(`${base}/a`), anEvent());
    sender.send(aWebhook(`${base}/a`), anEvent());
    await sender.flush(1_000);
    expect(posts).toHaveLength(2);
  });

  test('is flushed at the deadline when a receiver hangs', async () => {
    status = undefined;
    sender.send(aWebhook(`${base}/a`), anEvent());
    let flushed = false;
    const flush = sender.flush(1_000).then(() => {
      flushed = true;
    });
    await until(() => posts.length === 1);
    expect(flushed).toBe(false);
    await clock.advance(1_000);
    await flush;
  });

  test('gives up what is left when it is closed, says in one line how much, and sends nothing more', async () => {
    status = undefined;
    sender.send(aWebhook(`${base}/`), anEvent('one'));
    sender.send(aWebhook(`${base}/`), anEvent('two'));
    await until(() => posts.length === 1);
    sender.close();
    sender.close();
    sender.send(aWebhook(`${base}/`), anEvent('three'));
    await until(() => posts[0]?.gone === true);
    await turns();
    expect(names()).toEqual(['one']);
    expect(lines).toEqual(['2 webhook events were not delivered before the end of the proxy']);
    expect(clock.pending).toBe(0);
  });

  describe('of a list of webhooks', () => {
    const aHook = (path: string, more: Partial<WebhookTarget> = {}): WebhookTarget => ({
      ...{ url: `${base}${path}`, from: 'file', service: 'web', events: WEBHOOK_EVENTS },
      ...{ headers: {}, format: 'json' },
      ...more,
    });
    const anEngineEvent = (event: 'engine_lost' = 'engine_lost'): WebhookEvent => ({
      ...{ event, timestamp: '2026-04-01T12:00:00Z', engine: 'docker', reason: 'gone' },
    });
    const clientEvent = (event: 'tcp_conn_start' | 'tcp_conn_end', connectionId = 'c1') => {
      const remote = { address: '10.0.0.5', port: 4242 };
      const details = { subject: { id: 'a1', name: 'db' }, connectionId, remote, nowMs: clock.nowMs() };
      return event === 'tcp_conn_start'
        ? createConnectionStart(event, details)
        : createConnectionEnd(event, { ...details, durationMs: 1, bytesUp: 2, bytesDown: 3, listenPort: 4 });
    };
    const paths = () => posts.map(({ path }) => path);

    test('posts with the headers and the signature of the file', async () => {
      sender.send(aHook('/x', { headers: { Authorization: 'Bearer x' }, secret: 's3cret' }), anEvent());
      await until(() => posts.length === 1);
      const { headers, body = '' } = posts[0] ?? {};
      expect(headers).toMatchObject({
        authorization: 'Bearer x',
        'content-type': 'application/json',
        'x-lazy-proxy-signature': `sha256=${createHmac('sha256', 's3cret').update(body).digest('hex')}`,
      });
      expect(JSON.parse(body)).toMatchObject({
        ...{ event: 'container_started', service: 'web', cause: 'for 10.0.0.5:1' },
      });
    });

    test.each([
      ['ntfy', 'text/plain; charset=utf-8', /^gone\nWhat is awake/],
      ['gotify', 'application/json', /^{"title":"[^"]+","message":"gone[^"]+","priority":8}$/],
      ['discord', 'application/json', /^{"content":"[^"]+","allowed_mentions":{"parse":\[\]}}$/],
      ['slack', 'application/json', /^{"text":"[^"]+","mrkdwn":false}$/],
    ] as const)('posts to %s in its own form, signed as it is sent', async (format, type, form) => {
      sender.send(aHook('/topic', { format, secret: 's3cret', service: undefined }), anEngineEvent());
      await until(() => posts.length === 1);
      const { headers, body = '' } = posts[0] ?? {};
      expect(body).toMatch(form);
      expect(headers).toMatchObject({
        'content-type': type,
        ...(format === 'ntfy' && {
          title: 'The engine is lost: docker',
          priority: '4',
          tags: 'rotating_light',
        }),
        'x-lazy-proxy-signature': `sha256=${createHmac('sha256', 's3cret').update(body).digest('hex')}`,
      });
    });

    test('posts what a webhook asks for, and nothing else', async () => {
      sender.send(aHook('/few', { events: ['engine_lost'] }), anEvent());
      sender.send(aHook('/few', { events: ['engine_lost'] }), anEngineEvent());
      await until(() => posts.length === 1);
      await turns();
      expect(posts.map(({ body }) => JSON.parse(body).event)).toEqual(['engine_lost']);
    });

    test('posts an event again, ever more seldom, until it is taken', async () => {
      status = 500;
      sender.send(aHook('/x'), anEvent());
      await until(() => posts.length === 1);
      await turns();
      let tries = 1;
      for (const delayMs of [1_000, 2_000, 4_000, 8_000]) {
        await clock.advance(delayMs - 1);
        await turns();
        expect(posts).toHaveLength(tries);
        await clock.advance(1);
        tries++;
        await until(() => posts.length === tries);
        await turns();
      }
      status = 204;
      await clock.advance(16_000);
      await until(() => posts.length === tries + 1);
      await turns();
      await clock.advance(300_000);
      await turns();
      expect(posts).toHaveLength(tries + 1);
      expect(lines).toEqual([
        expect.stringMatching(/failed: it answered 500; it is sent again for 2 minutes$/),
      ]);
    });

    test('gives an event up within two minutes', async () => {
      status = 503;
      sender.send(aHook('/x'), anEvent());
      const beganMs = clock.monotonicMs();
      let lastMs = 0;
      for (let second = 0; second < 300; second++) {
        const before = posts.length;
        await clock.advance(1_000);
        await turns();
        if (posts.length > before) lastMs = clock.monotonicMs() - beganMs;
      }
      expect(posts).toHaveLength(8);
      expect(lastMs).toBeLessThanOrEqual(120_000);
      expect(lines.at(-1)).toMatch(/failed: it answered 503, 8 times; it is given up$/);
    });

    test('waits for as long as the receiver says, but not beyond two minutes', async () => {
      status = undefined;
      sender.send(aHook('/x'), anEvent());
      await until(() => posts.length === 1);
      posts[0]?.response.writeHead(429, { 'retry-after': '7' }).end();
      await turns();
      await clock.advance(6_999);
      await turns();
      expect(posts).toHaveLength(1);
      await clock.advance(1);
      await until(() => posts.length === 2);
      posts[1]?.response.writeHead(429, { 'retry-after': '600' }).end();
      await turns();
      expect(lines.at(-1)).toMatch(/it answered 429, 2 times; it is given up$/);
    });

    test.each([
      ['what a receiver does not want', 400, () => [anEvent()]],
      [
        'the start and end of a client',
        500,
        () => [clientEvent('tcp_conn_start'), clientEvent('tcp_conn_end')],
      ],
    ] as const)('never posts again %s', async (_what, answer, events) => {
      status = answer;
      for (const event of events()) sender.send(aHook('/x'), event);
      await until(() => posts.length === events().length);
      await turns();
      await clock.advance(300_000);
      await turns();
      expect(posts).toHaveLength(events().length);
    });

    test('holds back only what belongs to an event that is posted again, and keeps its order', async () => {
      status = 500;
      sender.send(aHook('/'), anEvent('one'));
      await until(() => posts.length === 1);
      await turns();
      status = 200;
      const stopped = createContainerEvent('container_stopped', {
        ...{ subject: { id: 'a1', name: 'one' }, nowMs: clock.nowMs() },
      });
      sender.send(aHook('/'), stopped);
      sender.send(aHook('/'), anEvent('two'));
      await until(() => posts.length === 2);
      await turns();
      expect(posts).toHaveLength(2);
      await clock.advance(1_000);
      await until(() => posts.length === 4);
      expect(
        posts
          .map(({ body }) => JSON.parse(body))
          .map(({ event, container_name: name }) => `${event} ${name}`),
      ).toEqual([
        'container_started one',
        'container_started two',
        'container_started one',
        'container_stopped one',
      ]);
    });

    test('tries once more at the end what waits to be posted again', async () => {
      status = 500;
      sender.send(aHook('/'), anEvent());
      await until(() => posts.length === 1);
      await turns();
      const flushed = sender.flush(1_000);
      await until(() => posts.length === 2);
      await flushed;
      expect(clock.pending).toBe(0);
    });

    test('takes a bounded number of events for a receiver that fails', async () => {
      status = undefined;
      for (let count = 0; count < 5_000; count++) sender.send(aHook('/'), anEngineEvent());
      // Ends of clients whose start is not asked for, too.
      for (let count = 0; count < 5_000; count++)
        sender.send(aHook('/', { events: ['tcp_conn_end'] }), clientEvent('tcp_conn_end', `c${count}`));
      await until(() => posts.length === 1);
      sender.close();
      expect(lines.at(-1)).toMatch(/^20\d\d webhook events were not delivered/);
    });

    test('does not tell of an event that is kept from its own service', async () => {
      const guarded = new WebhookSender({
        ...{ clock, logger: { ...silentLogger, warn: (_fields, message) => void lines.push(message) } },
        checkUrl: (_target, service) => (service === 'web' ? { reason: 'own', isExpected: true } : undefined),
      });
      guarded.send(aHook('/own'), anEvent());
      guarded.send(aHook('/own', { service: 'other' }), anEvent('other'));
      await until(() => posts.length === 1);
      await turns();
      expect({ paths: paths(), lines, names: names() }).toEqual({
        paths: ['/own'],
        lines: [],
        names: ['other'],
      });
      expect(guarded.refusalOf(aHook('/own'))).toBeUndefined();
      guarded.close();
    });
  });

  describe('with the starts and ends of connections', () => {
    const SUBJECT = { id: 'a1', name: 'db' };
    let count: number;
    beforeEach(() => {
      count = 0;
    });
    /** A connection whose start is sent; the function sends its end. */
    const begin = (path = '/') => {
      const connectionId = `c${count++}`;
      const send = (event: 'tcp_conn_start' | 'tcp_conn_end') => {
        const remote = { address: '10.0.0.5', port: 4242 };
        const details = { subject: SUBJECT, connectionId, remote, nowMs: clock.nowMs() };
        const sent =
          event === 'tcp_conn_start'
            ? createConnectionStart(event, details)
            : createConnectionEnd(event, {
                ...details,
                durationMs: 1,
                bytesUp: 2,
                bytesDown: 3,
                listenPort: 4,
              });
        sender.send(aWebhook(`${base}${path}`), sent);
      };
      send('tcp_conn_start');
      return () => send('tcp_conn_end');
    };
    const received = () => posts.map(({ body }) => JSON.parse(body));
    const idsOf = (event: string) =>
      received()
        .filter((post) => post.event === event)
        .map((post) => post.connection_id);
    /** Each of them answered `perTurn` at a time. */
    const answerAll = async () => {
      status = 200;
      for (const { response } of posts) if (!response.writableEnded) response.writeHead(200).end();
      await turns();
    };

    test('takes an end for each start, and no end without one, where more come than the receiver takes', async () => {
      status = undefined;
      const ends = Array.from({ length: 3_000 }, () => begin());
      for (const end of ends) end();
      await until(() => posts.length === 1);
      expect(lines).toEqual([
        expect.stringMatching(/tcp_conn_start .* 1024 events wait already, so its end won't be sent either$/),
      ]);
      await clock.advance(1_000);
      begin();
      // 1,025 were taken, with their ends; the line tells of the others and of theirs.
      expect(lines[1]).toContain(`(and ${2 * (3_000 - 1_025) - 1} more)`);
      sender.close();
      expect(lines[2]).toBe(`${2 * 1_025} webhook events were not delivered before the end of the proxy`);
    });

    test('posts to a receiver that is behind 8 times at once, and each end after its start', async () => {
      begin('/')();
      await until(() => posts.length === 2);
      await turns();
      status = undefined;
      const early = begin();
      await until(() => posts.length === 3);
      for (let more = 0; more < 100; more++) begin()();
      early();
      posts[2]?.response.writeHead(200).end();
      await until(() => posts.length === 11);
      await turns();
      expect(posts).toHaveLength(11);
      expect(
        new Set(
          received()
            .slice(3)
            .map((post) => post.connection_id),
        ).size,
      ).toBe(8);
      status = 200;
      await answerAll();
      await until(() => posts.length === 204);
      const seen = new Set<string>();
      for (const { event, connection_id: id } of received()) {
        if (event === 'tcp_conn_start') seen.add(id);
        else expect(seen).toContain(id);
      }
    });

    test('uses a connection again while events wait, and closes it then', async () => {
      const opened: Socket[] = [];
      server.on('connection', (socket) => opened.push(socket));
      for (let more = 0; more < 30; more++) begin()();
      await until(() => posts.length === 60);
      await turns();
      expect(opened.length).toBeLessThan(10);
      await until(() => opened.every(({ destroyed }) => destroyed));
    });

    test('sends an event again whose kept connection the receiver has closed', async () => {
      server.on('connection', (socket) => {
        let asked = 0;
        // Says nothing of it before, as some do.
        socket.on('data', () => {
          if (++asked === 2) socket.destroy();
        });
      });
      for (let more = 0; more < 10; more++) begin()();
      await until(() => new Set(idsOf('tcp_conn_end')).size === 10);
      expect(lines).toEqual([]);
    });

    test('sends the ends of known starts first at the end, and no start without time for its end', async () => {
      const known = Array.from({ length: 20 }, () => begin());
      await until(() => posts.length === 20);
      await turns();
      status = undefined;
      for (let more = 0; more < 200; more++) begin()();
      for (const end of known) end();
      await until(() => posts.length === 28);
      const flush = sender.flush(1_000);
      await turns();
      // 16 at once: those that were on their way, and 8 of the ends.
      expect(idsOf('tcp_conn_end')).toHaveLength(8);
      const answerThoseThere = async () => {
        for (const { response } of [...posts]) if (!response.writableEnded) response.writeHead(200).end();
        await turns();
      };
      while (idsOf('tcp_conn_end').length < 40) await answerThoseThere();
      await clock.advance(500);
      while (posts.some(({ response }) => !response.writableEnded)) await answerThoseThere();
      await flush;
      sender.close();
      expect(idsOf('tcp_conn_end').toSorted()).toEqual(idsOf('tcp_conn_start').toSorted());
      const lost = 2 * (220 - idsOf('tcp_conn_start').length);
      expect(lines).toEqual([`${lost} webhook events were not delivered before the end of the proxy`]);
      expect(lost).toBeGreaterThan(300);
    });
  });
});
