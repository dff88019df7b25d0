import { createServer, type OutgoingHttpHeaders, type Server, type ServerResponse } from 'node:http';

/**
 * Node looks after slow connections every 30 s, whether there are any or not, and an idle proxy is to sleep. A limit on each
 * connection's silence does instead. The longest time that a timer takes.
 */
const NEVER_MS = 2 ** 31 - 1;
const SILENCE_MS = 30_000;

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

  constructor(content: StatusContent) {
    this.#content = content;
    this.#server = createServer({ connectionsCheckingInterval: NEVER_MS }, (request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD')
        return send(response, { status: 405, text: 'GET only', headers: { allow: 'GET, HEAD' } });
      this.#answer(request.url?.split('?', 1)[0] ?? '/', response);
    });
    this.#server.timeout = SILENCE_MS;
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
