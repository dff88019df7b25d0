import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import { showUrls } from '../../../model/text/show-url.ts';
import { abortable } from '../../../system/waiting/abortable.ts';
import { describeError } from '../../../system/message-of.ts';
import { awaitAnswer } from '../../../system/net/await-answer.ts';
import type { ScalableRef } from './api-paths.ts';
import { KubeUnreachable } from './kube-errors.ts';

/** Where the API server is, and as whom the proxy speaks to it. */
export interface KubeAccess {
  /** `https://10.96.0.1:443`, also with a path behind it. */
  readonly server: string;
  /** Of the context or the service account; undefined where none says. */
  readonly namespace: string | undefined;
  /** What the proxy itself runs in, in that cluster; undefined where it runs elsewhere, or that isn't known. */
  readonly own?: ScalableRef | undefined;
  /**
   * Authorities, certificates and headers for one request, fresh each time; not to be changed by the caller. An agent
   * only where one is needed (a proxy). @throws {Error} where they can't be had.
   */
  authorize(): Promise<RequestOptions>;
  /** The API server did not accept the credentials: those that are kept must not be used again. */
  forget?(): void;
}

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the root: `/apis/apps/v1/namespaces/shop/deployments/db`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** `application/json` where it isn't given; a PATCH must give its own. */
  readonly contentType?: string;
  readonly signal: AbortSignal;
}

/** TCP keep-alive, so that an API server whose machine vanished is noticed. */
const KEEP_ALIVE_MS = 10_000;
/** Well before the API server closes an idle connection by itself, which would fail the request that is just sent. */
const IDLE_SOCKET_MS = 30_000;

/** Sends requests and returns their answers, whatever the status. Whoever creates it closes it. */
export class KubeTransport {
  readonly #access: KubeAccess;
  readonly #server: URL;
  readonly #agent: HttpAgent;

  /** @throws {Error} where the server's address can't be read. */
  constructor(access: KubeAccess) {
    const server = URL.canParse(access.server) ? new URL(access.server) : undefined;
    if (server === undefined || !['http:', 'https:'].includes(server.protocol))
      throw new Error(
        `cannot use "${showUrls(access.server)}" as the API server's address: it must be an https URL`,
      );
    const pool = {
      keepAlive: true,
      keepAliveMsecs: KEEP_ALIVE_MS,
      maxFreeSockets: 2,
      timeout: IDLE_SOCKET_MS,
    };
    this.#access = access;
    this.#server = server;
    this.#agent = server.protocol === 'https:' ? new HttpsAgent(pool) : new HttpAgent(pool);
  }

  /** For messages. */
  get server(): string {
    return this.#access.server;
  }

  /**
   * Resolves when the answer's head has arrived; the caller reads the body to its end.
   * @throws {KubeUnreachable} or the signal's reason.
   */
  async send(request: KubeRequest): Promise<IncomingMessage> {
    const credentials = await this.#authorize(request.signal);
    return await this.#dial(request, credentials);
  }

  /** The API server refused the credentials. Returns whether there may be others. */
  forgetCredentials(): boolean {
    this.#access.forget?.();
    return this.#access.forget !== undefined;
  }

  /** Frees idle connections; requests in flight end through their own signals. */
  close(): void {
    this.#agent.destroy();
  }

  /** Credentials may come from a program that hangs: the request ends in time all the same. */
  #authorize(signal: AbortSignal): Promise<RequestOptions> {
    signal.throwIfAborted();
    const credentials = this.#access.authorize().catch((cause: unknown) => {
      const message = `cannot get credentials for ${this.server}: ${describeError(cause).trim()}`;
      throw new KubeUnreachable(message, { cause });
    });
    return abortable(credentials, signal);
  }

  async #dial(request: KubeRequest, credentials: RequestOptions): Promise<IncomingMessage> {
    const { method, signal, body } = request;
    const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const begin = this.#server.protocol === 'https:' ? httpsRequest : httpRequest;
    signal.throwIfAborted();
    try {
      const outgoing = begin({
        ...credentials,
        ...hostOf(this.#server),
        agent: credentials.agent ?? this.#agent,
        method,
        path: pathOf(this.#server, request),
        headers: {
          ...credentials.headers,
          accept: 'application/json',
          'user-agent': 'lazy-proxy',
          ...(text && {
            'content-type': request.contentType ?? 'application/json',
            'content-length': text.length,
          }),
        },
      });
      const answer = awaitAnswer(outgoing, signal);
      outgoing.end(text);
      return await answer;
    } catch (cause) {
      throw signal.aborted ? signal.reason : this.#unreachable(cause);
    }
  }

  #unreachable(cause: unknown): KubeUnreachable {
    return new KubeUnreachable(`cannot reach ${this.server}: ${describeError(cause)}`, { cause });
  }
}

/** An IPv6 address stands in brackets in a URL, and without them in a connection's options. */
function hostOf(server: URL): { readonly host: string; readonly port: string | undefined } {
  return { host: server.hostname.replace(/^\[(.*)\]$/, '$1'), port: server.port || undefined } as const;
}

function pathOf(server: URL, request: KubeRequest): string {
  const query = new URLSearchParams(request.query).toString();
  const path = server.pathname.replace(/\/$/, '') + request.path;
  return query === '' ? path : `${path}?${query}`;
}
