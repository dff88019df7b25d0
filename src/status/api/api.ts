/**
 * The API. Input: requests below `/api`, and those of other reverse proxies. Output: answers, each a job that says how it is made. Loaded when somebody first asks,
 * from a file of its own: what it takes of memory, only those pay who use it.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { FrontReport } from '../../model/web.ts';
import type { RoomFigures } from '../../model/running/workload-report.ts';
import { messageOf } from '../../system/message-of.ts';
import { type Clock, formatTimestamp } from '../../system/clock.ts';
import { type Access, hostNameOf } from '../access.ts';
import { type Answer, jsonAnswer } from '../answer.ts';
import type { AboutAnswer, ReloadAnswer } from './answers.ts';
import type { Actions, ApiContent, MemoryView, ReloadView, ServiceView } from './content.ts';
import { type EventClient, EventStream } from './event-stream.ts';
import { ApiRefusal, problemAnswer } from './problem-answer.ts';
import { renderCaddy } from './providers/caddy.ts';
import { listOutsideRoutes } from './providers/outside-routes.ts';
import { renderTraefik } from './providers/traefik.ts';
import { findRoute, type Route } from './router.ts';
import {
  listLeases,
  MAX_LISTED_CLIENTS,
  renderProblem,
  renderService,
  renderServiceDetail,
} from './service-json.ts';

export interface ApiRequest {
  readonly method: string;
  /** Path and query, as the request line has them. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string | undefined;
}

/** What is answered, one of two ways. */
export type ApiJob = AnswerJob | StreamJob;

/** An answer without an end. */
export interface StreamJob {
  readonly headers: Readonly<Record<string, string>>;
  /** Writes to the client until it leaves. */
  readonly serve: (client: EventClient) => void;
}

/** An answer that is yet to be made. */
export interface AnswerJob {
  /** Jobs of one pace are made one after the other, with rests between. */
  readonly pace: string;
  /** Whoever asks with the same key before it is made gets the same answer. */
  readonly key: string;
  /** Never throws. */
  readonly make: () => Answer;
}

export interface Api {
  /** Never rejects. */
  take(request: ApiRequest): Promise<ApiJob>;
  /** Idempotent. */
  close(): void;
}

/** What a request asks for. */
interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Has shown the token. */
  readonly isTrusted: boolean;
  /** Who asks, for the log. */
  readonly by: string;
  readonly request: Pick<ApiRequest, 'url' | 'headers'>;
}

/** Looks at what has to be waited for, and returns how the answer is made. @throws {ApiRefusal}, and so may what it returns. */
type Operation = (call: Call) => (() => Answer) | Promise<() => Answer> | 'events';

const TRAEFIK_PATH = '/traefik';
const CADDY_PATH = '/caddy';
const CADDY_LISTEN = /^([a-z0-9.-]*|\[[0-9a-f:.]+\]):\d{1,5}$/i;
const CADDY_DELAY = /^[1-9]\d{0,5}[smh]$/;

const EVENT_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // nginx would keep the first events until there are some thousand bytes of them.
  'x-accel-buffering': 'no',
};

/** No page may be made of an answer, and no other site may show it. */
const SAFE_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

export function createApi(
  content: ApiContent,
  { access, clock }: { readonly access: Access; readonly clock: Clock },
): Api {
  const routes = listRoutes(content, { access, clock });
  const events = new EventStream({ clock, listen: (listener) => content.listen(listener) });
  let changes = 0;
  return {
    async take(request) {
      const { method, url, headers } = request;
      try {
        const isTrusted = await admit(request, access);
        const { operation, params, query } = findRoute(routes, request);
        const by = `by hand, from ${request.remoteAddress ?? 'somewhere'}`;
        const make = await operation.run({ params, query, isTrusted, by, request });
        if (make === 'events') {
          const lastId = request.headers['last-event-id'] ?? query.get('last_event_id') ?? undefined;
          const mayStay = () =>
            admit(request, access).then(
              () => true,
              () => false,
            );
          const serve = (client: EventClient) =>
            events.add(client, { lastId: lastId === undefined ? undefined : String(lastId), mayStay });
          return { headers: { ...EVENT_HEADERS, ...SAFE_HEADERS }, serve };
        }
        // Changes are made for each who asks.
        // Some answers say by which name they were asked for, or what was shown for them.
        const asked = `${isTrusted} ${url} ${headers.host} ${headers.authorization}`;
        const key = method === 'POST' ? `${changes++}` : asked;
        return { pace: `api ${operation.name}`, key, make: () => attempt(make) };
      } catch (error) {
        return { pace: 'api refusal', key: `${changes++}`, make: () => answerOf(error) };
      }
    },
    close: () => events.close(),
  };
}

