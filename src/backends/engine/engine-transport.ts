import { readFileSync } from 'node:fs';
import {
  Agent as HttpAgent,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
} from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { join } from 'node:path';
import Docker from 'dockerode';
import { abortable } from '../../system/waiting/abortable.ts';
import { describeError } from '../../system/message-of.ts';
import { awaitAnswer } from '../../system/net/await-answer.ts';
import type { EngineAddress, EngineTls } from './engine-address.ts';
import { EngineUnreachable } from './errors.ts';

export interface EngineRequest {
  readonly method: 'GET' | 'POST';
  /** Without a version, so that every engine answers in its newest shape. */
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  /** Sent as JSON. */
  readonly body?: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** A request as dockerode has built it. */
interface WrittenRequest {
  readonly options: RequestOptions;
  readonly body: string | undefined;
}

/** TCP keep-alive, so that an engine whose machine vanished is noticed. */
const KEEP_ALIVE_MS = 10_000;

/**
 * HTTP to the engine at `address`; no connection is made yet. The one place where dockerode begins.
 * @throws {Error} where a certificate can't be read.
 */
export function createEngineTransport(address: EngineAddress): EngineTransport {
  const pool = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxFreeSockets: 1 };
  const tls = address.kind === 'tcp' ? address.tls : undefined;
  const agent = tls === undefined ? new HttpAgent(pool) : new HttpsAgent({ ...pool, ...readTls(tls) });
  const protocol = tls === undefined ? 'http' : 'https';
  const where =
    address.kind === 'socket'
      ? { socketPath: address.path, host: undefined, port: undefined }
      : { socketPath: undefined, host: `${protocol}://${address.host}`, port: address.port };
  // Set to undefined by name: options that are absent, dockerode reads from DOCKER_HOST and the like.
  const unset = { version: undefined, timeout: undefined, ca: undefined, cert: undefined, key: undefined };
  // The types lack some options that dockerode passes on to its HTTP client.
  const untyped = { agent, pathPrefix: '/' };
  const docker = new Docker({ ...unset, ...where, protocol, ...untyped });
  leaveSending(docker);
  return new EngineTransport({ docker, agent, send: tls === undefined ? requestHttp : requestHttps });
}

/**
 * Has dockerode build requests, and hand them out instead of sending them. Its own sender settles only on an answer or an
 * error, but a connection may end without either. It also formats each request in full for a debug log that is off, which
 * takes minutes for a thousand at once.
 */
function leaveSending(docker: Docker): void {
  const buildRequest = (
    options: RequestOptions,
    _context: unknown,
    body: string | undefined,
    handOut: (cause: null, written: WrittenRequest) => void,
  ) => handOut(null, { options, body });
  Object.assign(docker.modem, { buildRequest });
}

/** Sends requests and hands out whole answers, whatever their status. Whoever creates it closes it. */
export class EngineTransport {
  readonly #docker: Docker;
  readonly #agent: HttpAgent;
  readonly #send: typeof requestHttp;

  constructor(options: {
    readonly docker: Docker;
    readonly agent: HttpAgent;
    readonly send: typeof requestHttp;
  }) {
    this.#docker = options.docker;
    this.#agent = options.agent;
    this.#send = options.send;
  }

  /**
   * Resolves when the answer's head has arrived. The caller reads the body to its end; the signal ends that too.
   * @throws {EngineUnreachable} or the signal's reason.
   */
  async request(request: EngineRequest): Promise<IncomingMessage> {
    const { signal } = request;
    signal.throwIfAborted();
    try {
      const { options, body } = await abortable(this.#write(request), signal);
      const outgoing = this.#send(options);
      const answer = awaitAnswer(outgoing, signal);
      outgoing.end(body);
      return await answer;
    } catch (cause) {
      throw signal.aborted ? signal.reason : new EngineUnreachable(describeError(cause), { cause });
    }
  }

  #write({ method, path, query = {}, body = {} }: EngineRequest): Promise<WrittenRequest> {
    return new Promise((resolve, reject) => {
      const dialled = {
        path: Object.keys(query).length > 0 ? `${path}?` : path,
        method,
        options: { _query: query, _body: body },
      };
      this.#docker.modem.dial(dialled, (cause: Error | null, written: unknown) => {
        if (cause === null) resolve(written as WrittenRequest);
        else reject(cause);
      });
    });
  }

  /** Frees idle connections; requests in flight end through their own signals. */
  close(): void {
    this.#agent.destroy();
  }
}

/** Leaves out files that don't exist: the message of the handshake then says what the engine lacks. */
function readTls(tls: EngineTls): Readonly<Record<string, unknown>> {
  const read = (file: string): Buffer | undefined => {
    if (tls.certFolder === undefined) return undefined;
    try {
      return readFileSync(join(tls.certFolder, file));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem'), rejectUnauthorized: tls.verify };
}
