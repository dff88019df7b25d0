import type { IncomingMessage } from 'node:http';
import { abortable } from '../../system/waiting/abortable.ts';
import { CallCounts } from '../../system/call-counts.ts';
import { type Clock, parseTimestamp } from '../../system/clock.ts';
import { Deadline, type DeadlineOptions, withDeadline } from '../../system/waiting/deadline.ts';
import { describeError } from '../../system/message-of.ts';
import { CALL_DEADLINES_MS, type EngineCall } from './call-deadlines.ts';
import type { EngineAddress } from './engine-address.ts';
import { checkId, pathSegment } from './engine-ids.ts';
import type {
  ContainerStats,
  InspectedContainer,
  InspectedImage,
  InspectedNetwork,
  ListedContainer,
} from './engine-shapes.ts';
import { createEngineTransport, type EngineRequest, type EngineTransport } from './engine-transport.ts';
import { EngineRefusal, EngineUnreachable, silence } from './errors.ts';
import { type EngineEvent, parseEvent } from './event-stream.ts';

const EVENTS_PATH = '/events';

interface InspectedExec {
  readonly Running?: boolean;
  readonly ExitCode?: number | null;
}

/** Of what is not the engine's own answer. */
const MAX_FOREIGN_CHARACTERS = 200;

/** Which events the engine is to send. */
export interface EventFilter {
  readonly types: readonly string[];
  readonly actions: readonly string[];
}

/** One call: {@link EngineCall} names its deadline. */
export interface CallRequest extends EngineRequest {
  readonly call: EngineCall;
  /** Added to the deadline: how long the engine itself is asked to wait; default 0. */
  readonly extraMs?: number;
}

interface EventsRequest {
  readonly filter: EventFilter;
  readonly sinceMs: number;
  readonly signal: AbortSignal;
}

/** The bytes of an event stream. */
export type EventStream = AsyncIterable<Uint8Array> & {
  /** The engine's time when the stream began, to the second; undefined where the engine told none. */
  readonly engineMs: number | undefined;
};

export interface NetworkCall {
  readonly containerId: string;
  /** In the engine's own form; engines ignore what they don't know. */
  readonly endpoint: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/**
 * A client for the engine at `address`. No connection is made yet.
 * @throws {Error} where a certificate can't be read.
 */
export function createEngineClient(address: EngineAddress, clock: Clock): EngineClient {
  return new EngineClient(createEngineTransport(address), clock);
}

/** Calls of the engine API; each has a deadline. Whoever creates it closes it. */
export class EngineClient {
  /** Those that have ended; of an event stream, the beginning. */
  readonly calls: CallCounts;
  readonly #transport: EngineTransport;
  readonly #clock: Clock;
  #apiVersion: string | undefined;

  constructor(transport: EngineTransport, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
    this.calls = new CallCounts(clock);
  }

  /** The engine's API version, such as `1.41`, from its last answer; undefined where no answer told one. */
  get apiVersion(): string | undefined {
    return this.#apiVersion;
  }

  async ping(signal: AbortSignal): Promise<void> {
    await this.call({ call: 'ping', method: 'GET', path: '/_ping', signal });
  }

  /** Lists containers, running or not. @param network a network's name and id: then only the containers on that network. */
  async list(signal: AbortSignal, network?: readonly string[]): Promise<readonly ListedContainer[]> {
    const query = network === undefined ? { all: 1 } : { all: 1, filters: { network } };
    const text = await this.call({
      ...{ call: 'list containers', method: 'GET', path: '/containers/json' },
      ...{ query, signal },
    });
    const containers = parseAnswer(text);
    if (!Array.isArray(containers)) throw notAnEngine();
    return containers as readonly ListedContainer[];
  }

  /** By name or id; undefined where there is no such network. */
  inspectNetwork(network: string, signal: AbortSignal): Promise<InspectedNetwork | undefined> {
    const path = () => `/networks/${pathSegment(network)}`;
    return this.#inspect<InspectedNetwork>({ call: 'inspect network', path, signal });
  }

  /** Undefined where there is no such container. */
  inspect(container: string, signal: AbortSignal): Promise<InspectedContainer | undefined> {
    const path = () => `/containers/${pathSegment(container)}/json`;
    return this.#inspect<InspectedContainer>({ call: 'inspect container', path, signal });
  }

  /** Undefined where there is no such image. */
  inspectImage(image: string, signal: AbortSignal): Promise<InspectedImage | undefined> {
    const path = () => `/images/${pathSegment(image)}/json`;
    return this.#inspect<InspectedImage>({ call: 'inspect image', path, signal });
  }

  /** Succeeds where the container is already started (304). */
  async start(id: string, signal: AbortSignal): Promise<void> {
    await this.call({ call: 'start container', method: 'POST', path: containerPath(id, 'start'), signal });
  }

  /** Refused with 409 where the container is paused already, or doesn't run. */
  async pause(id: string, signal: AbortSignal): Promise<void> {
    await this.call({ call: 'pause container', method: 'POST', path: containerPath(id, 'pause'), signal });
  }