/** Programs ask for these, by whatever name leads here, as for `/status`, and they tell no more. */
function isForProxies(url: string): boolean {
  const [path] = url.split('?', 1);
  return path === TRAEFIK_PATH || path === CADDY_PATH;
}

/** @returns whether the one who asks has shown the token. @throws {ApiRefusal} where he may not ask this. */
async function admit({ method, url, headers }: ApiRequest, access: Access): Promise<boolean> {
  const changes = method !== 'GET' && method !== 'HEAD';
  const stranger =
    (isForProxies(url) ? undefined : access.explainHost(headers.host)) ??
    (changes ? access.explainOrigin(headers.origin) : undefined);
  if (stranger !== undefined) throw new ApiRefusal(403, stranger);
  const standing = await access.judge(headers.authorization);
  switch (standing.kind) {
    case 'trusted':
      return true;
    case 'wrong':
      throw unauthorized('this is not the token');
    case 'stranger':
      if (changes || access.isProtected) throw unauthorized('this needs the token: Authorization: Bearer …');
      return false;
    case 'unset':
      if (changes) throw new ApiRefusal(403, `changes are off: ${standing.why}`);
      if (access.isProtected) throw new ApiRefusal(403, `reading needs a token: ${standing.why}`);
      return false;
  }
}

function unauthorized(detail: string): ApiRefusal {
  return new ApiRefusal(401, detail, { headers: { 'www-authenticate': 'Bearer' } });
}

function attempt(make: () => Answer): Answer {
  try {
    return harden(make());
  } catch (error) {
    return answerOf(error);
  }
}

function answerOf(error: unknown): Answer {
  return harden(
    problemAnswer(
      error instanceof ApiRefusal ? error : new ApiRefusal(500, `this failed: ${messageOf(error)}`),
    ),
  );
}

function harden(answer: Answer): Answer {
  return { ...answer, headers: { ...answer.headers, ...SAFE_HEADERS } };
}

/** Every path with what answers there; `schema/openapi.yaml` describes each. */
export function listRoutes(
  content: ApiContent,
  { access, clock }: { readonly access: Access; readonly clock: Clock },
): readonly Route<{ readonly name: string; readonly run: Operation }>[] {
  const get = (path: string, run: Operation) => ({
    ...{ method: 'GET' as const, path },
    operation: { name: path, run },
  });
  return [
    get('/api', async () => {
      const hasToken = await access.hasToken();
      return () => about(content, hasToken);
    }),
    get('/api/services', (call) => showServices(call, { content, access, clock })),
    get('/api/services/{name}', (call) => showService(call, { content, access, clock })),
    ...(['wake', 'sleep', 'hold', 'release'] as const).map((action) => {
      const path = `/api/services/{name}/${action}`;
      const run: Operation = (call) => () => act(call, { content, action });
      return { method: 'POST' as const, path, operation: { name: path, run } };
    }),
    get(TRAEFIK_PATH, (call) => tellTraefik(call, content)),
    get(CADDY_PATH, (call) => tellCaddy(call, content)),
    get('/api/events', () => 'events'),
    get('/api/config', (call) => showConfig(content, call)),
    get(
      '/api/reload',
      ({ isTrusted }) =>
        () =>
          jsonAnswer(renderReload(content.reload({ showSecrets: isTrusted }))),
    ),
  ];
}

