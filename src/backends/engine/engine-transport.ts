import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { join } from 'node:path';
import { inspect } from 'node:util';
import Docker from 'dockerode';
import type { EngineAddress, EngineTls } from './engine-address.ts';
import { describeError, EngineUnreachable } from './errors.ts';

export interface EngineRequest {
  readonly method: 'GET' | 'POST';
  /** Without a version, so that every engine answers in its newest shape. */
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  /** Sent as JSON. */
  readonly body?: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** Every status is an answer to us; which ones dockerode takes for faults depends on the call. */
const EVERY_STATUS = Object.freeze(
  Object.fromEntries(Array.from({ length: 500 }, (_, index) => [index + 100, true])),
);

/** TCP keep-alive, so that an engine whose machine vanished is noticed. */
const KEEP_ALIVE_MS = 10_000;

/**
 * HTTP to the engine at `address`; no connection is made yet. The one place where dockerode begins.
 * @throws {Error} where a certificate can't be read.
 */
export function createEngineTransport(address: EngineAddress): EngineTransport {
  const pool = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxFreeSockets: 1 };
  const tls = address.kind === 'tcp' ? address.tls : undefined;
  const agent = hideInside(
    tls === undefined ? new HttpAgent(pool) : new HttpsAgent({ ...pool, ...readTls(tls) }),
  );
  const protocol = tls === undefined ? 'http' : 'https';
  const where =
    address.kind === 'socket'
      ? { socketPath: address.path, host: undefined, port: undefined }
      : { socketPath: undefined, host: `${protocol}://${address.host}`, port: address.port };
  // Named although undefined: dockerode fills what isn't named from DOCKER_HOST and its companions by itself.
  const unset = { version: undefined, timeout: undefined, ca: undefined, cert: undefined, key: undefined };
  // The types don't list all that dockerode hands on to its HTTP client.
  const untyped = { agent, pathPrefix: '/' };
  const docker = new Docker({ ...unset, ...where, protocol, ...untyped });
  return new EngineTransport({ docker, agent });
}

/** Sends requests and hands out whole answers, whatever their status. Whoever creates it closes it. */
export class EngineTransport {
  readonly #docker: Docker;
  readonly #agent: HttpAgent;

  constructor(options: { readonly docker: Docker; readonly agent: HttpAgent }) {
    this.#docker = options.docker;
    this.#agent = options.agent;
  }

  /**
   * Resolves when the answer's head has arrived; the caller reads the body to its end.
   * @throws {EngineUnreachable} or the signal's reason.
   */
  request(request: EngineRequest): Promise<IncomingMessage> {
    const { method, path, query = {}, body = {}, signal } = request;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const dialled = {
        path: Object.keys(query).length > 0 ? `${path}?` : path,
        method,
        options: { _query: query, _body: body },
        isStream: true,
        statusCodes: EVERY_STATUS,
        abortSignal: signal,
      };
      this.#docker.modem.dial(dialled, (cause: Error | null, answer: unknown) => {
        if (cause === null) resolve(answer as IncomingMessage);
        else reject(signal.aborted ? signal.reason : new EngineUnreachable(describeError(cause), { cause }));
      });
    });
  }

  /** Frees idle connections; requests in flight end through their own signals. */
  close(): void {
    this.#agent.destroy();
  }
}

/**
 * dockerode spells the options of each request out in full, for a debugging log that is off: with the agent's sockets
 * and all that hangs on them that takes milliseconds for one call, and minutes for a thousand at once.
 */
function hideInside<T extends HttpAgent>(agent: T): T {
  return Object.defineProperty(agent, inspect.custom, { value: () => agent.constructor.name });
}

/** A file that is absent is left out; the handshake's message then says what the engine misses. */
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