  async unpause(id: string, signal: AbortSignal): Promise<void> {
    await this.call({
      call: 'unpause container',
      method: 'POST',
      path: containerPath(id, 'unpause'),
      signal,
    });
  }

  /**
   * Stops a container, which takes as long as the container does; succeeds where it is already stopped (304).
   * @param options.graceMs undefined = the container's own, which is `ownGraceMs`.
   * @param options.stopSignal undefined = the container's own; engines before API 1.42 ignore it.
   */
  async stop(
    id: string,
    options: {
      readonly graceMs: number | undefined;
      readonly ownGraceMs: number;
      readonly stopSignal?: string | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { graceMs, ownGraceMs, stopSignal, signal } = options;
    const seconds = graceMs === undefined ? undefined : Math.ceil(graceMs / 1000);
    await this.call({
      ...{ call: 'stop container', method: 'POST', path: containerPath(id, 'stop'), signal },
      query: {
        ...(seconds !== undefined && { t: seconds }),
        ...(stopSignal !== undefined && { signal: stopSignal }),
      },
      extraMs: seconds === undefined ? ownGraceMs : seconds * 1000,
    });
  }

  /**
   * Reads the last lines of what a container has printed, within the call's deadline.
   * @throws {EngineRefusal} where the engine keeps no log that can be read.
   */
  readLog<T>(
    id: string,
    options: {
      readonly lines: number;
      /** Epoch; undefined = from the beginning. */
      readonly sinceMs: number | undefined;
      readonly signal: AbortSignal;
      readonly read: (log: AsyncIterable<Uint8Array>) => Promise<T>;
    },
  ): Promise<T> {
    const { lines, sinceMs, read, signal: parent } = options;
    const since = sinceMs === undefined ? {} : { since: (sinceMs / 1000).toFixed(3) };
    const query = { stdout: 1, stderr: 1, tail: lines, ...since };
    const work = async (signal: AbortSignal) => {
      const path = containerPath(id, 'logs');
      const answer = await this.#transport.request({ method: 'GET', path, query, signal });
      if (answer.statusCode !== 200) throw refusal(answer, await readBody(answer));
      return read(answer);
    };
    const deadline = this.#deadline(CALL_DEADLINES_MS['read log'], parent);
    return this.calls.measure('read log', () => withDeadline(work, deadline));
  }

  /** Prepares a command that is to run in a container, and returns its id. Refused with 409 where the container doesn't run. */
  async createExec(id: string, command: readonly string[], signal: AbortSignal): Promise<string> {
    const body = { AttachStdout: true, AttachStderr: true, Cmd: command };
    const path = containerPath(id, 'exec');
    const text = await this.call({ call: 'create exec', method: 'POST', path, body, signal });
    return checkId('exec', (parseAnswer(text) as { readonly Id?: string }).Id);
  }

  /** Starts a command, and resolves when it has ended. What it prints is thrown away. */
  startExec(exec: string, parent: AbortSignal): Promise<void> {
    const work = async (signal: AbortSignal) => {
      const body = { Detach: false, Tty: false };
      const path = `/exec/${checkId('exec', exec)}/start`;
      const answer = await this.#transport.request({ method: 'POST', path, body, signal });
      if (answer.statusCode !== 200) throw refusal(answer, await readBody(answer));
      for await (const _ of answer) signal.throwIfAborted();
    };
    const deadline = this.#deadline(CALL_DEADLINES_MS['start exec'], parent);
    return this.calls.measure('start exec', () => withDeadline(work, deadline));
  }

  /** The exit status of a command; undefined while it runs. */
  async inspectExec(exec: string, signal: AbortSignal): Promise<number | undefined> {
    const path = `/exec/${checkId('exec', exec)}/json`;
    const text = await this.call({ call: 'inspect exec', method: 'GET', path, signal });
    const { Running, ExitCode } = parseAnswer(text) as InspectedExec;
    return Running === true || typeof ExitCode !== 'number' ? undefined : ExitCode;
  }

  /** What a container takes now. @throws {EngineRefusal} also where a socket proxy doesn't let this through (403). */
  async stats(id: string, signal: AbortSignal): Promise<ContainerStats> {
    const path = containerPath(id, 'stats');
    // Without the second, the engine waits a second to tell the use of the processor, too; Podman and old engines do.
    const query = { stream: false, 'one-shot': true };
    return parseAnswer(
      await this.call({ call: 'read stats', method: 'GET', path, query, signal }),
    ) as ContainerStats;
  }

  /** Joins a network. Refused with 403 where the container is on it already, or may not be. */
  async connectNetwork(network: string, options: NetworkCall): Promise<void> {
    const { containerId, endpoint, signal } = options;
    const body = { Container: containerId, EndpointConfig: endpoint };
    await this.call({
      call: 'join network',
      method: 'POST',
      path: `/networks/${pathSegment(network)}/connect`,
      body,
      signal,
    });
  }

  async disconnectNetwork(network: string, options: Omit<NetworkCall, 'endpoint'>): Promise<void> {
    const { containerId, signal } = options;
    const path = `/networks/${pathSegment(network)}/disconnect`;
    const body = { Container: containerId };
    await this.call({ call: 'leave network', method: 'POST', path, body, signal });
  }

  /**
   * The engine's events from `sinceMs` (epoch) on, without an end. Resolves when the head of the answer has arrived.
   */
  events(options: EventsRequest): Promise<EventStream> {
    return this.calls.measure('events', () => this.#subscribe(options));
  }

  async #subscribe(options: EventsRequest): Promise<EventStream> {
    const filters = { type: options.filter.types, event: options.filter.actions };
    const query = { since: Math.max(0, Math.floor(options.sinceMs / 1000)), filters };
    // The head has to come in time; the stream then lives as long as the caller's signal lets it.
    const deadline = new Deadline(this.#deadline(CALL_DEADLINES_MS.events, options.signal));
    const { signal } = deadline;
    try {
      const answer = await this.#transport.request({ method: 'GET', path: EVENTS_PATH, query, signal });
      if (answer.statusCode !== 200) throw refusal(answer, await abortable(readBody(answer), signal));
      deadline.stop();
      answer.once('close', () => deadline.end());
      return Object.assign(answer, { engineMs: parseTimestamp(answer.headers.date ?? '') || undefined });
    } catch (error) {
      deadline.end();
      throw error;
    }
  }

  /**
   * The events between two times of the engine's own clock. The second one has to be a little ahead of now: where it has
   * passed, Podman sends nothing. Docker then answers only when it has passed.
   */
  async pastEvents(options: {
    readonly filter: EventFilter;
    readonly sinceNs: number;
    readonly untilMs: number;
    readonly signal: AbortSignal;
  }): Promise<readonly EngineEvent[]> {
    const { filter, sinceNs, untilMs, signal } = options;
    const since = Math.min(sinceNs / 1e6, untilMs) / 1000;
    const filters = { type: filter.types, event: filter.actions };
    // With `stream: false` Podman doesn't wait until then; Docker ignores it.
    const query = { since: since.toFixed(6), until: (untilMs / 1000).toFixed(3), filters, stream: false };
    const text = await this.call({ call: 'past events', method: 'GET', path: EVENTS_PATH, query, signal });
    return text.split('\n').flatMap((line) => parseEvent(line) ?? []);
  }

  /** Frees idle connections; calls in flight end through their own signals. */
  close(): void {
    this.#transport.close();
  }

  /**
   * The body of a successful answer.
   * @throws {EngineRefusal | EngineUnreachable}, the latter also when the call's deadline passes; or the signal's reason.
   */
  call(request: CallRequest): Promise<string> {
    const { call, extraMs = 0, signal: parent } = request;
    const deadline = this.#deadline(CALL_DEADLINES_MS[call] + extraMs, parent);
    const ask = () => withDeadline((signal) => this.#ask({ ...request, signal }), deadline);
    return this.calls.measure(call, ask, { isError: isTrouble });
  }

  #deadline(timeoutMs: number, parent: AbortSignal): DeadlineOptions {
    return { clock: this.#clock, timeoutMs, parent, expired: silence };
  }

  async #inspect<T>({
    path,
    ...request
  }: Pick<CallRequest, 'call' | 'signal'> & { readonly path: () => string }): Promise<T | undefined> {
    try {
      return parseAnswer(await this.call({ method: 'GET', path: path(), ...request })) as T;
    } catch (error) {
      if (error instanceof EngineRefusal && error.status === 404) return undefined;
      throw error;
    }
  }

  async #ask(request: EngineRequest): Promise<string> {
    const { signal } = request;
    const answer = await this.#transport.request(request);
    const version = answer.headers['api-version'];
    if (typeof version === 'string') this.#apiVersion = version;
    // A body that is cut short must fail here: dockerode's own reader would wait for the rest for ever.
    const body = await readBody(answer).catch((cause: unknown) => {
      throw signal.aborted ? signal.reason : new EngineUnreachable(describeError(cause), { cause });
    });
    const status = answer.statusCode ?? 0;
    if ((status >= 200 && status < 300) || status === 304) return body;
    throw refusal(answer, body);
  }
}

/** That there is no such thing is an answer as well. */
function isTrouble(error: unknown): boolean {
  return !(error instanceof EngineRefusal && error.status === 404);
}

function containerPath(
  id: string,
  action: 'start' | 'pause' | 'unpause' | 'stop' | 'logs' | 'stats' | 'exec',
): string {
  return `/containers/${checkId('container', id)}/${action}`;
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
    // The engine itself answers in JSON; a socket proxy in plain text or HTML.
    const said = plainLine(body);
    if (said !== '') message = `what is in front of the engine answered with status ${status}: ${said}`;
  }
  return new EngineRefusal(message || `the engine answered with status ${status}`, { status });
}

/** What a page says, on one line. */
function plainLine(page: string): string {
  const text = page
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return text.length > MAX_FOREIGN_CHARACTERS ? `${text.slice(0, MAX_FOREIGN_CHARACTERS)}…` : text;
}

/** @throws {EngineUnreachable} where the text is no JSON. */
export function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notAnEngine();
  }
}

function notAnEngine(): EngineUnreachable {
  return new EngineUnreachable('what answers there is not a container engine');
}
