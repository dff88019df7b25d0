import { createServer, type OutgoingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Cancel, type Clock, systemClock } from '../system/clock.ts';

/**
 * Node looks after slow connections every 30 s, whether there are any or not, and an idle proxy is to sleep. A limit on each
 * connection's silence does instead, and one on the time that a request takes. The longest time that a timer takes.
 */
const NEVER_MS = 2 ** 31 - 1;
const SILENCE_MS = 30_000;
/** From the connection, or the last answer, to the end of a request's headers; and from there to the end of its body. */
const REQUEST_MS = 10_000;
const MAX_CONNECTIONS = 256;

/** What the status server shows; each call makes it anew. */
export interface StatusContent {
  /** Body of `GET /status`, the array that lazy-tcp-proxy has too. */
  status(): unknown;
  /** Body of `GET /problems`: what is wrong with the configuration now. */
  problems(): unknown;
  /** Whether new clients are taken: `GET /ready`. */
  phase(): 'starting' | 'serving' | 'draining';
}

/** HTTP server of `/status`, `/problems`, `/health` and `/ready`. `close()` ends it. */
export class StatusServer {
  readonly #content: StatusContent;
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #maxConnections: number;
  readonly #onCrowded: (maxConnections: number) => void;
  /** Those that are open, oldest first, and what ends them; undefined while one is being answered. */
  readonly #connections = new Map<Socket, Cancel | undefined>();

  /**
   * @param options.maxConnections at once, 256 at most: beyond that the oldest one that has no request is closed.
   * @param options.onCrowded told when that happens.
   */
  constructor(
    content: StatusContent,
    options: {
      readonly clock?: Clock;
      readonly maxConnections?: number;
      readonly onCrowded?: (maxConnections: number) => void;
    } = {},
  ) {
    this.#content = content;
    this.#clock = options.clock ?? systemClock;
    this.#maxConnections = Math.min(MAX_CONNECTIONS, options.maxConnections ?? MAX_CONNECTIONS);
    this.#onCrowded = options.onCrowded ?? (() => {});
    this.#server = createServer({ connectionsCheckingInterval: NEVER_MS }, (request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD')
        return send(response, { status: 405, text: 'GET only', headers: { allow: 'GET, HEAD' } });
      this.#answer(request.url?.split('?', 1)[0] ?? '/', response);
    });
    this.#server.timeout = SILENCE_MS;
    this.#server.on('connection', (socket) => this.#enter(socket));
    this.#server.prependListener('request', (request, response) => {
      const { socket } = request;
      this.#bound(socket);
      const followAnswer = () => {
        if (!request.complete || response.writableFinished) return this.#bound(socket);
        // However slowly the client takes it; who takes nothing at all is silent.
        this.#unbound(socket);
      };
      request.once('end', followAnswer);
      response.once('finish', followAnswer);
    });
  }

  /** Whoever is there without having asked anything makes room: a flood of half requests must not keep out who asks. */
  #enter(socket: Socket): void {
    if (this.#connections.size >= this.#maxConnections) {
      const oldest = [...this.#connections].find(([, cancel]) => cancel !== undefined)?.[0] ?? socket;
      oldest.destroy();
      this.#forget(oldest);
      this.#onCrowded(this.#maxConnections);
    }
    if (socket.destroyed) return;
    this.#bound(socket);
    socket.once('close', () => this.#forget(socket));
  }

  /** Begins the time anew in which something has to be complete. */
  #bound(socket: Socket): void {
    if (socket.destroyed) return;
    this.#connections.get(socket)?.();
    this.#connections.set(
      socket,
      this.#clock.schedule(REQUEST_MS, () => socket.destroy()),
    );
  }

  #unbound(socket: Socket): void {
    if (!this.#connections.has(socket)) return;
    this.#connections.get(socket)?.();
    this.#connections.set(socket, undefined);
  }

  #forget(socket: Socket): void {
    this.#connections.get(socket)?.();
    this.#connections.delete(socket);
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
    this.#server.closeAllConnections();
  }

  #answer(path: string, response: ServerResponse): void {
    switch (path) {
      case '/status':
        return send(response, { status: 200, json: this.#content.status() });
      case '/problems':
        return send(response, { status: 200, json: this.#content.problems() });
      case '/health':
        return send(response, { status: 200, text: 'ok' });
      case '/ready':
        return sendPhase(response, this.#content.phase());
      default:
        return send(response, { status: 404, text: 'there is /status, /problems, /health and /ready' });
    }
  }
}

function sendPhase(response: ServerResponse, phase: ReturnType<StatusContent['phase']>): void {
  const isServing = phase === 'serving';
  send(response, { status: isServing ? 200 : 503, text: isServing ? 'ok' : phase });
}

function send(
  response: ServerResponse,
  answer: { readonly status: number; readonly headers?: OutgoingHttpHeaders } & (
    | { readonly text: string }
    | { readonly json: unknown }
  ),
): void {
  const isJson = 'json' in answer;
  const body = isJson ? `${JSON.stringify(answer.json, undefined, 2)}\n` : answer.text;
  const type = isJson ? 'application/json' : 'text/plain';
  response.writeHead(answer.status, {
    'content-type': `${type}; charset=utf-8`,
    'cache-control': 'no-store',
    ...answer.headers,
  });
  response.end(body);
}