interface Parts {
  readonly content: ApiContent;
  readonly access: Access;
  readonly clock: Clock;
}

function about(content: ApiContent, hasToken: boolean): Answer {
  const { version, uptimeMs, phase, engines, fronts, room } = content.about();
  const answer: AboutAnswer = {
    ...{ version, phase, uptime_ms: Math.round(uptimeMs), has_token: hasToken },
    engines: engines.map(({ name, problem }) => ({
      ...{ name, answers: problem === undefined },
      ...(problem !== undefined && { problem }),
    })),
    ...(fronts.length > 0 && { fronts: fronts.map(renderFront) }),
    ...(room !== undefined && { room: renderRoom(room) }),
  };
  return jsonAnswer(answer);
}

function renderFront({
  front: { address, port, tls },
  condition,
  error,
  connections,
  refused,
}: FrontReport): NonNullable<AboutAnswer['fronts']>[number] {
  return {
    ...{ address, port, scheme: tls ? 'https' : 'http', condition, ...(error !== undefined && { error }) },
    ...{ connections, ...(Object.keys(refused).length > 0 && { refused }) },
  };
}

function renderRoom({ awake, memory, waiting }: RoomFigures): NonNullable<AboutAnswer['room']> {
  return {
    awake: awake.map(({ group, ...places }) => ({ ...(group !== '' && { group }), ...places })),
    ...(memory !== undefined && { memory }),
    waiting,
  };
}

async function showServices(call: Call, parts: Parts): Promise<() => Answer> {
  const { content, access, clock } = parts;
  if (call.query.has('service')) return showService(call, parts);
  const names = call.query.getAll('only');
  const only = names.length === 0 ? undefined : new Set(names);
  const isWanted = wants(call, 'memory');
  const measured = isWanted ? content.services(only).map(({ service }) => service.name) : [];
  const memory = isWanted ? await content.memory(measured) : new Map<string, MemoryView>();
  return () => {
    const dayUntilMs = wants(call, 'day') ? clock.nowMs() : undefined;
    const showOutput = call.isTrusted || access.showsOutput;
    const render = (view: ServiceView) =>
      renderService(view, { memory: memory.get(view.service.name), dayUntilMs, showOutput });
    return jsonAnswer(content.services(only).map(render));
  };
}

async function showService(call: Call, { content, access, clock }: Parts): Promise<() => Answer> {
  const name = nameOf(call);
  const memory = wants(call, 'memory') ? (await content.memory([name])).get(name) : undefined;
  return () => {
    const view = content.service(name, { maxClients: MAX_LISTED_CLIENTS });
    if (view === undefined) throw noSuchService(name, content);
    const dayUntilMs = wants(call, 'day') ? clock.nowMs() : undefined;
    const showOutput = call.isTrusted || access.showsOutput;
    return jsonAnswer(renderServiceDetail(view, { memory, dayUntilMs, showOutput }));
  };
}

/** Does it, and answers with what the service is then. */
function act(
  call: Call,
  { content, action }: { readonly content: ApiContent; readonly action: keyof Actions },
): Answer {
  const name = nameOf(call);
  const { query, by } = call;
  const look = () => content.service(name, { maxClients: MAX_LISTED_CLIENTS });
  const before = look();
  if (before === undefined) throw noSuchService(name, content);
  const outcome = {
    wake: () => content.wake(name, by),
    sleep: () => content.sleep(name, { force: query.get('force') === 'true', by }),
    hold: () => content.hold(name, { time: query.get('for') ?? undefined, by }),
    release: () => content.release(name, by),
  }[action]();
  if (outcome.kind === 'done') return jsonAnswer(renderService(look() ?? before, {}));
  const members = outcome.leases === true ? { leases: listLeases(before).leases } : {};
  throw new ApiRefusal(outcome.status, outcome.detail, { members });
}

