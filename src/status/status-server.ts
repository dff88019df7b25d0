import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { formatListenAddress } from '../model/service.ts';
import type { Settings } from '../model/settings.ts';
import { afterEvents, type Cancel, type Clock, systemClock } from '../system/clock.ts';
import { describeBindError } from '../system/net/bind-error.ts';
import type { Access } from './access.ts';
import { type Answer, jsonAnswer, textAnswer } from './answer.ts';
import type { AnswerJob, Api, StreamJob } from './api/api.ts';
import { findDashboardFile } from './dashboard-page.ts';
import type { MetricsPage } from './metrics/metrics-page.ts';
import { Pace } from './pace.ts';
import { messageOf } from '../system/message-of.ts';
import { PacedSocket } from './paced-socket.ts';

/** From the connection, or the last answer, to the end of a request's headers; and from there to the end of its body. */
const REQUEST_MS = 10_000;
/** How long a client may take nothing of its answer, and how long it may take for the whole, in ms. */
const SILENCE_MS = 30_000;
const ANSWER_MS = 60_000;
const METRICS_PATH = '/metrics';
/** What other reverse proxies read of the API. */
const PROXY_PATHS: readonly string[] = ['/traefik', '/caddy'];
/** What asks for them can't know a token, and they tell nothing. */
const OPEN_PAGES: ReadonlySet<string> = new Set(['/health', '/ready']);
/** Of a request's body, which nobody reads: who sends more is cut off. */
const MAX_BODY_BYTES = 65_536;
const MAX_CONNECTIONS = 256;
/** The most bytes of answers that clients have not taken yet, in all. */
const MAX_UNTAKEN_BYTES = 32 * 2 ** 20;
/** What the status server shows; each call makes it anew. */
export interface StatusContent {
  /** Body of `GET /status`, the array that lazy-tcp-proxy has too. */
  status(): unknown;
  /** Body of `GET /problems`: what is wrong with the configuration now. */
  problems(): unknown;
  /** Whether new clients are taken: `GET /ready`. */
  phase(): 'starting' | 'serving' | 'draining';
}

/**
 * HTTP server of `/status`, `/problems`, `/health`, `/ready` and `/metrics`, of the API, `/traefik` and `/caddy`, and of the dashboard at `/`. `close()` ends it.
 *
 * Whatever clients send, and however little they take: of a connection, one request is answered at a time and the next one
 * is not even read; an answer is made once for all who ask for it at the same moment; what they have not taken is bounded;
 * and others are served in between.
 */
export class StatusServer {
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #maxConnections: number;
  readonly #onCrowded: (maxConnections: number) => void;
  readonly #pages: ReadonlyMap<string, () => Answer>;
  /** By page, or by kind of answer of the API. */
  readonly #paces = new Map<string, Pace>();
  readonly #loadApi: (() => Promise<Api>) | undefined;
  readonly #loadMetrics: (() => Promise<MetricsPage>) | undefined;
  readonly #access: Access | undefined;
  #api: Promise<Api> | undefined;
  #metrics: Promise<MetricsPage> | undefined;
  /** The open connections, oldest first. */
  readonly #connections = new Map<PacedSocket, Connection>();

