import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { join } from 'node:path';
import Docker from 'dockerode';
import type { EngineAddress, EngineTls } from './engine-address.ts';
import type { InspectedContainer, ListedContainer } from './engine-shapes.ts';
import { describeError, EngineRefusal, EngineUnreachable } from './errors.ts';

/** What a request may carry besides its path. */
interface RequestOptions {
  readonly query?: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** Only these are sent; a container's health probes alone would make three events each time. */
const EVENT_ACTIONS = [
  ...['create', 'destroy', 'rename', 'start', 'die', 'stop', 'restart', 'pause', 'unpause', 'update'],
  ...['health_status', 'connect', 'disconnect'],
];

/** Every status is an answer to us; the codes that dockerode treats as faults depend on the call. */
const EVERY_STATUS = Object.freeze(
  Object.fromEntries(Array.from({ length: 500 }, (_, index) => [index + 100, true])),
);

/** TCP keep-alive, so that an engine whose machine vanished is noticed. */
const KEEP_ALIVE_MS = 10_000;

/**
 * A client for the engine at `address`; the one place where dockerode begins. No connection is made yet.
 * @throws {Error} where a certificate can't be read.
 */
export function createEngineClient(address: EngineAddress): EngineClient {
  const pool = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxFreeSockets: 1 };
  const tls = address.kind === 'tcp' ? address.tls : undefined;
  const agent = tls === undefined ? new HttpAgent(pool) : new HttpsAgent({ ...pool, ...readTls(tls) });
  // Named although undefined: dockerode fills what isn't named from DOCKER_HOST and its companions by itself.
  const unset = { version: undefined, timeout: undefined, ca: undefined, cert: undefined, key: undefined };
  const common = { ...unset, agent, pathPrefix: '/' };
  const scheme = tls === undefined ? 'http' : 'https';
  const docker =
    address.kind === 'socket'
      ? new Docker(
          defined({
            ...common,
            socketPath: address.path,
            host: undefined,
            port: undefined,
            protocol: scheme,
          }),
        )
      : new Docker(
          defined({ ...common, host: `${scheme}://${address.host}`, port: address.port, protocol: scheme }),
        );
  return new EngineClient({ docker, agent });
}

/** Calls of the engine API, unversioned, so that every engine answers in its newest shape. */
export class EngineClient {
  readonly #docker: Docker;
  readonly #agent: HttpAgent;

  constructor(options: { readonly docker: Docker; readonly agent: HttpAgent }) {
    this.#docker = options.docker;
    this.#agent = options.agent;
  }

  async ping(signal: AbortSignal): Promise<void> {
    await this.#call('GET', '/_ping', { signal });
  }

  async list(signal: AbortSignal): Promise<readonly ListedContainer[]> {
    const text = await this.#call('GET', '/containers/json', { signal, query: { all: 1 } });
    const containers = parseAnswer(text);
    if (!Array.isArray(containers)) throw notAnEngine();
    return containers as readonly ListedContainer[];
  }

  /** Undefined where there is no such container. */
  async inspect(container: string, signal: AbortSignal): Promise<InspectedContainer | undefined> {
    try {
      const text = await this.#call('GET', `/containers/${encodeURIComponent(container)}/json`, { signal });
      return parseAnswer(text) as InspectedContainer;
    } catch (error) {
      if (error instanceof EngineRefusal && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Succeeds where the container is already started (304). */
  async start(id: string, signal: AbortSignal): Promise<void> {
    await this.#call('POST', `/containers/${id}/start`, { signal });
  }

  async unpause(id: string, signal: AbortSignal): Promise<void> {
    await this.#call('POST', `/containers/${id}/unpause`, { signal });
  }

  /** Takes as long as the container does; succeeds where it is already stopped (304). */
  async stop(
    id: string,
    options: { readonly graceMs: number | undefined; readonly signal: AbortSignal },
  ): Promise<void> {
    const { graceMs, signal } = options;
    const query = graceMs === undefined ? {} : { t: Math.ceil(graceMs / 1000) };
    await this.#call('POST', `/containers/${id}/stop`, { signal, query });
  }

  /**
   * The engine's events from `sinceMs` (epoch) on, without an end; the answer's head has arrived when this resolves.
   */
  async events(options: {
    readonly sinceMs: number;
    readonly signal: AbortSignal;
  }): Promise<AsyncIterable<Uint8Array>> {
    const filters = { type: ['container', 'network'], event: EVENT_ACTIONS };
    const query = { since: Math.max(0, Math.floor(options.sinceMs / 1000)), filters };
    const answer = await this.#request('GET', '/events', { query, signal: options.signal });
    if (answer.statusCode !== 200) throw refusal(answer, await readBody(answer));
    return answer;
  }

  /** Frees idle connections; calls in flight end through their own signals. */
  close(): void {
    this.#agent.destroy();
  }

  /** The body of a successful answer. @throws {EngineRefusal | EngineUnreachable} or the signal's reason. */
  async #call(method: 'GET' | 'POST', path: string, options: RequestOptions): Promise<string> {
    const { signal } = options;
    const answer = await this.#request(method, path, options);
    // A body cut short must fail here: dockerode's own reader would wait for its end for ever.
    const body = await readBody(answer).catch((cause: unknown) => {
      throw signal.aborted ? signal.reason : new EngineUnreachable(describeError(cause), { cause });
    });
    const status = answer.statusCode ?? 0;
    if ((status >= 200 && status < 300) || status === 304) return body;
    throw refusal(answer, body);
  }

  #request(method: 'GET' | 'POST', path: string, options: RequestOptions): Promise<IncomingMessage> {
    const { signal, query = {} } = options;
    const hasQuery = Object.keys(query).length > 0;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const request = {
        path: hasQuery ? `${path}?` : path,
        method,
        options: { _query: query, _body: {} },
        isStream: true,
        statusCodes: EVERY_STATUS,
        abortSignal: signal,
      };
      this.#docker.modem.dial(request, (cause: Error | null, answer: IncomingMessage) => {
        if (cause === null) resolve(answer);
        else reject(signal.aborted ? signal.reason : new EngineUnreachable(describeError(cause), { cause }));
      });
    });
  }
}

async function readBody(answer: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString('utf8');
}

function refusal(answer: IncomingMessage, body: string): EngineRefusal {
  const status = answer.statusCode ?? 0;
  let message = body.trim();
  try {
    message = (JSON.parse(body) as { readonly message?: string }).message ?? message;
  } catch {
    // Whatever stands between us and the engine may answer in plain text.
  }
  return new EngineRefusal(message || `the engine answered with status ${status}`, { status });
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notAnEngine();
  }
}

function notAnEngine(): EngineUnreachable {
  return new EngineUnreachable('what answers there is not a container engine');
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

/** Hides fields that dockerode reads but its types don't list. */
function defined(options: Docker.DockerOptions & Readonly<Record<string, unknown>>): Docker.DockerOptions {
  return options;
}