function showConfig(content: ApiContent, { query, isTrusted }: Call): () => Answer {
  return () => {
    const service = query.get('service') ?? undefined;
    const config = content.config({ service, showSecrets: isTrusted });
    if (service !== undefined && Object.keys(config.services).length === 0)
      throw noSuchService(service, content);
    return jsonAnswer(config);
  };
}

function tellTraefik(call: Call, content: ApiContent): () => Answer {
  return () => {
    const { table, traefik } = content.routes();
    const proxyHost = traefik.proxyHost ?? hostAsked(call, 'set traefik.proxy_host or TRAEFIK_PROXY_HOST');
    return jsonAnswer(renderTraefik(listOutsideRoutes(table, { traefik: true }), { ...traefik, proxyHost }));
  };
}

function tellCaddy(call: Call, content: ApiContent): () => Answer {
  const { query, request } = call;
  const listen = query.has('listen') ? query.getAll('listen') : [':443'];
  const wrong = listen.find((place) => !CADDY_LISTEN.test(place));
  if (wrong !== undefined)
    throw new ApiRefusal(400, `listen: ${JSON.stringify(wrong)} is not [address]:port such as ":443"`);
  const every = query.get('poll') ?? undefined;
  if (every !== undefined && !CADDY_DELAY.test(every))
    throw new ApiRefusal(400, `poll: ${JSON.stringify(every)} is not a time such as 10s or 1m`);
  if (query.has('tls') && query.get('tls') !== 'off')
    throw new ApiRefusal(400, `tls: ${JSON.stringify(query.get('tls'))} is not off`);
  const given = query.get('proxy_host') ?? undefined;
  const proxyHost = given === undefined ? undefined : readName(given);
  if (given !== undefined && (proxyHost === undefined || /[^:]:\d+$/.test(given)))
    throw new ApiRefusal(400, `proxy_host: ${JSON.stringify(given)} is not a host name or address`);
  return () => {
    const { authorization, host = '' } = request.headers;
    const asked = hostAsked(call, 'ask with a Host header');
    const url = `http://${host}${request.url}`;
    const { http } = listOutsideRoutes(content.routes().table, { traefik: false });
    return jsonAnswer(
      renderCaddy(http, {
        ...{ listen, automaticHttps: !query.has('tls'), proxyHost: proxyHost ?? asked },
        ...(every !== undefined && { again: { url, every, authorization } }),
      }),
    );
  };
}

/** The name by which the proxy was asked: whoever asks can reach it so. */
function hostAsked({ request }: Call, remedy: string): string {
  const name = readName(request.headers.host ?? '');
  if (name === undefined)
    throw new ApiRefusal(400, `the request has no Host that names this proxy; ${remedy}`);
  return name;
}

/** Other proxies have a language of their own in what they read, so that nothing but a name or an address is told. */
function readName(host: string): string | undefined {
  const name = hostNameOf(host);
  return name !== undefined && /^[\w.:-]+$/.test(name) ? name : undefined;
}

function renderReload(view: ReloadView): ReloadAnswer {
  const { generation, changedAtMs, file, refusedReloads, refusedAtMs, problems, waiting } = view;
  return {
    ...{ generation, changed_at: formatTimestamp(changedAtMs) },
    ...(file !== undefined && { file }),
    refused: refusedReloads,
    ...(refusedAtMs !== undefined && { refused_since: formatTimestamp(refusedAtMs) }),
    problems: problems.map(({ problem, caret }) => ({
      ...renderProblem(problem),
      ...(caret !== undefined && { caret }),
    })),
    waiting: waiting.map(renderProblem),
  };
}

function noSuchService(name: string, content: ApiContent): ApiRefusal {
  return new ApiRefusal(404, `there is no service ${JSON.stringify(name)}${content.explainAbsence(name)}`);
}

/** The query's name counts before the path's: some proxies decode `%2F` in paths. */
function nameOf({ params, query }: Call): string {
  return query.get('service') ?? params['name'] ?? '';
}

/** What costs something is told only to who asks for it. */
function wants({ query }: Call, what: 'memory' | 'day'): boolean {
  return query.get(what) === 'true';
}