  /**
   * @param options.maxConnections at once, 256 at most: beyond that the oldest one that has no request is closed, or, where
   * each has one, the one that has been taking its answer for the longest time.
   * @param options.onCrowded told when that happens.
   * @param options.loadApi loads what answers `/api` when somebody first asks for it; absent = there is no API.
   * @param options.loadMetrics loads what answers `/metrics` at the first scrape; absent = there is no such page.
   * @param options.access says whether the pages need a token; absent = they don't.
   */
  constructor(
    content: StatusContent,
    options: {
      readonly clock?: Clock;
      readonly maxConnections?: number;
      readonly onCrowded?: (maxConnections: number) => void;
      readonly loadApi?: () => Promise<Api>;
      readonly loadMetrics?: () => Promise<MetricsPage>;
      readonly access?: Access;
    } = {},
  ) {
    this.#clock = options.clock ?? systemClock;
    this.#maxConnections = Math.min(MAX_CONNECTIONS, options.maxConnections ?? MAX_CONNECTIONS);
    this.#onCrowded = options.onCrowded ?? (() => {});
    this.#pages = listPages(content);
    this.#loadApi = options.loadApi;
    this.#loadMetrics = options.loadMetrics;
    this.#access = options.access;
    // It parses and writes; it never listens, so that it starts none of its own periodic checks.
    const http = createHttpServer((request, response) => this.#queue(request, response));
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const paced = this.#enter(socket);
      if (paced !== undefined) http.emit('connection', paced);
    });
  }

  /** Takes a connection. At the limit an old one is closed for it, so that a flood of half requests keeps nobody out. */
  #enter(socket: Socket): PacedSocket | undefined {
    if (this.#connections.size >= this.#maxConnections) {
      const all = [...this.#connections.values()];
      const oldest = all.find(({ requests }) => requests.length === 0) ?? longestAnswered(all);
      if (oldest !== undefined) this.#end(oldest);
      this.#onCrowded(this.#maxConnections);
    }
    const connection: Connection = {
      socket: new PacedSocket(socket, () => isHeld(connection)),
      requests: [],
      cancel: () => {},
      sinceMs: 0,
      body: undefined,
      isEndless: false,
    };
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
    this.#connections.set(connection.socket, connection);
    this.#bound(connection, REQUEST_MS);
    connection.socket.once('close', () => this.#end(connection));
    return connection.socket;
  }

  /** Restarts the time limit of the connection. */
  #bound(connection: Connection, ms: number): void {
    connection.cancel();
    if (!connection.socket.destroyed && !connection.isEndless)
      connection.cancel = this.#clock.schedule(ms, () => this.#end(connection));
  }

  #end({ socket, cancel }: Connection): void {
    cancel();
    this.#connections.delete(socket);
    socket.destroy();
  }

  /** Takes a request; it is answered when those before it on its connection are. */
  #queue(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket as unknown as PacedSocket);
    if (connection === undefined) return;
    const { requests, socket } = connection;
    const exchange: Exchange = { request, response, isBegun: false };
    requests.push(exchange);
    // The time that its body has; a client that has sent it all has the time that an answer has.
    this.#bound(connection, REQUEST_MS);
    let bytes = 0;
    request
      .on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_BODY_BYTES) this.#end(connection);
      })
      .once('end', () => this.#bound(connection, response.writableFinished ? REQUEST_MS : ANSWER_MS));
    response.once('close', () => {
      requests.shift();
      connection.body = undefined;
      if (request.complete) this.#bound(connection, REQUEST_MS);
      // Not at once, so that other clients have their turn in between.
      afterEvents(() => {
        const [next] = requests;
        if (next !== undefined) this.#answer(connection, next);
        socket.goOn();
      });
    });
    if (requests.length === 1) this.#answer(connection, exchange);
  }

  #answer(connection: Connection, exchange: Exchange): void {
    // It may have come between the end of the answer before it and the turn of the next one.
    if (exchange.isBegun) return;
    exchange.isBegun = true;
    const { request, response } = exchange;
    connection.sinceMs = this.#clock.monotonicMs();
    const path = request.url?.split('?', 1)[0] ?? '/';
    if (this.#loadApi !== undefined && isOfApi(path)) return void this.#askApi(connection, exchange);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const refusal = textAnswer(405, 'GET only');
      return send(response, { ...refusal, headers: { ...refusal.headers, allow: 'GET, HEAD' } });
    }
    const file = findDashboardFile(path, request);
    if (file !== undefined) {
      const stranger = this.#access?.explainHost(request.headers.host);
      if (stranger !== undefined) return send(response, textAnswer(403, stranger));
      return this.#make(connection, { exchange, job: { pace: 'dashboard', ...file } });
    }
    const make = this.#pages.get(path);
    const isMetrics = path === METRICS_PATH && this.#loadMetrics !== undefined;
    if (make === undefined && !isMetrics) {
      const more = this.#loadMetrics === undefined ? [] : [METRICS_PATH];
      // The dashboard lives by the API.
      if (this.#loadApi !== undefined) more.push('/api', ...PROXY_PATHS, 'the dashboard at /');
      return send(response, textAnswer(404, `there is ${listWords([...this.#pages.keys(), ...more])}`));
    }
    const answer = () => {
      if (make === undefined) void this.#askMetrics(connection, exchange);
      else this.#make(connection, { exchange, job: { pace: path, key: '', make } });
    };
    if (this.#access?.isProtected !== true || OPEN_PAGES.has(path)) answer();
    else void this.#ifTrusted(exchange, { access: this.#access, answer });
  }

  /** Answers with the figures; what makes them is loaded with the first scrape. */
  async #askMetrics(connection: Connection, { response }: Exchange): Promise<void> {
    try {
      this.#metrics ??= this.#loadMetrics?.();
      const page = await this.#metrics;
      if (page !== undefined) this.#hand(connection, { response, answer: await page.take() });
    } catch (error) {
      send(response, textAnswer(500, `the metrics failed: ${messageOf(error)}`));
    }
  }

  /** Answers with what the API says; it is loaded with the first question. */
  async #askApi(connection: Connection, exchange: Exchange): Promise<void> {
    const { method = 'GET', url = '/', headers } = exchange.request;
    try {
      this.#api ??= this.#loadApi?.();
      const api = await this.#api;
      const job = await api?.take({ method, url, headers, remoteAddress: connection.socket.remoteAddress });
      if (job === undefined) return;
      if ('serve' in job) this.#stream(connection, { exchange, job });
      else this.#make(connection, { exchange, job });
    } catch (error) {
      send(exchange.response, textAnswer(500, `the API failed: ${messageOf(error)}`));
    }
  }

  #stream(
    connection: Connection,
    { exchange, job }: { readonly exchange: Exchange; readonly job: StreamJob },
  ): void {
    const { request, response } = exchange;
    const { socket } = connection;
    if (socket.destroyed) return;
    response.writeHead(200, job.headers);
    if (request.method === 'HEAD') return void response.end();
    connection.isEndless = true;
    connection.cancel();
    response.flushHeaders();
    // Nothing more is asked on it. Where it is not read, nobody would notice that the client has left before two more writes.
    socket.discardRest(MAX_BODY_BYTES);
    job.serve({
      remoteAddress: socket.remoteAddress,
      get untakenBytes() {
        return response.writableLength;
      },
      write: (text) => void response.write(text),
      cut: () => this.#end(connection),
      onClose: (callback) => void socket.once('close', callback),
    });
  }

  async #ifTrusted(
    exchange: Exchange,
    { access, answer }: { readonly access: Access; readonly answer: () => void },
  ): Promise<void> {
    const { kind } = await access.judge(exchange.request.headers.authorization);
    if (kind === 'trusted') return answer();
    const refusal = textAnswer(401, 'this needs the token (status.protect): Authorization: Bearer …');
    send(exchange.response, { ...refusal, headers: { ...refusal.headers, 'www-authenticate': 'Bearer' } });
  }

  #make(
    connection: Connection,
    { exchange, job }: { readonly exchange: Exchange; readonly job: AnswerJob },
  ): void {
    const pace = this.#paces.get(job.pace) ?? new Pace(this.#clock);
    this.#paces.set(job.pace, pace);
    pace.ask(job.key, {
      make: job.make,
      take: (answer) => this.#hand(connection, { response: exchange.response, answer }),
    });
  }

  #hand(
    connection: Connection,
    { response, answer }: { readonly response: ServerResponse; readonly answer: Answer },
  ): void {
    if (connection.socket.destroyed) return;
    connection.body = answer.body;
    send(response, answer);
    this.#boundUntaken(connection);
  }

  /** If too many bytes of answers are waiting, ends the connections that have been taking theirs for the longest time. */
  #boundUntaken(newest: Connection): void {
    for (;;) {
      const taking = [...this.#connections.values()].filter(({ body }) => body !== undefined);
      let bytes = 0;
      for (const body of new Set(taking.map((connection) => connection.body))) bytes += body?.length ?? 0;
      const longest = longestAnswered(taking.filter((connection) => connection !== newest));
      if (bytes <= MAX_UNTAKEN_BYTES || longest === undefined) return;
      this.#end(longest);
    }
  }

  /** Binds the port. @throws the bind error. */
  open({ address, port }: { readonly address: string; readonly port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(address === '' ? { port } : { host: address, port }, () => {
        this.#server.off('error', reject);
        // A client that can't be accepted, for want of file descriptors, must not end the program.
        this.#server.on('error', () => {});
        resolve();
      });
    });
  }

  /** Stops listening and ends its connections. Idempotent. */
  close(): void {
    this.#server.close();
    for (const connection of [...this.#connections.values()]) this.#end(connection);
    for (const pace of this.#paces.values()) pace.close();
    void this.#api?.then((api) => api.close()).catch(() => {});
    void this.#metrics?.then((page) => page.close()).catch(() => {});
  }
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Whether it is being answered. */
  isBegun: boolean;
}

interface Connection {
  readonly socket: PacedSocket;
  /** Those that were read; the first is being answered. There is hardly ever a second. */
  readonly requests: Exchange[];
  /** Cancels its time limit. */
  cancel: Cancel;
  /** When the answer to the first request began. */
  sinceMs: number;
  /** The answer that the client has not taken completely. */
  body: Buffer | undefined;
  /** Its answer has no end, and no time limit: whoever writes it bounds what the client leaves untaken. */
  isEndless: boolean;
}

/** Nothing is read behind a request that is complete, until it is answered. */
function isHeld({ requests }: Connection): boolean {
  return requests[0]?.request.complete === true;
}

function longestAnswered(connections: readonly Connection[]): Connection | undefined {
  return connections.toSorted((a, b) => a.sinceMs - b.sinceMs)[0];
}

function isOfApi(path: string): boolean {
  return path === '/api' || path.startsWith('/api/') || PROXY_PATHS.includes(path);
}

function listPages(content: StatusContent): ReadonlyMap<string, () => Answer> {
  const ready = () => {
    const phase = content.phase();
    return phase === 'serving' ? textAnswer(200, 'ok') : textAnswer(503, phase);
  };
  return new Map([
    ['/status', () => jsonAnswer(content.status())],
    ['/problems', () => jsonAnswer(content.problems())],
    ['/health', () => textAnswer(200, 'ok')],
    ['/ready', ready],
  ]);
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  // Who fails in the middle of an answer has had his.
  if (response.headersSent) return;
  response.writeHead(status, { ...headers, 'content-length': body.length }).end(body);
}

function listWords(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** Opens the status server; the caller closes it. @throws {Error} that says why it can't listen, and what to do. */
export async function openStatusServer(
  address: Exclude<Settings['status'], 'off'>,
  {
    content,
    ...options
  }: { readonly content: StatusContent } & NonNullable<ConstructorParameters<typeof StatusServer>[1]>,
): Promise<StatusServer> {
  const server = new StatusServer(content, options);
  try {
    await server.open(address);
    return server;
  } catch (cause) {
    const where = formatListenAddress(address);
    const reason = describeBindError(cause as NodeJS.ErrnoException);
    throw new Error(
      `the status server can't listen on ${where}: ${reason}; choose another one with status.listen, STATUS_PORT or --status-port`,
      { cause },
    );
  }
}
