/**
 * The API. Input: requests below `/api`. Output: answers, each a job that says how it is made. Loaded when somebody first asks,
 * from a file of its own: what it takes of memory, only those pay who use it.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { messageOf } from '../../system/message-of.ts';
import { type Answer, jsonAnswer } from '../answer.ts';
import type { ApiContent, MemoryView } from './content.ts';
import { ApiRefusal, problemAnswer } from './problem-answer.ts';
import { findRoute, type Route } from './router.ts';
import { MAX_LISTED_CLIENTS, renderService, renderServiceDetail } from './service-json.ts';

export interface ApiRequest {
  readonly method: string;
  /** Path and query, as the request line has them. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string | undefined;
}

/** An answer that is yet to be made. */
export interface ApiJob {
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
}

/** Looks at what has to be waited for, and returns how the answer is made. @throws {ApiRefusal}, and so may what it returns. */
type Operation = (call: Call) => (() => Answer) | Promise<() => Answer>;

export function createApi(content: ApiContent): Api {
  const routes = listRoutes(content);
  return {
    async take(request) {
      try {
        const { operation, params, query } = findRoute(routes, request);
        const make = await operation.run({ params, query });
        return { pace: `api ${operation.name}`, key: request.url, make: () => attempt(make) };
      } catch (error) {
        return { pace: 'api refusal', key: request.url, make: () => answerOf(error) };
      }
    },
    close() {},
  };
}

function attempt(make: () => Answer): Answer {
  try {
    return make();
  } catch (error) {
    return answerOf(error);
  }
}

function answerOf(error: unknown): Answer {
  return problemAnswer(
    error instanceof ApiRefusal ? error : new ApiRefusal(500, `this failed: ${messageOf(error)}`),
  );
}

/** Every path with what answers there; `schema/openapi.yaml` describes each. */
export function listRoutes(
  content: ApiContent,
): readonly Route<{ readonly name: string; readonly run: Operation }>[] {
  const get = (path: string, run: Operation) => ({
    method: 'GET' as const,
    path,
    operation: { name: path, run },
  });
  return [
    get('/api', () => () => about(content)),
    get('/api/services', (call) => showServices(content, call)),
    get('/api/services/{name}', (call) => showService(content, call)),
  ];
}

function about(content: ApiContent): Answer {
  const { version, uptimeMs, phase, engines } = content.about();
  return jsonAnswer({
    ...{ version, phase, uptime_ms: Math.round(uptimeMs) },
    engines: engines.map(({ name, problem }) => ({
      name,
      answers: problem === undefined,
      ...(problem !== undefined && { problem }),
    })),
  });
}

async function showServices(content: ApiContent, call: Call): Promise<() => Answer> {
  if (call.query.has('service')) return showService(content, call);
  const isWanted = wantsMemory(call);
  const names = isWanted ? content.services().map(({ service }) => service.name) : [];
  const memory = isWanted ? await content.memory(names) : new Map<string, MemoryView>();
  return () =>
    jsonAnswer(
      content.services().map((view) => renderService(view, { memory: memory.get(view.service.name) })),
    );
}

async function showService(content: ApiContent, call: Call): Promise<() => Answer> {
  const name = nameOf(call);
  const memory = wantsMemory(call) ? (await content.memory([name])).get(name) : undefined;
  return () => {
    const view = content.service(name, { maxClients: MAX_LISTED_CLIENTS });
    if (view === undefined) throw new ApiRefusal(404, `there is no service ${JSON.stringify(name)}`);
    return jsonAnswer(renderServiceDetail(view, { memory, showOutput: false }));
  };
}

/** The query's name counts before the path's: some proxies decode `%2F` in paths. */
function nameOf({ params, query }: Call): string {
  return query.get('service') ?? params['name'] ?? '';
}

function wantsMemory({ query }: Call): boolean {
  return query.get('memory') === 'true';
}
